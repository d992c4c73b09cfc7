"""Users who look at every answer: connections that ask again and again, and count what was not right."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from statistics import quantiles

KINDS = ("GET", "close", "POST")
"""GET on kept connections; GET, each on a connection of its own; POST of 1 KiB on kept connections."""

PATIENCE = 10.0
"""Seconds for one answer."""

_BODY = b"x" * 1024


@dataclass
class Calls:
    """What became of the requests.

    Attributes:
        answered: those whose answer was the right one.
        failed: the others, by what happened instead.
        took: seconds that each answer took.

    """

    answered: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)

    def p99(self) -> float:
        """Milliseconds."""
        return quantiles(self.took, n=100)[98] * 1e3 if len(self.took) > 1 else 0.0


class Callers:
    """Callers at one port, until told to stop.

    Args:
        port: of the proxy.
        connections: that ask at the same time.
        kind: one of `KINDS`.

    """

    def __init__(self, port: int, connections: int, kind: str) -> None:
        self.calls = Calls()
        self._port = port
        self._kind = kind
        self._numbers = itertools.count()
        self._stopped = False
        self._tasks = [asyncio.create_task(self._ask_again_and_again()) for _ in range(connections)]

    async def stop(self) -> Calls:
        """Let the open requests end."""
        self._stopped = True
        await asyncio.gather(*self._tasks)
        return self.calls

    def reset(self) -> Calls:
        """What has been counted until now; count from 0."""
        calls, self.calls = self.calls, Calls()
        return calls

    async def _ask_again_and_again(self) -> None:
        stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self._stopped:
            began = time.perf_counter()
            try:
                async with asyncio.timeout(PATIENCE):
                    stream = stream or await asyncio.open_connection("127.0.0.1", self._port)
                    wrong, keep = await self._ask(*stream)
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                wrong, keep = type(error).__name__, False
            if wrong:
                self.calls.failed[wrong] = self.calls.failed.get(wrong, 0) + 1
            else:
                self.calls.answered += 1
                self.calls.took.append(time.perf_counter() - began)
            if not keep and stream is not None:
                stream[1].close()
                stream = None
        if stream is not None:
            stream[1].close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, bool]:
        """What was wrong with the answer, or nothing; and whether the connection may be used again."""
        target = b"/e/%d" % next(self._numbers)
        body = _BODY if self._kind == "POST" else b""
        closes = b"Connection: close\r\n" if self._kind == "close" else b""
        method = b"POST" if body else b"GET"
        length = b"Content-Length: %d\r\n" % len(body) if body else b""
        writer.write(b"%b %b HTTP/1.1\r\nHost: hello\r\n%b%b\r\n%b" % (method, target, length, closes, body))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        answer = await reader.readexactly(size)
        keep = not closes and b"connection: close" not in head
        status = head.split(b" ", 2)[1].decode()
        if status != "200":
            return status, keep
        return "" if answer == target + b" " + body else "a wrong answer", keep
