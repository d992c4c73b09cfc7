"""The networks that keep the contract of a link: each makes links, and lets strangers speak to them."""

from __future__ import annotations

import random
import time
from typing import Protocol

import zmq

from tests.transport.box import CLUSTER, Box
from tucano.actors.kernel.timers import ThreadTimers
from tucano.transport.link import Receiver
from tucano.transport.link_base import LinkBase
from tucano.transport.memory_link import MemoryLink, Network
from tucano.transport.network import Pipe, Port
from tucano.transport.zmq_link import ZmqLink


class Watch:
    """The machine's clock, made to run faster."""

    def __init__(self, speed: float) -> None:
        self._speed = speed

    def now(self) -> float:
        return time.monotonic() * self._speed

    def wall(self) -> float:
        return time.time()


class Net(Protocol):
    """One kind of network."""

    def make(self, node: str, cluster: str, address: str) -> LinkBase: ...

    def speak(self, identity: bytes, address: str, frame: bytes) -> None: ...

    def close(self) -> None: ...


class ZmqNet:
    """Sockets on the loopback."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._dealers: dict[tuple[bytes, str], zmq.Socket[bytes]] = {}

    def make(self, node: str, cluster: str, address: str) -> LinkBase:
        return ZmqLink(node, cluster, address or "tcp://127.0.0.1:0", now=self._watch.now)

    def speak(self, identity: bytes, address: str, frame: bytes) -> None:
        dealer = self._dealers.get((identity, address))
        if dealer is None:
            dealer = self._dealers[identity, address] = self._context.socket(zmq.DEALER)
            dealer.set(zmq.ROUTING_ID, identity)
            dealer.set(zmq.LINGER, 0)
            dealer.connect(address)
        dealer.send(frame)

    def close(self) -> None:
        for dealer in self._dealers.values():
            dealer.close()
        self._context.term()


class MemoryNet:
    """A network in memory, over real timers."""

    def __init__(self, watch: Watch) -> None:
        self._timers = ThreadTimers(watch)
        self._network = Network(watch.now, self._timers.after, random.Random(1))
        self._incarnation = 0
        self._ports: dict[bytes, Port] = {}

    def make(self, node: str, cluster: str, address: str) -> LinkBase:
        self._incarnation += 1
        return MemoryLink(self._network, node, cluster, self._incarnation, address)

    def speak(self, identity: bytes, address: str, frame: bytes) -> None:
        port = self._ports.setdefault(identity, Port("stranger", identity, "", lambda _identity, _frame: None))
        assert Pipe(self._network, port, address, lambda: None).send(frame)

    def close(self) -> None:
        self._timers.close()


class Harness:
    """Links of one network, started and closed."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self._links: list[LinkBase] = []
        self.speak = net.speak

    def link(
        self, node: str, *, cluster: str = CLUSTER, address: str = "", receiver: Receiver | None = None
    ) -> tuple[LinkBase, Box]:
        link, box = self._net.make(node, cluster, address), Box()
        self._links.append(link)
        link.start(receiver or box)
        return link, box

    def close(self) -> None:
        for link in self._links:
            link.close()
        self._net.close()
