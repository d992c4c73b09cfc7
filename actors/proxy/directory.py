"""Which service a request is for: by host, path and header lines; the most specific rule wins. Pure."""

import re
from collections.abc import Iterable, Iterator
from typing import Final, Generic, NamedTuple, TypeVar

from tucano.actors.messages import model

from .fields import line_pattern

T = TypeVar("T")

_KNOWN: Final = 4096  # hosts that are remembered: far more than a cluster has; whoever invents others costs a lookup


class Listing(NamedTuple, Generic[T]):
    """A service in the directory: its name, its rule, and what is found when the rule matches."""

    name: str
    rule: model.Route
    value: T


class _Entry(NamedTuple, Generic[T]):
    headers: tuple[re.Pattern[bytes], ...]
    name: str
    value: T


class _Level(Generic[T]):
    """The rules of one host: path -> entries, those with most headers first."""

    def __init__(self, listings: Iterable[Listing[T]]) -> None:
        self._paths: dict[bytes, list[_Entry[T]]] = {}
        for name, rule, value in listings:
            headers = tuple(line_pattern(key, text) for key, text in rule.headers.items())
            self._paths.setdefault(rule.path.rstrip("/").encode(), []).append(_Entry(headers, name, value))
        for entries in self._paths.values():
            entries.sort(key=lambda entry: (-len(entry.headers), entry.name))
        self._longest = max(map(len, self._paths))

    def decisive(self) -> T | None:
        """What is found here whatever a request's path and headers are, if one thing is."""
        first, *_ = self._paths.get(b"", [None])
        return first.value if first is not None and not first.headers and len(self._paths) == 1 else None

    def find(self, path: bytes, lines: bytes) -> T | None:
        """The first entry that matches, from the longest path on."""
        prefix = path[: self._longest + 1]  # a border at the end of the longest path is still seen
        while True:
            for headers, _, value in self._paths.get(prefix, ()):
                if all(header.search(lines) for header in headers):
                    return value
            if not prefix:
                return None
            prefix = prefix[: max(0, prefix.rfind(b"/"))]


class Directory(Generic[T]):
    """All rules, compiled. Of several that match, the exact host wins, then the longest wildcard, then the name; among
    these the longest path, then the most headers, then the first name.

    Args:
        listings: the services.

    Attributes:
        known: By `Host` as it came: what it decides alone. It is remembered by `find`; to look here first is quick.
    """

    def __init__(self, listings: Iterable[Listing[T]]) -> None:
        self.known: dict[bytes, T] = {}
        hosts: dict[str, list[Listing[T]]] = {}
        self._names: dict[str, tuple[bool, _Level[T]]] = {}  # by name: whether other hosts below it are its own, too
        for listing in listings:
            self._names[listing.name] = (not listing.rule.hosts, _Level([listing]))
            for host in set(listing.rule.hosts):
                hosts.setdefault(host, []).append(listing)
        self._hosts = {host: _Level(found) for host, found in hosts.items()}

    def find(self, host: bytes, path: bytes, lines: bytes) -> T | None:
        """What serves a request, or None.

        Args:
            host: The Host, as it came.
            path: The path, without a query; `*` of OPTIONS is beyond all paths but `/`.
            lines: The header lines that are sent on, each `Name: value` and CRLF.
        """
        if path[:1] != b"/":
            path = b""
        for first, level in enumerate(self._levels(plain_host(host))):
            if not first and (decided := level.decisive()) is not None:
                if len(self.known) >= _KNOWN:
                    self.known.clear()
                self.known[host] = decided
                return decided
            found = level.find(path, lines)
            if found is not None:
                return found
        return None

    def _levels(self, host: str) -> Iterator[_Level[T]]:
        if host in self._hosts:
            yield self._hosts[host]
        label, _, above = host.partition(".")
        rest = above
        while rest:
            if (wild := f"*.{rest}") in self._hosts:
                yield self._hosts[wild]
            rest = rest.partition(".")[2]
        anywhere, level = self._names.get(label, (False, None))
        if level is not None and (anywhere or above in ("", "localhost")):
            yield level


def plain_host(host: bytes) -> str:
    """The name in a Host: without the port and the dot of the root, in lower case."""
    name = host if host[:1] == b"[" else host.partition(b":")[0]
    return name.decode("ascii").lower().removesuffix(".")
