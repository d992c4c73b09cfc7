"""The command `logs`: what instances print."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from tucano.cli.common import HomeOption, JsonOption, client, emit, emit_line

if TYPE_CHECKING:
    from tucano.client import Client

AWAY = ("timeout", "unavailable")
"""Codes of a controller or worker that may be back in a moment."""

LINE = 512
"""Bytes that a line of a log has at most, as a first guess of how far back to read."""


def logs(
    name: Annotated[str, typer.Argument(metavar="NAME|INSTANCE", help="A service, or one instance of it.")],
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on with what comes, of new instances too.")
    ] = False,
    build: Annotated[bool, typer.Option("--build", help="The output of the build step instead.")] = False,
    lines: Annotated[int, typer.Option("-n", min=0, max=100_000, help="Lines of the past, for each instance.")] = 100,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a service's instances print, each line with the instance's id before it.

    With --json: {"logs": [{"id", "text"}]}; with --follow too, one {"id", "line"} a line.
    """
    with client(home) as cluster:
        reader = Reader(cluster, name, build)
        found = reader.past(lines)
        if not follow:
            if json:
                emit({"logs": [{"id": one, "text": "".join(f"{line}\n" for line in text)} for one, text in found]})
            elif found:
                _print(found, json=False)
            else:
                print(f"{name} has no instance: `tucano show {name}{cluster.home.option}` says why", file=sys.stderr)
            return
        _print(found, json)
        while reader.more():
            new = reader.new()
            _print(new, json)
            if not new:
                time.sleep(0.1)


class Reader:
    """The output of all instances of a service, or of one instance, read on and on.

    Args:
        cluster: where.
        name: of the service or instance.
        build: the builds' output instead.

    """

    def __init__(self, cluster: Client, name: str, build: bool) -> None:
        self._cluster = cluster
        self._name = name
        self._build = build
        self._next: dict[str, int] = {}  # instance -> byte to go on from
        self._rest: dict[str, bytes] = {}  # instance -> a line that has no end yet
        self._gone: set[str] = set()
        self._service = name in {one.name for one in cluster.services()}

    def past(self, lines: int) -> list[tuple[str, list[str]]]:
        """The last lines of each instance.

        Raises:
            ClusterError: there is no such service or instance.

        """
        return [(one, self._last(one, lines)) for one in self._ids()]

    def more(self) -> bool:
        """Whether there is somebody left to read from, new ones included."""
        from tucano.client.failures import ClusterError

        try:
            found = self._ids()
        except ClusterError as error:
            if error.code == "not_found":
                return False
            if error.code not in AWAY:
                raise
            return True
        self._next = {one: self._next.get(one, 0) for one in found}
        return bool(found) or self._service

    def new(self) -> list[tuple[str, list[str]]]:
        """Complete lines that have come since, by instance."""
        from tucano.client.failures import ClusterError

        found = []
        for one, offset in list(self._next.items()):
            try:
                chunk = self._cluster.read_log(one, offset, build=self._build)
            except ClusterError as error:
                if error.code == "not_found":
                    self._gone.add(one)
                elif error.code not in AWAY:
                    raise
                continue  # a controller or worker that is away may be back in a moment
            self._next[one] = chunk.next
            *lines, self._rest[one] = (self._rest.get(one, b"") + chunk.data).split(b"\n")
            if lines:
                found.append((one, [_text(line) for line in lines]))
        return found

    def _ids(self) -> list[str]:
        """Whom to read from."""
        if not self._service:
            return [one for one in (self._name,) if one not in self._gone]
        return [one.id for one in self._cluster.show(self._name).instances]

    def _last(self, one: str, lines: int) -> list[str]:
        """The last lines of one instance; where they end is where to go on."""
        from tucano.client.failures import ClusterError

        try:
            chunk = self._cluster.read_log(one, -max(65_536, lines * LINE), 1 << 20, build=self._build)
            data = [chunk.data]
            while chunk.data:
                chunk = self._cluster.read_log(one, chunk.next, 1 << 20, build=self._build)
                data.append(chunk.data)
        except ClusterError as error:
            if error.code == "not_found" and not self._service:
                raise ClusterError("not_found", f"no service and no instance is called {self._name!r}") from error
            if error.code in (*AWAY, "not_found") and self._service:
                return []  # nothing printed yet, or its node is away; the others' output is worth showing
            raise
        self._next[one] = chunk.next
        whole = b"".join(data).split(b"\n")
        self._rest[one] = b""
        if not whole[-1]:
            whole.pop()
        return [_text(line) for line in whole[len(whole) - min(lines, len(whole)) :]]


def _text(line: bytes) -> str:
    """A line as text, whatever it is."""
    return line.decode(errors="replace").rstrip("\r")


def _print(found: Iterable[tuple[str, list[str]]], json: bool) -> None:
    """Each line with its instance before it."""
    for one, lines in found:
        for line in lines:
            if json:
                emit_line({"id": one, "line": line})
            else:
                print(f"{one} | {line}", flush=True)
