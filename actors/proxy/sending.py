"""Writing at the end of a turn of the loop: what a turn has to say to many goes out in one go."""

import asyncio
from typing import Final

from .reading import Reading

MANY: Final = 64  # connections that wait: then they are not made to wait for the end of a long turn


class Connection(Reading):
    """A connection that is written to at once, or by the `Outbox`.

    Attributes:
        unsent: What waits for the end of the turn. It is dropped if the connection is closed before that, unless it is
            pushed.
    """

    __slots__ = ("unsent",)

    def __init__(self) -> None:
        super().__init__()
        self.unsent = b""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it so
        """The connection is gone, by whomever."""
        self.unsent = b""

    def write(self, *pieces: bytes | memoryview) -> None:
        """Write at once, after what waits."""
        if self.unsent:
            self.push()
        self.transport.writelines(pieces)

    def write_eof(self) -> None:
        """Say no more, after what waits."""
        if self.unsent:
            self.push()
        self.transport.write_eof()

    def push(self) -> None:
        """Write what waits at once: something follows it that does not wait."""
        data, self.unsent = self.unsent, b""
        self.transport.write(data)


class Outbox:
    """What is to be written at the end of this turn of the loop.

    To wake a process that sleeps costs the kernel more than all else of a write. Were each request passed on as it is
    read, its reader would have finished, and be asleep again, when the next one comes; written one after the other
    they find it awake.

    Args:
        loop: Whose turns are meant.
    """

    __slots__ = ("_call_soon", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_soon = loop.call_soon
        self._waiting: list[Connection] = []

    def put(self, to: Connection, data: bytes) -> None:
        """Have `data` written to a connection, after what it has been given before."""
        waiting = self._waiting
        if not waiting:
            self._call_soon(self._empty)
        to.unsent += data
        waiting.append(to)
        if len(waiting) >= MANY:
            self._empty()

    def _empty(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            data = one.unsent
            if data:
                one.unsent = b""
                one.transport.write(data)
