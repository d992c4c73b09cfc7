"""Everything that can go wrong with a node or more, drawn by a seed, and the calm after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.sim.forest import GENEROUS, LEAVES, TIMEOUT, TREES, Ledger, Trouble, plant
from tucano.actors.kernel import ActorInfo, Ref
from tucano.testing import Simulation
from tucano.testing.simulation import Node


class Storm:
    """A node or more, and everything that can go wrong.

    Args:
        simulation: where.
        count: of nodes.
        tree: of all trees: strategy and law.

    """

    def __init__(self, simulation: Simulation, count: int, **tree: Any) -> None:
        self.simulation = simulation
        self.chance = simulation.chance
        self.ledger = Ledger(simulation.chance)
        self.lost = 0  # dead letters of nodes that have crashed since
        self.ends: list[str] = []  # how asks may end, besides `ENDS`
        names = [f"n{number}" for number in range(count)]
        self.nodes = [simulation.node(name, start=lambda: plant(self.ledger, names, **tree), **tree) for name in names]

    def blow(self, rounds: int, *actions: str) -> None:
        """Do one thing after the other, at random."""
        self.ledger.stormy = True
        if "freeze" in actions or "crash" in actions:
            self.ends += ["timeout", "unreachable"]
        for _ in range(rounds):
            getattr(self, f"_{self.chance.choice(actions)}")()
            self.simulation.run(self.chance.uniform(0.0, 0.4))
            self.ledger.check()

    def calm(self) -> None:
        """No more faults: all that crashed is up again in a moment, all that waits is handled, all asks have ended."""
        self.ledger.stormy = False
        simulation = self.simulation
        simulation.thaw()
        simulation.network.heal()
        simulation.network.disturb()
        simulation.network.latency(0.0, 0.0)
        for node in self.nodes:
            if node.system is None:
                node.start()
        simulation.run_until(self.all_up, "every permanent child is up again", within=30.0)
        simulation.run(2 * TIMEOUT)
        self.ledger.check_asks(*self.ends)
        self.ledger.check_pipes()
        for node in self.nodes:
            assert node.unended == len(node.players), "who was replaced has ended"

    def all_up(self) -> bool:
        """Whether every leaf of every node runs."""
        everybody = {"root", *LEAVES, *TREES}
        return all({it.name for it in self._snapshot(node) if it.phase == "up"} == everybody for node in self.nodes)

    def dead_letters(self) -> int:
        """Messages that were counted as undeliverable."""
        return self.lost + sum(node.system.dead_letters for node in self.nodes if node.system is not None)

    def _snapshot(self, node: Node) -> Sequence[ActorInfo]:
        return () if node.system is None else node.system.snapshot()

    def _node(self) -> Node:
        return self.chance.choice(self.nodes)

    def _ref(self) -> Ref | None:
        """Somebody, as seen from some node that is up."""
        up = [node for node in self.nodes if node.is_up]
        if not up:
            return None
        return self.chance.choice(up).ref(f"{self._node().name}/{self.chance.choice(LEAVES)}")

    def _tell(self) -> None:
        for _ in range(self.chance.randrange(1, 8)):
            if ref := self._ref():
                self.ledger.tell(ref, 1)

    def _ask(self) -> None:
        for _ in range(self.chance.randrange(1, 8)):
            if ref := self._ref():
                self.ledger.ask(ref, 1)

    def _fail(self) -> None:
        node, name = self._node(), self.chance.choice(LEAVES + TREES)
        if name in node.players:
            self.simulation.fail(f"{node.name}/{name}", Trouble())

    def _freeze(self) -> None:
        node, name = self._node(), self.chance.choice(LEAVES + TREES)
        if name in node.players:
            self.simulation.freeze(f"{node.name}/{name}")

    def _thaw(self) -> None:
        self.simulation.thaw()

    def _crash(self) -> None:
        """A node vanishes, or one that has comes back."""
        node = self._node()
        if node.system is None:
            node.start()
        else:
            self.lost += node.system.dead_letters
            node.crash()

    def _partition(self) -> None:
        self.simulation.network.partition([node.name for node in self.nodes if self.chance.random() < 0.5])

    def _heal(self) -> None:
        self.simulation.network.heal()

    def _noise(self) -> None:
        loss, duplication, reordering = (self.chance.choice((0.0, 0.1)) for _ in range(3))
        self.simulation.network.disturb(loss=loss, duplication=duplication, reordering=reordering)
        self.simulation.network.latency(0.0, self.chance.choice((0.0, 0.01, 0.2)))


def digest(seed: int) -> str:
    """What a run with everything in it comes to."""
    with Simulation(seed) as simulation:
        storm = Storm(simulation, 3, strategy="rest_for_one", law=GENEROUS)
        storm.blow(30, "tell", "ask", "fail", "freeze", "thaw", "crash", "partition", "heal", "noise")
        storm.calm()
        return simulation.digest
