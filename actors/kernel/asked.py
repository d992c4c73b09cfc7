"""What this node has asked others, and waits for."""

from __future__ import annotations

import itertools
from typing import Final

from tucano.actors.kernel.clock import Clock
from tucano.actors.kernel.reply import Asker

SWEEP: Final = 1024
"""Asks that may be open before those whose time is over are looked for."""


class Asked:
    """The asks that are open, by number. Any thread may call.

    Args:
        clock: time now.

    """

    def __init__(self, clock: Clock) -> None:
        self._now = clock.now
        self._open: dict[int, tuple[str, float, Asker]] = {}  # the node that was asked, the deadline, who waits
        self._sweep_at = SWEEP
        # an answer to what our incarnation before has asked may still come, and must not be taken for one to us
        self._numbers = itertools.count((int(clock.wall() * 1000) << 20) + 1)

    def add(self, node: str, timeout: float, asker: Asker) -> int:
        """Remember for so many seconds who waits for a node's answer; gives the ask's number."""
        now = self._now()
        if len(self._open) >= self._sweep_at:
            for number, (_, deadline, _) in list(self._open.items()):
                if deadline < now:
                    self._open.pop(number, None)
            self._sweep_at = max(SWEEP, 2 * len(self._open))
        number = next(self._numbers)
        self._open[number] = (node, now + timeout, asker)
        return number

    def take(self, node: str, number: int) -> Asker | None:
        """Who waits for that node's answer, for once: the next one who takes it gets None."""
        found = self._open.get(number)
        if found is None or found[0] != node or self._open.pop(number, None) is None:
            return None
        return found[2]

    def whom(self, number: int) -> str:
        """The node that was asked; empty if nobody waits any more."""
        found = self._open.get(number)
        return "" if found is None else found[0]

    def of(self, node: str) -> list[int]:
        """The asks that a node has not answered."""
        return [number for number, (to, _, _) in list(self._open.items()) if to == node]
