"""Which service a request is for, against the rule said naively."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tucano.actors.messages.model import Route
from tucano.actors.proxy.directory import Directory, Listing


def directory(**rules: Route) -> Directory[str]:
    return Directory(Listing(name, rule, name) for name, rule in rules.items())


def naive(rules: dict[str, Route], host: str, path: str, headers: list[tuple[str, str]]) -> str | None:
    """The best of all that match, by the words of the manual."""
    matching = []
    for name, rule in rules.items():
        ranks = [0] * (host in (name, f"{name}.localhost") or (not rule.hosts and host.split(".")[0] == name))
        ranks += [
            len(wild) for wild in rule.hosts if wild[0] == "*" and host.endswith(wild[1:]) and len(host) >= len(wild)
        ]
        ranks += [1000] * (host in rule.hosts)
        prefix = rule.path.rstrip("/")
        if (
            ranks
            and (path == prefix or path.startswith(prefix + "/"))
            and all((key.lower(), value) in headers for key, value in rule.headers.items())
        ):
            matching.append((-max(ranks), -len(prefix), -len(rule.headers), name))
    return min(matching)[3] if matching else None


LABELS = st.sampled_from(["a", "b", "www", "localhost"])
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
PATHS = st.lists(st.sampled_from(["x", "y", "xy"]), max_size=3).map(lambda parts: "/" + "/".join(parts))
HEADERS = st.dictionaries(st.sampled_from(["X-A", "x-b"]), st.sampled_from(["1", "2"]), max_size=2)
RULES = st.builds(
    Route,
    hosts=st.lists(HOSTS | HOSTS.map(lambda host: "*." + host), max_size=3).map(tuple),
    path=PATHS | PATHS.map(lambda path: path.rstrip("/") + "/"),
    headers=HEADERS,
)


LINES = st.lists(st.tuples(st.sampled_from(["x-a", "X-B"]), st.sampled_from(["1", "2"])))
NAMES = st.sampled_from(["a", "b", "c", "www"])


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(NAMES, RULES, max_size=4), st.lists(st.tuples(HOSTS, PATHS, LINES), max_size=4))
def test_the_most_specific_rule_wins(
    rules: dict[str, Route], requests: list[tuple[str, str, list[tuple[str, str]]]]
) -> None:
    one = directory(**rules)
    for host, path, headers in [*requests, *requests]:  # the second time some of it is remembered
        lines = b"".join(b"%b: %b\r\n" % (key.encode(), value.encode()) for key, value in headers)
        found = one.known.get(host.encode()) or one.find(host.encode(), path.encode(), lines)
        assert found == naive(rules, host, path, [(key.lower(), value) for key, value in headers])


@pytest.mark.parametrize(
    "host", [b"hello", b"HELLO", b"hello:8080", b"hello.", b"hello.example.org:1", b"Hello.localhost"]
)
def test_a_service_without_hosts_is_called_by_its_first_label(host: bytes) -> None:
    one = directory(hello=Route())
    assert one.find(host, b"/any", b"") == "hello"
    assert one.known == {host: "hello"}


def test_a_service_with_hosts_is_called_by_its_name_alone_too_but_not_elsewhere() -> None:
    one = directory(hello=Route(("www.example.org",)))
    for host in (b"www.example.org", b"hello", b"hello.localhost:8080"):
        assert one.find(host, b"/", b"") == "hello"
    assert one.find(b"hello.example.org", b"/", b"") is None
    assert one.find(b"x.www.example.org", b"/", b"") is None


def test_a_wildcard_is_every_name_below_but_not_the_name_itself() -> None:
    one = directory(site=Route(("*.example.org",)))
    assert one.find(b"a.b.example.org", b"/", b"") == "site"
    assert one.find(b"example.org", b"/", b"") is None


def test_what_depends_on_path_or_headers_is_not_remembered_for_its_host() -> None:
    one = directory(site=Route(("a.b",)), api=Route(("a.b",), "/api"), beta=Route(("c.d",), headers={"X-Beta": "yes"}))
    assert one.find(b"a.b", b"/api/x", b"") == "api"
    assert one.find(b"a.b", b"/apix", b"") == "site"
    assert one.find(b"c.d", b"/", b"Host: c.d\r\nx-beta: yes\r\n") == "beta"
    assert one.find(b"c.d", b"/", b"X-Beta: yes!\r\n") is None
    assert one.find(b"c.d", b"/", b"Y-X-Beta: yes\r\n") is None
    assert one.known == {}


def test_what_is_remembered_is_bounded() -> None:
    one = directory(hello=Route())
    for number in range(10_000):
        assert one.find(b"hello.%d" % number, b"/", b"") == "hello"
    assert len(one.known) <= 4096


def test_a_target_of_no_path_and_a_very_long_one_are_looked_up_too() -> None:
    one = directory(root=Route(("a",)), api=Route(("a",), "/api"))
    assert one.find(b"a", b"*", b"") == "root"
    assert one.find(b"a", b"/" * 8000, b"") == "root"
    assert one.find(b"[::1]:80", b"/", b"") is None
