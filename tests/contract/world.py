"""Two worlds for the same actors: real threads, and the simulator."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from tests.contract.kit import Do
from tests.helpers import eventually
from tucano.actors.kernel import Child, Ref, Refused, System, Threads
from tucano.testing import Simulation
from tucano.transport.zmq_link import ZmqLink

CLUSTER = "0123456789abcdef"


class World(Protocol):
    """What a contract test may want of the world.

    Attributes:
        real: whether it has threads and real time.

    """

    real: bool

    def node(self, *children: Child, name: str = "here", **tree: Any) -> System:
        """Start a node, and wait until its actors are up, or it has given up."""
        ...

    def pair(self, here: Sequence[Child], there: Sequence[Child], **tree: Any) -> tuple[System, System]:
        """Start two nodes that know each other."""
        ...

    def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Let time pass until the condition holds."""
        ...

    def block(self, ref: Ref, error: Exception | None = None) -> None:
        """Let a part, or a grove, hang until `unblock`, and then crash if there is an error: what it is sent waits."""
        ...

    def unblock(self) -> None:
        """Let all that hangs go on."""
        ...

    def vanish(self, system: System) -> None:
        """Let a node be gone from the network, without stopping its actors first."""
        ...

    def close(self) -> None:
        """Stop all nodes, in time or it fails."""
        ...


class RealWorld:
    """Real threads, real time, real sockets."""

    real = True

    def __init__(self) -> None:
        self._systems: list[System] = []
        self._gate = threading.Event()

    def node(self, *children: Child, name: str = "here", **tree: Any) -> System:
        """See `World.node`."""
        return self._start(System(name, runtime=Threads(chance=random.Random(name))), children, tree)

    def pair(self, here: Sequence[Child], there: Sequence[Child], **tree: Any) -> tuple[System, System]:
        """See `World.pair`."""
        links = [ZmqLink(name, CLUSTER) for name in ("here", "there")]
        one = self._start(System("here", link=links[0]), here, tree)
        other = self._start(System("there", link=links[1]), there, tree)
        links[0].connect("there", links[1].address)
        eventually(lambda: links[0].connected("there") and links[1].connected("here"), "the nodes meet")
        return one, other

    def until(self, condition: Callable[[], object], what: str = "") -> None:
        """See `World.until`."""
        eventually(lambda: bool(condition()), what)

    def block(self, ref: Ref, error: Exception | None = None) -> None:
        """See `World.block`."""
        entered, gate = threading.Event(), self._gate

        def hang(_: object) -> None:
            entered.set()
            gate.wait(60.0)
            if error is not None:
                raise error

        ref.tell(Do(hang))
        assert entered.wait(20.0)

    def unblock(self) -> None:
        """See `World.unblock`."""
        self._gate.set()
        self._gate = threading.Event()

    def vanish(self, system: System) -> None:
        """See `World.vanish`."""
        system.far.close()

    def close(self) -> None:
        """See `World.close`."""
        self.unblock()
        late = [system.node for system in self._systems if not system.stop(20.0)]
        assert not late, "not all actors stopped in time"

    def _start(self, system: System, children: Sequence[Child], tree: dict[str, Any]) -> System:
        self._systems.append(system)
        system.run(children, **tree)
        with contextlib.suppress(Refused):
            system.wait_until_up(20.0)
        return system


class VirtualWorld:
    """The simulator."""

    real = False

    def __init__(self) -> None:
        self.simulation = Simulation(seed=7)

    def node(self, *children: Child, name: str = "here", **tree: Any) -> System:
        """See `World.node`."""
        system = self.simulation.node(name, *children, **tree).system
        assert system is not None
        return system

    def pair(self, here: Sequence[Child], there: Sequence[Child], **tree: Any) -> tuple[System, System]:
        """See `World.pair`."""
        one, other = self.node(*here, name="here", **tree), self.node(*there, name="there", **tree)
        self.until(lambda: one.far.connected("there") and other.far.connected("here"), "the nodes meet")
        return one, other

    def until(self, condition: Callable[[], object], what: str = "") -> None:
        """See `World.until`."""
        self.simulation.run_until(condition, what)

    def block(self, ref: Ref, error: Exception | None = None) -> None:
        """See `World.block`."""
        self.simulation.freeze(ref.address)
        if error is not None:
            self.simulation.fail(ref.address, error)

    def unblock(self) -> None:
        """See `World.unblock`."""
        self.simulation.thaw()

    def vanish(self, system: System) -> None:
        """See `World.vanish`."""
        self.simulation.nodes[system.node].crash()

    def close(self) -> None:
        """See `World.close`."""
        self.unblock()
        stopped = [node.stop() for node in self.simulation.nodes.values()]
        self.simulation.close()
        assert all(stopped), "not all actors stopped in time"
