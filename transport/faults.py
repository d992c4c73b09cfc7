"""What goes wrong on a network in memory, drawn from one source of chance, which is handed in.

Each call replaces what the same one said before; frames that are on their way keep what was drawn for them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

_FAST = (0.0, math.inf)  # no seconds longer, no end of bytes per second


class Faults:
    """The state of the lines between nodes; at first, nothing goes wrong and nothing takes time.

    Args:
        chance: draws in the order of the frames, and only for what may go wrong.

    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._loss = self._duplication = self._reordering = self._stray = 0.0
        self._latency = (0.0, 0.0)
        self._latencies: dict[tuple[str, str], tuple[float, float]] = {}
        self._slow: dict[str, tuple[float, float]] = {}
        self._groups: dict[str, int] = {}

    def disturb(
        self, *, loss: float = 0.0, duplication: float = 0.0, reordering: float = 0.0, stray: float = 0.5
    ) -> None:
        """Lose, repeat and delay some of the frames; without numbers, none.

        Args:
            loss: probability for each copy.
            duplication: probability of a second copy, which goes astray.
            reordering: probability that the first copy goes astray, and may be overtaken.
            stray: seconds, at most, that what goes astray arrives late.

        Raises:
            ValueError: not probabilities, or no time.

        """
        if not all(0 <= p <= 1 for p in (loss, duplication, reordering)) or not 0 <= stray < math.inf:
            raise ValueError(f"no such faults: {loss=}, {duplication=}, {reordering=}, {stray=}")
        self._loss, self._duplication, self._reordering, self._stray = loss, duplication, reordering, stray

    def latency(self, low: float, high: float, between: tuple[str, str] | None = None) -> None:
        """Let frames travel for `low` to `high` seconds, evenly: between two nodes, or where nothing else was said.

        Raises:
            ValueError: not a range of times.

        """
        if not 0 <= low <= high < math.inf:
            raise ValueError(f"no such latency: {low=}, {high=}")
        if between is None:
            self._latency = (low, high)
        else:
            self._latencies[_pair(*between)] = (low, high)

    def slow(self, node: str, seconds: float = 0.0, rate: float = math.inf) -> None:
        """Make every way to and from a node slow; without numbers, as fast as before.

        Args:
            node: the node's name.
            seconds: that each frame travels longer.
            rate: bytes per second on each way; while a frame passes, letters queue up behind it.

        Raises:
            ValueError: no time, or no rate.

        """
        if not 0 <= seconds < math.inf or not rate > 0:
            raise ValueError(f"no such slowness: {seconds=}, {rate=}")
        self._slow[node] = (seconds, rate)

    def partition(self, *groups: Iterable[str]) -> None:
        """Let only nodes of the same group hear each other; those in none of the groups form one more."""
        self._groups = {node: number for number, group in enumerate(groups) for node in group}

    def heal(self) -> None:
        """Let all hear each other again."""
        self._groups = {}

    # What a frame meets.

    def apart(self, a: str, b: str) -> bool:
        """Whether a partition lies between two nodes."""
        return self._groups.get(a) != self._groups.get(b)

    def rate(self, a: str, b: str) -> float:
        """Bytes per second between two nodes."""
        return min(self._slow.get(a, _FAST)[1], self._slow.get(b, _FAST)[1])

    def travel(self, a: str, b: str) -> float:
        """Draw the seconds that a frame travels between two nodes."""
        low, high = self._latencies.get(_pair(a, b), self._latency)
        drawn = self._chance.uniform(low, high) if high > low else low
        return drawn + self._slow.get(a, _FAST)[0] + self._slow.get(b, _FAST)[0]

    def repeated(self) -> bool:
        """Draw whether a frame is sent twice."""
        return self._happens(self._duplication)

    def lost(self) -> bool:
        """Draw whether a copy is lost."""
        return self._happens(self._loss)

    def astray(self) -> bool:
        """Draw whether a first copy goes astray."""
        return self._happens(self._reordering)

    def detour(self) -> float:
        """Draw the seconds that what goes astray arrives late."""
        return self._chance.uniform(0.0, self._stray)

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._chance.random() < probability


def _pair(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a < b else (b, a)
