"""Reading a connection only while there is room for what comes, and not for ever while others wait."""

import asyncio
from typing import Final

SLOW_INSTANCE: Final = 1  # why a client is held back: the instance takes the body slower than it comes
SLOW_CLIENT: Final = 1  # why an instance is: the client takes the answer slower
MANY_REQUESTS: Final = 2  # it sends requests faster than they are answered
ONE_TURN: Final = 4  # it has sent so much that it is the others' turn
LONG: Final = 128 * 1024  # bytes: more in one read means that more is there. The loop would read 32 times on end


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

    def give_way(self) -> None:
        """Let the others be read before we read on."""
        self.hold_back(ONE_TURN)
        asyncio.get_running_loop().call_soon(self.let_go, ONE_TURN)

    def let_go(self, reason: int) -> None:
        """Read on, as far as this reason goes."""
        if self._held_back & reason:
            self._held_back &= ~reason
            if not self._held_back and not self.transport.is_closing():
                self.transport.resume_reading()
