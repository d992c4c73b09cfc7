from __future__ import annotations

import os
from collections.abc import Callable

from tucano.actors.kernel import Child, System
from tucano.actors.messages.node import Actors, ReadTrace, ReadTraces, Snapshot, Traced, Traces
from tucano.actors.node import Node
from tucano.testing import Probe


def test_a_node_tells_its_actors_and_what_it_could_not_deliver(node: Callable[..., System]) -> None:
    system = node(Child("node", Node), name="worker-1", other=Probe())
    system.ref("nobody").tell("lost")
    found = system.ref("node").ask(Snapshot(), timeout=5)
    assert isinstance(found, Actors)
    assert (found.node, found.pid, found.dead_letters) == ("worker-1", os.getpid(), 1)
    assert {actor.name for actor in found.actors} == {"root", "node", "other"}


def test_a_node_that_took_no_part_in_a_conversation_says_so(node: Callable[..., System]) -> None:
    system = node(Child("node", Node), name="worker-1")
    assert system.ref("node").ask(ReadTrace("0" * 16), timeout=5) == Traced("worker-1", ())
    assert system.ref("node").ask(ReadTraces(), timeout=5) == Traces("worker-1", ())
