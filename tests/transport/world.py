"""A network in memory in virtual time, and all that happens there."""

from __future__ import annotations

import random

from tests.transport.box import CLUSTER, Box, tell
from tests.transport.manual_time import ManualTime
from tucano.transport.memory_link import MemoryLink, Network

Seen = tuple[float, str, str, str, bytes]


class World:
    """A network in virtual time, its nodes, and all that happened to frames."""

    def __init__(self, seed: int = 1) -> None:
        self.time = ManualTime()
        self.seen: list[Seen] = []
        self.network = Network(
            self.time.now, self.time.after, random.Random(seed), lambda *what: self.seen.append(what)
        )

    def node(self, name: str, incarnation: int = 1, address: str = "") -> tuple[MemoryLink, Box]:
        link, box = MemoryLink(self.network, name, CLUSTER, incarnation, address), Box()
        link.start(box)
        return link, box

    def pair(self) -> tuple[MemoryLink, Box, MemoryLink, Box]:
        """Two nodes that have heard each other."""
        (a, box_a), (b, box_b) = self.node("a"), self.node("b")
        a.connect("b", b.address)
        self.time.advance(1.0)
        assert a.connected("b")
        assert b.connected("a")
        return a, box_a, b, box_b

    def count(self, what: str) -> int:
        return sum(seen[3] == what for seen in self.seen)


def numbers(box: Box) -> list[int]:
    return [int(tag) for tag in box.tags()]


def say(world: World, link: MemoryLink, to: str, times: int, pause: float = 0.01) -> None:
    """Send numbered letters, one at a time."""
    for number in range(times):
        assert link.send(to, tell(str(number)))
        world.time.advance(pause)
