"""Tucano: two nodes, typed messages, an actor with a mailbox at the other end; and a shelf with a large artifact."""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path
from typing import Any

from tests.bench.peers import IN_FLIGHT, MESSAGE, ready
from tests.helpers import eventually
from tucano.actors.kernel import Actor, Child, Message, Ref, System
from tucano.actors.messages.gateway import ReadArtifact
from tucano.actors.messages.node import Snapshot
from tucano.actors.node import Node
from tucano.transport.security import Ring
from tucano.transport.zmq_link import ZmqLink

CLUSTER = "beefbeefbeefbeef"
TIMEOUT = 30.0


class Say(Message, frozen=True):
    id: int
    name: str
    text: str
    cpu: float


SAY = Say(**MESSAGE)  # type: ignore[arg-type]


class Counter(Actor):
    """Counts."""

    Inbox = Say
    counted = 0

    def receive(self, message: Say) -> int:
        self.counted += 1
        return self.counted


class Shelf(Actor):
    """Gives pieces of the file that is named."""

    Inbox = ReadArtifact

    def receive(self, message: ReadArtifact) -> bytes:
        with Path(message.artifact).open("rb") as file:
            file.seek(message.offset)
            return file.read(message.limit)


def serve(ring: Ring | None = None, credentials: str = "") -> None:
    """Be a node with a counter and a shelf; with `credentials` for the client behind its address."""
    link = ZmqLink("server", CLUSTER, ring=ring)
    system = System("server", link=link)
    system.run([Child("counter", Counter, mailbox=2_000_000), Child("shelf", Shelf), Child("node", Node)])
    ready(f"{link.address} {credentials}".strip())
    sys.stdin.read()
    system.stop()


class Ours:
    """A node beside the server's, which says the same again and again."""

    def __init__(self, address: str, say: Say = SAY, ring: Ring | None = None) -> None:
        self._say = say
        self.link = ZmqLink("client", CLUSTER, ring=ring)
        self.system = System("client", link=self.link)
        self.system.run([])
        self.link.connect("server", address)
        eventually(lambda: self.link.connected("server"))
        self.counter: Ref = self.system.ref("server/counter")
        self.ask()

    def ask(self) -> Any:
        return self.counter.ask(self._say, timeout=TIMEOUT)

    def in_flight(self, count: int) -> None:
        ask, say = self.counter.ask, self._say
        open_asks: deque[Any] = deque(ask(say, timeout=TIMEOUT, block=False) for _ in range(IN_FLIGHT))
        for number in range(count):
            open_asks.popleft().get()
            if number < count - IN_FLIGHT:
                open_asks.append(ask(say, timeout=TIMEOUT, block=False))

    def tell(self, count: int) -> None:
        before = self.ask()
        tell, say = self.counter.tell, self._say
        for _ in range(count):
            if not tell(say):
                eventually(lambda: tell(say), "room in the queue")
        assert self.ask() == before + count + 1

    def per_thread(self) -> Any:
        return self.ask

    def down_at_server(self) -> int:
        """How often the server has taken us for silent."""
        actors = self.system.ref("server/node").ask(Snapshot(), timeout=TIMEOUT)
        return sum(event.what == "node_down" for event in actors.events)

    def close(self) -> None:
        self.system.stop()


connect = Ours
