"""The access log: lines that are read back by strict parsers, whatever users send."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.actors.test_proxy_kit import polite, staged, until
from tucano.actors.proxy.log import AccessLog, Format, escaped
from tucano.actors.proxy.log_file import LogFile

# https://httpd.apache.org/docs/2.4/logs.html#combined, and then what is ours
COMBINED = re.compile(
    rb'(?P<client>[0-9.:a-f]+) - - \[(?P<time>[^\]]+)\] "(?P<request>[^"]*)" (?P<status>[0-9]{3}) (?P<bytes>[0-9]+) '
    rb'"(?P<referer>[^"]*)" "(?P<agent>[^"]*)" (?P<instance>\S+) (?P<ms>[0-9]+\.[0-9]) (?P<service>\S+) (?P<id>\S+)\n'
)
KEYS = [
    "time", "client", "method", "target", "protocol", "status", "bytes", "duration", "service", "instance",
    "request_id", "referer", "user_agent", "retries", "tls",
]  # fmt: skip


def written(
    path: Path, request: bytes = b"GET / HTTP/1.1", agent: bytes = b'"-" "-"', form: Format = "combined"
) -> bytes:
    """What the file has after one request."""
    log = AccessLog(LogFile(path), lambda: 5.25, form)
    log.line(b"127.0.0.1", escaped(request), 200, 3, agent, 0.0015, b"hello", b"hello-1", b"abc", 2, secure=True)
    log.close()
    return path.read_bytes()


def said(text: str | None) -> bytes:
    return b"-" if text is None else text.encode("latin-1")


def unescaped(text: bytes) -> bytes:
    return text.decode("unicode_escape").encode("latin-1")


def test_a_combined_line_says_who_asked_what_and_who_answered(tmp_path: Path) -> None:
    assert written(tmp_path / "log", agent=b'"http://a/" "curl/8"') == (
        b'127.0.0.1 - - [01/Jan/1970:00:00:05 +0000] "GET / HTTP/1.1" 200 3 "http://a/" "curl/8" '
        b"hello-1 1.5 hello abc\n"
    )


def test_a_json_line_says_that_and_more(tmp_path: Path) -> None:
    found = json.loads(written(tmp_path / "log", agent=b'"-" "curl/8"', form="json"))
    assert list(found) == KEYS
    assert datetime.fromisoformat(found["time"]).timestamp() == 5.25
    assert found == {
        "time": "1970-01-01T00:00:05.250Z", "client": "127.0.0.1", "method": "GET", "target": "/",
        "protocol": "HTTP/1.1", "status": 200, "bytes": 3, "duration": 0.0015, "service": "hello",
        "instance": "hello-1", "request_id": "abc", "referer": None, "user_agent": "curl/8", "retries": 2, "tls": True,
    }  # fmt: skip


@given(st.binary(max_size=50))
def test_what_is_escaped_is_plain_and_can_be_read_back(value: bytes) -> None:
    safe = escaped(value)
    assert re.fullmatch(rb"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\x[0-9a-f]{2})*", safe)
    assert unescaped(safe) == value


HOSTILE = st.lists(
    st.sampled_from([b'"', b"\\", b"\n", b"\r", b"\0", b'" "', b"\\x22", b"\xff", b"-", b"a ", b"}"])
).map(b"".join)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_no_user_can_break_a_line_of_either_form(
    tmp_path_factory: pytest.TempPathFactory, target: bytes, referer: bytes, agent: bytes
) -> None:
    folder = tmp_path_factory.mktemp("log")
    pair = b'"%b" "%b"' % (escaped(referer), escaped(agent))
    match = COMBINED.fullmatch(written(folder / "combined", b"GET /" + target, pair))
    assert match is not None
    assert (unescaped(match["request"]), unescaped(match["referer"]), unescaped(match["agent"])) == (
        b"GET /" + target, referer, agent,
    )  # fmt: skip
    lines = written(folder / "json", b"GET /" + target.replace(b" ", b"") + b" HTTP/1.1", pair, "json").splitlines()
    found = json.loads(lines[0])
    assert len(lines) == 1
    assert found["target"].encode("latin-1") == b"/" + target.replace(b" ", b"")
    assert said(found["referer"]) == referer
    assert said(found["user_agent"]) == agent


def test_what_is_no_request_is_the_target_of_a_line_without_a_method(tmp_path: Path) -> None:
    found = json.loads(written(tmp_path / "log", b"\x16\x03\x01 nonsense", form="json"))
    assert (found["method"], found["target"], found["protocol"]) == (None, "\x16\x03\x01 nonsense", None)


def test_lines_wait_for_the_timer_or_for_64_kib(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = AccessLog(LogFile(path), lambda: 5.0)
    log.line(b"127.0.0.1", b"GET / HTTP/1.1", 200, 3, b'"-" "-"', 0.0)
    log.flush()
    until(lambda: path.stat().st_size > 0)
    for _ in range(1000):
        log.line(b"127.0.0.1", b"GET / HTTP/1.1", 200, 3, b'"-" "-"', 0.0)
    until(lambda: path.stat().st_size > 60_000)
    log.close()
    assert len(path.read_bytes().splitlines()) == 1001


def test_without_a_file_nothing_is_written() -> None:
    log = AccessLog(None, lambda: 5.0)
    log.line(b"127.0.0.1", b"GET / HTTP/1.1", 200, 3, b'"-" "-"', 0.0)
    log.close()


@pytest.mark.parametrize("form", ["combined", "json"])
def test_requests_through_the_proxy_are_logged_by_service_and_id(tmp_path: Path, form: Format) -> None:
    path = tmp_path / "log"
    with staged(access_log=path, log_format=form) as stage:
        stage.serve(polite)
        stage.ask(b'GET /x?"y HTTP/1.1\r\nHost: hello\r\nReferer: "\xff\r\nX-Request-Id: mine-1\r\n\r\n')
        stage.ask(b"GET / HTTP/1.1\r\nHost: nobody\r\nX-Request-Id: mine-2\r\n\r\n")
        stage.ask(b"nonsense\r\n\r\n")
    found = [_read(line, form) for line in path.read_bytes().splitlines(keepends=True)]
    assert [one[:3] for one in found] == [(200, "hello", "mine-1"), (404, "-", "mine-2"), (400, "-", found[2][2])]
    assert found[0][3] == '"\xff'
    assert len(found[2][2]) == 28


def _read(line: bytes, form: Format) -> tuple[Any, ...]:
    if form == "json":
        one = json.loads(line)
        return one["status"], one["service"] or "-", one["request_id"], one["referer"]
    match = COMBINED.fullmatch(line)
    assert match is not None, line
    referer = unescaped(match["referer"]).decode("latin-1")
    return int(match["status"]), match["service"].decode(), match["id"].decode(), referer
