"""Time, handed in: actors never ask the operating system for it."""

from __future__ import annotations

import time
from typing import Protocol

YEAR = 365 * 86_400.0
"""Seconds; no timeout or delay is longer."""


def seconds(value: float, what: str, least: float = 0.0) -> float:
    """A span of time from outside, checked.

    Raises:
        ValueError: no number of seconds between `least` and a year.

    """
    if type(value) is float and least <= value <= YEAR:  # NaN is neither
        return value  # nearly always, and each ask comes here
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= YEAR:
        raise ValueError(f"{what} must be a number of seconds from {least:g} to {YEAR:g} (a year), not {value!r}")
    return float(value)


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
