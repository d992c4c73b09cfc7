from __future__ import annotations

import os
from collections.abc import Callable

from tests.helpers import eventually
from tucano.actors.kernel import Actor, Child, System
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


class Reminded(Actor):
    Inbox = str

    def receive(self, message: str) -> None:
        if message == "begin":
            self.after(0.05, "remember")


def test_a_conversation_ends_with_what_actors_said_to_each_other(node: Callable[..., System]) -> None:
    system = node(Child("node", Node), Child("reminded", Reminded), name="worker-1")
    with system.trace() as trace:
        system.ref("reminded").tell("begin")
    eventually(lambda: [span for span in system.spans(trace) if span.kind == "timer" and span.begun])
    [found] = system.ref("node").ask(ReadTraces(), timeout=5).traces
    [told] = [span for span in system.spans(trace) if span.kind == "tell" and span.begun]
    assert found.until == told.begun


def test_a_node_that_took_no_part_in_a_conversation_says_so(node: Callable[..., System]) -> None:
    system = node(Child("node", Node), name="worker-1")
    assert system.ref("node").ask(ReadTrace("0" * 16), timeout=5) == Traced("worker-1", ())
    assert system.ref("node").ask(ReadTraces(), timeout=5) == Traces("worker-1", ())
