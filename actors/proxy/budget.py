"""How many requests may be tried again: a share of all, so that retries never become the load that they flee. Pure."""

from collections import deque
from typing import Final

WINDOW: Final = 10.0  # seconds
SHARE: Final = 0.2  # of the requests of the window
SPARE: Final = 100  # in a window, always: ten each second (Finagle's numbers, as the share and the window)


class Budget:
    """Allows retries, at most `SHARE` of the requests of the last `WINDOW` seconds and `SPARE` more."""

    __slots__ = ("_counts", "_retries")

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()  # when, and how many requests there had been
        self._retries: deque[float] = deque()

    def note(self, now: float, requests: int) -> None:
        """So many requests there have ever been. What is noted seldom allows less, never more."""
        while self._counts and self._counts[0][0] <= now - WINDOW:
            self._counts.popleft()
        if not self._counts or requests != self._counts[-1][1]:
            self._counts.append((now, requests))

    def spend(self, now: float, requests: int) -> bool:
        """Whether one more retry is allowed now; if so it is counted."""
        while self._retries and self._retries[0] <= now - WINDOW:
            self._retries.popleft()
        self.note(now, requests)
        recent = requests - self._counts[0][1]
        if len(self._retries) + 1 > SPARE + SHARE * recent:
            return False
        self._retries.append(now)
        return True
