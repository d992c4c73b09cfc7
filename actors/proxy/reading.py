"""Reading a connection only while there is room for what comes, and not for ever while others wait."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

SLOW_INSTANCE: Final = 1  # why a client is held back: the instance takes the body slower than it comes
SLOW_CLIENT: Final = 1  # why an instance is: the client takes the answer slower
SLOW_OTHER: Final = 1  # why an end of a tcp service's connection is: the other end takes it slower
MANY_REQUESTS: Final = 2  # it sends requests faster than they are answered
ONE_TURN: Final = 4  # it has sent so much that it is the others' turn
LONG: Final = 128 * 1024  # bytes: more in one read means that more is there. The loop would read 32 times on end
SLOW: Final = 0.0005  # seconds for what one read brought, as 60 KiB in chunks of a byte take


class Reading(asyncio.Protocol):
    """A connection that is read unless there are reasons against it."""

    __slots__ = ("_held_back", "transport")

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._held_back = 0  # the reasons why we do not read

    def hold_back(self, reason: int) -> None:
        """Read no more while this reason, one of the above, lasts."""
        if not self._held_back and not self.transport.is_closing():
            self.transport.pause_reading()
        self._held_back |= reason

    def let_go(self, reason: int) -> None:
        """Read on, as far as this reason goes."""
        if self._held_back & reason:
            self._held_back &= ~reason
            if not self._held_back and not self.transport.is_closing():
                self.transport.resume_reading()


class Turns:
    """Where connections wait that have had more than their share of a turn of the loop.

    Of these only so many are read on in a turn as took about `SLOW` seconds when they were read last, and one at least:
    who asks for little waits for a piece of a few of them, not of each.

    Args:
        loop: Whose turns are meant.
        clock: Seconds, monotonic.
    """

    __slots__ = ("_call_soon", "_waiting", "clock")

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None:
        self._call_soon = loop.call_soon
        self._waiting: deque[tuple[Reading, float]] = deque()  # with the seconds it took
        self.clock = clock

    def had(self, one: Reading, size: int, began: float) -> None:
        """A connection was read, and what came was dealt with: if that was much, the others come first.

        Args:
            one: The connection.
            size: Bytes that came.
            began: When they did.
        """
        took = self.clock() - began
        if size > LONG or took > SLOW:
            one.hold_back(ONE_TURN)
            if not self._waiting:
                self._call_soon(self._next)
            self._waiting.append((one, took))

    def _next(self) -> None:
        left = SLOW
        while self._waiting and left > 0:
            one, took = self._waiting.popleft()
            one.let_go(ONE_TURN)
            left -= took
        if self._waiting:
            self._call_soon(self._next)
