"""What every node tells about itself: its actors, what happened to them, and what they said in a conversation."""

from __future__ import annotations

import os
from typing import assert_never

import msgspec

from tucano.actors.kernel import Actor
from tucano.actors.messages.node import Actors, ReadTrace, ReadTraces, Snapshot, Traced, Traces
from tucano.actors.pure.conversation import until

_Inbox = Snapshot | ReadTrace | ReadTraces


class Node(Actor):
    """Answers for its process."""

    Inbox = _Inbox

    def receive(self, message: _Inbox) -> Actors | Traced | Traces:
        """Handle one message."""
        system, node = self._cell.system, self.ref.node
        match message:
            case Snapshot():
                seen = tuple(system.snapshot())
                return Actors(node, os.getpid(), seen, system.events(), system.dead_letters, system.far.links())
            case ReadTrace(trace):
                return Traced(node, system.spans(trace))
            case ReadTraces():
                known = ((info, until(system.spans(info.trace))) for info in system.traces())
                return Traces(node, tuple(msgspec.structs.replace(info, until=last) for info, last in known))
            case _:
                assert_never(message)
