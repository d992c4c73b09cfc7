"""The network of a simulation: that of `transport`, which besides knows who is on it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterable

from tucano.transport.network import After, Network, OnFrame


class SimulatedNetwork(Network):
    """A network whose faults strike nodes of the simulation only: a misspelt name would be a test that tests nothing.

    Args:
        nodes: those of the simulation, up or down.
        now: virtual seconds.
        after: calls something later.
        chance: draws what goes wrong.
        on_frame: told of each frame.

    """

    def __init__(
        self,
        nodes: Collection[str],
        now: Callable[[], float],
        after: After,
        chance: random.Random,
        on_frame: OnFrame,
    ) -> None:
        super().__init__(now, after, chance, on_frame)
        self._nodes = nodes

    def crash(self, node: str) -> None:
        """See `Network.crash`; `ValueError` if there is no such node."""
        self._check(node)
        super().crash(node)

    def latency(self, low: float, high: float, between: tuple[str, str] | None = None) -> None:
        """See `Faults.latency`; `ValueError` if there are no such nodes."""
        self._check(*(between or ()))
        super().latency(low, high, between)

    def slow(self, node: str, seconds: float = 0.0, rate: float = math.inf) -> None:
        """See `Faults.slow`; `ValueError` if there is no such node."""
        self._check(node)
        super().slow(node, seconds, rate)

    def partition(self, *groups: Iterable[str]) -> None:
        """See `Faults.partition`.

        Raises:
            TypeError: a group is a text; it is to be a list of names.
            ValueError: there is no such node.

        """
        for group in groups:
            if isinstance(group, str):
                raise TypeError(f"a group is a list of nodes: partition([{group!r}]), not partition({group!r})")
        known = [list(group) for group in groups]
        self._check(*(node for group in known for node in group))
        super().partition(*known)

    def _check(self, *nodes: str) -> None:
        for node in nodes:
            if node not in self._nodes:
                raise ValueError(f"no node is called {node!r}; there are: {', '.join(self._nodes) or 'none yet'}")
