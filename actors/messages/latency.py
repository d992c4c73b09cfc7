"""How long requests took: counts in buckets whose width grows with the time that they stand for. Pure.

Log-linear, as HdrHistogram (Gil Tene, hdrhistogram.org) has them: to each power of two belong eight buckets of one
width. What one tells of a time is wrong by at most a sixteenth of it, from 0.1 ms to 100 s. To add up the buckets of
several histograms gives that of all their times together; the difference of two looks at one is that of the time
between.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import ceil
from typing import Annotated, Final, Self

import msgspec

FINEST: Final = 0.1e-3 / 8
"""Seconds that each of the first 16 buckets is wide."""

SLOTS: Final = 168
"""Buckets; the last one begins at 98 s, and holds all that took longer."""


def _edge(slot: int) -> float:
    """Where a bucket begins, in seconds."""
    return FINEST * (slot if slot < 16 else (8 + slot % 8) << (slot // 8 - 1))


EDGES: Final = tuple(_edge(slot) for slot in range(1, SLOTS))
"""Seconds at which all buckets but the first begin: the bucket of a time is `bisect_right(EDGES, seconds)`."""


class Latency(msgspec.Struct, frozen=True):
    """A histogram as it travels: without the empty buckets at both ends.

    Attributes:
        first: number of the first bucket that is told.
        counts: what is in that one, and in those after it.

    Raises:
        ValueError: there are no such buckets.

    """

    first: Annotated[int, msgspec.Meta(ge=0)] = 0
    counts: tuple[Annotated[int, msgspec.Meta(ge=0)], ...] = ()

    def __post_init__(self) -> None:
        """See that there are such buckets."""
        if self.first + len(self.counts) > SLOTS:
            raise ValueError(f"a histogram has {SLOTS} buckets, this one begins at {self.first} and goes on for more")

    @classmethod
    def of(cls, slots: Sequence[int]) -> Self:
        """Of all buckets."""
        used = [slot for slot, count in enumerate(slots) if count]
        return cls(used[0], tuple(slots[used[0] : used[-1] + 1])) if used else cls()

    def slots(self) -> list[int]:
        """All buckets."""
        return [*[0] * self.first, *self.counts, *[0] * (SLOTS - self.first - len(self.counts))]


def since(before: Latency, now: Latency) -> Latency | None:
    """What came after `before`; None if `now` does not go on from there, because its process is a new one."""
    gone = [new - old for old, new in zip(before.slots(), now.slots(), strict=True)]
    return None if min(gone) < 0 else Latency.of(gone)


def together(several: Sequence[Latency]) -> Latency:
    """The histogram of all their times."""
    return Latency.of([sum(counts) for counts in zip(*(one.slots() for one in several), strict=True)])


def quantile(latency: Latency, share: float) -> float | None:
    """The time in seconds that this share of requests (0 to 1) did not exceed; None if there were none."""
    sums = list(accumulate(latency.counts))
    if not sums:
        return None
    rank = max(1, ceil(share * sums[-1]))
    slot = latency.first + next(index for index, upto in enumerate(sums) if upto >= rank)
    return _edge(slot) if slot == SLOTS - 1 else (_edge(slot) + _edge(slot + 1)) / 2
