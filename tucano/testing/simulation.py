"""Many nodes in one thread, on virtual time, by a seed."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any

from tucano.actors.kernel import Child, Ref, Refused, System
from tucano.actors.kernel.tree import AwaitUp
from tucano.testing.network import SimulatedNetwork
from tucano.testing.runtime import Player, SimulatedRuntime, Turns
from tucano.transport.memory_link import MemoryLink
from tucano.transport.wire import check_name

CLUSTER = "5151515151515151"

KEPT = 50_000
"""Lines of the trace that are kept; the digest is of all."""


class Unmet(AssertionError):
    """What `run_until` waited for did not come about."""


class Node:
    """A node of a simulation; it may crash and start again.

    Attributes:
        name: its name.
        system: the actors of the present incarnation; None while it is down.
        link: its side of the simulated network.

    """

    def __init__(
        self,
        simulation: Simulation,
        name: str,
        start: Callable[[], Sequence[Child]],
        peers: Collection[str] | None,
        tree: Any,
    ) -> None:
        self.name = name
        self.incarnation = 0
        self._simulation = simulation
        self._start = start
        self._peers = peers
        self._tree = tree
        self._runtime: SimulatedRuntime | None = None
        self.system: System | None = None
        self.link: MemoryLink | None = None

    @property
    def players(self) -> dict[str, Player]:
        """The actors that run, by name."""
        return {} if self._runtime is None or self.system is None else self._runtime.players

    @property
    def unended(self) -> int:
        """How many incarnations have not ended, those that were abandoned among them."""
        return 0 if self._runtime is None else self._runtime.unended

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return self.system is not None and not self.system.ended.is_set()

    def ref(self, address: str) -> Ref:
        """The ref for `name` (of this node) or `node/name`.

        Raises:
            RuntimeError: the node is down.

        """
        if self.system is None:
            raise RuntimeError(f"node {self.name} is down: start it first")
        return self.system.ref(address)

    def start(self) -> None:
        """Start the next incarnation, connected to its peers that are up."""
        simulation = self._simulation
        self.incarnation += 1
        chance = random.Random(f"{simulation.seed}/{self.name}/{self.incarnation}")
        self._runtime = SimulatedRuntime(simulation.turns, chance)
        address = "" if self.link is None else self.link.address  # where it was is where the others look for it
        self.link = MemoryLink(simulation.network, self.name, CLUSTER, self.incarnation, address)
        self.system = System(self.name, runtime=self._runtime, link=self.link)
        self.system.channel.listener = lambda it: simulation.note(f"{self.name} {it.what} {it.who} {it.detail}")
        self.system.run(list(self._start()), **self._tree)
        for other in simulation.nodes.values():
            wanted = other is not self and (self._peers is None or other.name in self._peers)
            if wanted and other.is_up and other.link is not None:
                self.link.connect(other.name, other.link.address)
        simulation.note(f"{self.name} starts, incarnation {self.incarnation}")

    def stop(self, timeout: float = 60.0) -> bool:
        """Stop it in order; whether all actors stopped within `timeout` virtual seconds."""
        system, self.system = self.system, None
        stopped = system is None or system.stop(timeout)
        if self._runtime is not None:
            self._runtime.vanish()  # what was abandoned ends with the process
        return stopped

    def crash(self) -> None:
        """Let it vanish between two messages: no goodbye, no `on_stop`; what it had in memory is gone."""
        self._simulation.note(f"{self.name} vanishes")
        self._simulation.network.crash(self.name)
        if self._runtime is not None:
            self._runtime.vanish()
        self.system = None


class Simulation:
    """Nodes, a network and time, all in the thread that calls.

    Used as a context manager, so that nothing is left behind. `ask` with `block=True` on a ref of a simulated node
    runs the simulation until the answer is there, or the virtual deadline has passed; for an hour of virtual time at
    most, then it is an `Endless`.

    Args:
        seed: the same seed and the same calls give the same run, byte for byte, in any process.

    Attributes:
        chance: for the test's own decisions, so that they replay too.
        network: its faults: latency, loss, duplicates, reordering, partitions, slow nodes.
        nodes: by name.

    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.chance = random.Random(f"{seed}/test")
        self.nodes: dict[str, Node] = {}
        self.turns = Turns(random.Random(f"{seed}/turns"), self.note)
        chance = random.Random(f"{seed}/network")
        self.network = SimulatedNetwork(self.nodes.keys(), self.turns.now, self.turns.after, chance, self._frame)
        self._digest = hashlib.sha256()
        self._trace: deque[str] = deque(maxlen=KEPT)

    def __enter__(self) -> Simulation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def node(
        self,
        name: str,
        *children: Child,
        start: Callable[[], Sequence[Child]] | None = None,
        peers: Collection[str] | None = None,
        wait: float = 10.0,
        **tree: Any,
    ) -> Node:
        """Add a node, start it, and go on until its actors are up.

        Args:
            name: unique in the simulation: a-z, 0-9, `-` and `.`.
            children: of the root tree.
            start: makes the children anew for each incarnation, where they must not share anything.
            peers: names of the nodes that it connects to, by default all; they connect back.
            wait: virtual seconds to wait at most.
            tree: further arguments of the root `Tree`: strategy, law.

        Raises:
            ValueError: a name that cannot be, or that another node has; `Node.start` starts one again.

        """
        check_name(name)
        if name in self.nodes:
            raise ValueError(f"there is a node {name} already: `sim.nodes[{name!r}].start()` starts it again")
        node = self.nodes[name] = Node(self, name, start or (lambda: children), peers, tree)
        node.start()
        with contextlib.suppress(Refused):  # what crashes in its start is the test's own matter
            node.ref("root").ask(AwaitUp(), timeout=wait)
        return node

    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self.turns.now()

    def run(self, seconds: float) -> None:
        """Let so many virtual seconds pass."""
        self.turns.run(self.now() + seconds, lambda: False)

    def run_until(self, condition: Callable[[], object], what: str = "", within: float = 300.0) -> None:
        """Run until `condition()` is true, looking after each turn.

        Raises:
            Unmet: not within so many virtual seconds.

        """
        if not self.turns.run(self.now() + within, condition):
            raise Unmet(f"not within {within:g} virtual seconds: {what or condition}")

    def fail(self, address: str, error: Exception | None = None) -> None:
        """Crash an actor at its next turn, with this error."""
        cell = self._player(address).cell
        cell.fail(error or RuntimeError("as the simulation wants"), cell.incarnation)

    def freeze(self, address: str) -> None:
        """Give an actor no more turns, as if it hung: its tree will abandon it if it is to stop."""
        self.turns.freeze(self._player(address))

    def thaw(self) -> None:
        """Give all frozen actors turns again, abandoned ones too."""
        self.turns.thaw()

    def note(self, text: str) -> None:
        """Add a line to the trace."""
        line = f"{self.now():.6f} {text}\n"
        self._digest.update(line.encode())
        self._trace.append(line)

    @property
    def trace(self) -> str:
        """What happened, a line each: messages handled, frames, events. The latest `KEPT` lines."""
        return "".join(self._trace)

    @property
    def digest(self) -> str:
        """SHA-256 of the whole trace: two runs with one digest were the same."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Let all nodes vanish."""
        for node in self.nodes.values():
            if node.system is not None:
                node.crash()

    def _player(self, address: str) -> Player:
        node, _, name = address.partition("/")
        player = self.nodes[node].players.get(name)
        if player is None:
            raise LookupError(f"no actor of that name runs: {address}")
        return player

    def _frame(self, now: float, sender: str, receiver: str, what: str, frame: bytes) -> None:
        del now
        self.note(f"{sender} -> {receiver} {what} {hashlib.sha256(frame).hexdigest()[:12]}")
