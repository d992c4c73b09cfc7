"""Reading a client's connection only while there is room for what comes."""

import asyncio
from typing import Final

SLOW_INSTANCE: Final = 1  # why a client is held back: the instance takes the body slower than it comes
MANY_REQUESTS: Final = 2  # it sends requests faster than they are answered


class Reading(asyncio.Protocol):
    """A connection that is read unless there are reasons against it."""

    __slots__ = ("_held_back", "transport")

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._held_back = 0  # the reasons why we do not read

    def hold_back(self, reason: int) -> None:
        """Read no more while this reason lasts: `SLOW_INSTANCE` or `MANY_REQUESTS`."""
        if not self._held_back and not self.transport.is_closing():
            self.transport.pause_reading()
        self._held_back |= reason

    def let_go(self, reason: int) -> None:
        """Read on, as far as this reason goes."""
        if self._held_back & reason:
            self._held_back &= ~reason
            if not self._held_back and not self.transport.is_closing():
                self.transport.resume_reading()
