"""Time that passes when a test says so."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Due:
    """Something due later."""

    def __init__(self, fire: Callable[[], object]) -> None:
        self.fire: Callable[[], object] | None = fire

    def cancel(self) -> None:
        self.fire = None


class ManualTime:
    """What is due at one moment happens in the order in which it was asked for."""

    def __init__(self) -> None:
        self._now = 0.0
        self._order = itertools.count()
        self._heap: list[tuple[float, int, Due]] = []

    def now(self) -> float:
        return self._now

    def after(self, delay: float, fire: Callable[[], object]) -> Due:
        due = Due(fire)
        heapq.heappush(self._heap, (self._now + delay, next(self._order), due))
        return due

    def advance(self, seconds: float) -> None:
        """Let time pass, and what is due in it happen."""
        end = self._now + seconds
        while self._heap and self._heap[0][0] <= end:
            self._now, _, due = heapq.heappop(self._heap)
            if due.fire is not None:
                due.fire()
        self._now = end
