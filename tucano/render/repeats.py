"""What happens again and again, told once. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

FEWEST = 3
"""Times that something must come in a row to be told once: to tell that it comes twice would take as much room."""


class Beat(NamedTuple, Generic[T]):
    """A few things in a row that come `times` times.

    Attributes:
        items: all of them.
        period: how many are one time.

    """

    items: Sequence[T]
    period: int

    @property
    def once(self) -> Sequence[T]:
        """The first time."""
        return self.items[: self.period]

    @property
    def times(self) -> int:
        """How often."""
        return len(self.items) // self.period


def beats(items: Sequence[T], key: Callable[[T], Hashable], longest: int = 8) -> Iterator[Beat[T]]:
    """All things in order, each in one beat; what does not repeat is a beat of its own, of one.

    Args:
        items: what happened.
        key: things with the same key are the same.
        longest: things in a row that are looked at as one time, at most.

    """
    keys = [key(item) for item in items]
    start = 0
    while start < len(items):
        covered, period = max((_covered(keys, start, period), -period) for period in range(1, longest + 1))
        yield Beat(items[start : start + covered], -period)
        start += covered


def _covered(keys: Sequence[Hashable], start: int, period: int) -> int:
    """How many things from `start` on repeat in this period; 1 if too few do."""
    at = start + period
    while at < len(keys) and keys[at] == keys[at - period]:
        at += 1
    times = (min(at, len(keys)) - start) // period
    return times * period if times >= FEWEST else 1
