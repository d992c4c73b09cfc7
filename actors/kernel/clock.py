"""Time, handed in: actors never ask the operating system for it."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings of time, in seconds."""

    def now(self) -> float:
        """Monotonic: for intervals and deadlines, meaningful within this process only."""
        ...

    def wall(self) -> float:
        """Since the epoch: for people and for records, may jump."""
        ...


class SystemClock:
    """The machine's clocks; the functions of the standard library themselves, because each message reads them."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
