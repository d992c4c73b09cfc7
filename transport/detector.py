"""The failure detector: for how long may a node be silent before it is suspected?

Pure: it is told when a beat was heard and asked at any moment; it knows no clock.

The idea is that of the accrual detectors: learn the rhythm of the beats that arrive and suspect when a silence is too
unlikely for it. (N. Hayashibara, X. Defago, R. Yared, T. Katayama: "The phi accrual failure detector", SRDS 2004; the
estimate from a window of recent arrivals plus a safety margin is W. Chen, S. Toueg, M. Aguilera: "On the quality of
service of failure detectors", IEEE Transactions on Computers 51, 2002.) A node is overdue when silent for longer than

    limit = clamp(factor * mean + deviations * stddev, floor, ceiling)

of the intervals in the window, or `ceiling` while none is known. For normally distributed intervals, phi = 8 (the
default of Akka and Pekko) is a silence of mean + 5.6 stddev; `factor` takes the place of their "acceptable pause", in
beats instead of seconds.
"""

from __future__ import annotations

import math
from collections import deque

FLOOR = 2.0
"""Seconds of silence that are always borne."""

CEILING = 10.0
"""Seconds of silence that are never borne."""


class Detector:
    """Watches the beats of one node.

    Until the first `heard` or `forgive` no wait has begun, and the node is not overdue.

    Args:
        floor: seconds of silence that are always borne; covers the pauses of a busy machine.
        ceiling: seconds of silence that are never borne, however irregular the beats.
        factor: mean intervals of silence that are borne; 3 means that two beats in a row may be lost.
        deviations: standard deviations borne on top; 5.6 is phi = 8.
        window: intervals that are remembered; old ones give way to new.

    Raises:
        ValueError: the numbers contradict each other.

    """

    def __init__(
        self,
        floor: float = FLOOR,
        ceiling: float = CEILING,
        factor: float = 3.0,
        deviations: float = 5.6,
        window: int = 64,
    ) -> None:
        sane = 0 < floor <= ceiling < math.inf and 1 < factor < math.inf and 0 <= deviations < math.inf
        if not sane or window < 1:
            raise ValueError(f"no such detector: {floor=}, {ceiling=}, {factor=}, {deviations=}, {window=}")
        self._floor = floor
        self._ceiling = ceiling
        self._factor = factor
        self._deviations = deviations
        self._intervals: deque[float] = deque(maxlen=window)
        self._beat: float | None = None  # the last beat, if the time since then can be learned from
        self._since: float | None = None  # the silence is counted from here

    def heard(self, now: float) -> None:
        """Take note of a beat that arrived `now` (monotonic seconds)."""
        if self._beat is not None:
            # An outage teaches no more than the ceiling: afterwards the rhythm is found again. It does teach something:
            # of a node that has become slow for good, the slower beat is learned.
            self._intervals.append(min(max(now - self._beat, 0.0), self._ceiling))
        self._beat = self._since = now

    def forgive(self, now: float) -> None:
        """Begin the wait anew: *we* were suspended until `now` and could have heard nobody.

        The interval that spans our absence is not learned. Called before any beat, it begins the first wait.
        """
        self._beat = None
        self._since = now

    def silent_for(self, now: float) -> float:
        """Seconds since the last beat or forgiveness; 0 when no wait has begun."""
        return 0.0 if self._since is None else max(now - self._since, 0.0)

    def overdue(self, now: float) -> bool:
        """Whether the silence is longer than the rhythm so far explains."""
        silent = self.silent_for(now)
        # The floor first: it spares the sums for all nodes that are well, which is nearly all, nearly always.
        return silent > self._floor and silent > self.limit

    @property
    def limit(self) -> float:
        """Seconds of silence that are borne now."""
        if not self._intervals:
            return self._ceiling  # of a rhythm that is not known yet, the slowest is assumed
        mean = math.fsum(self._intervals) / len(self._intervals)
        variance = math.fsum((interval - mean) ** 2 for interval in self._intervals) / len(self._intervals)
        borne = self._factor * mean + self._deviations * math.sqrt(variance)
        return min(max(borne, self._floor), self._ceiling)
