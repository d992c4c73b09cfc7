"""A network in memory: ports that receive at an address, pipes that lead there, and the faults that strike in between.

It has no thread and no clock: what happens later is handed to `after`, in virtual time or in real time. Things due at
one moment are to happen in the order in which they were asked for, one at a time; then the same calls with the same
chance give the same frames at the same moments, byte for byte.

Without faults every frame arrives, at once and in order, as by TCP; where nobody receives, none is taken. A frame is
cut if a partition lies in its way when it is sent or when it would arrive, if the port that sent it crashes before
that, or if the one that it is for crashes or closes. Loss, duplication and reordering strike below that, as they strike
packets: so ports number what they send, and drop what is not newer than what they have had from the same sender. What
arrives, arrives at most once and in order; what is lost stays lost.
"""

from __future__ import annotations

import itertools
import math
import random
import threading
from collections import deque
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from tucano.transport.faults import Faults

What = Literal["sent", "duplicated", "lost", "cut", "late", "delivered"]
"""What happens to a frame: it sets out; a second copy does; chance takes a copy; a partition or an end of it does; a
copy arrives after itself or a newer one, and is dropped; it arrives."""

OnFrame = Callable[[float, str, str, What, bytes], object]
"""Told of a frame, quickly: monotonic seconds, sender, receiver, what happens to it, its bytes (see `wire.decode`)."""


class Pending(Protocol):
    """Something due later."""

    def cancel(self) -> None:
        """Let it not happen; harmless when it already has."""
        ...


After = Callable[[float, Callable[[], object]], Pending]
"""Calls something so many seconds from now, but never at once."""


class Port:
    """Where a node receives, and in whose name it sends.

    Args:
        node: the node's name.
        identity: its routing id, where a pipe has no other.
        address: where others send to.
        arrive: takes a sender's routing id and a frame.

    """

    def __init__(self, node: str, identity: bytes, address: str, arrive: Callable[[bytes, bytes], object]) -> None:
        self.node = node
        self.identity = identity
        self.address = address
        self.arrive = arrive
        self.crashed = False
        self._numbers = itertools.count(1)
        self._newest: dict[bytes, int] = {}  # by the sender's routing id

    def number(self) -> int:
        """The next frame's number."""
        return next(self._numbers)

    def is_new(self, identity: bytes, number: int) -> bool:
        """Take note of a frame that arrived; False if it or a newer one of the same sender has been here."""
        new = number > self._newest.get(identity, 0)
        if new:
            self._newest[identity] = number
        return new


class Flight(NamedTuple):
    """A frame on its way."""

    source: Port
    identity: bytes
    target: Port
    number: int
    frame: bytes


class Network(Faults):
    """All ports. Its methods may be called by any thread.

    Args:
        now: monotonic seconds.
        after: time to come.
        chance: for the faults.
        on_frame: told of what happens to frames.

    """

    def __init__(
        self, now: Callable[[], float], after: After, chance: random.Random, on_frame: OnFrame | None = None
    ) -> None:
        super().__init__(chance)
        self.now = now
        self.after = after
        self.lock = threading.RLock()  # around ports, pipes and chance
        self._on_frame = on_frame
        self._ports: dict[str, Port] = {}
        self._addresses = itertools.count(1)

    def crash(self, node: str) -> None:
        """Let a node be gone without a word; what was to arrive there or came from there is cut."""
        with self.lock:
            for port in [port for port in self._ports.values() if port.node == node]:
                port.crashed = True
                self.detach(port)

    def free_address(self, node: str) -> str:
        """An address for a node's port that nobody has had."""
        return f"tcp://{node}.{next(self._addresses)}:1"

    def attach(self, port: Port) -> None:
        """Let a port receive.

        Raises:
            ValueError: another one receives at its address.

        """
        with self.lock:
            if self._ports.setdefault(port.address, port) is not port:
                raise ValueError(f"somebody receives at {port.address} already")

    def detach(self, port: Port) -> None:
        """Let a port receive no more."""
        with self.lock:
            if self.receiver(port.address) is port:
                del self._ports[port.address]

    def receiver(self, address: str) -> Port | None:
        """Who receives at an address."""
        return self._ports.get(address)

    def saw(self, what: What, flight: Flight) -> None:
        """Tell what happens to a frame."""
        if self._on_frame is not None:
            self._on_frame(self.now(), flight.source.node, flight.target.node, what, flight.frame)

    def land(self, flight: Flight) -> None:
        """A copy of a frame is where it should arrive."""
        source, target = flight.source, flight.target
        with self.lock:
            what: What = "delivered"
            if source.crashed or self.receiver(target.address) is not target or self.apart(source.node, target.node):
                what = "cut"
            elif not target.is_new(flight.identity, flight.number):
                what = "late"
            self.saw(what, flight)
        if what == "delivered":
            target.arrive(flight.identity, flight.frame)


class Pipe:
    """The way from a port to an address.

    Args:
        network: what it leads through.
        source: who sends.
        address: where to.
        on_free: called when a frame has left that kept the pipe busy.
        identity: the routing id that it sends with, if not the port's.

    """

    def __init__(
        self, network: Network, source: Port, address: str, on_free: Callable[[], object], identity: bytes = b""
    ) -> None:
        self._network = network
        self._source = source
        self._address = address
        self._on_free = on_free
        self._identity = identity or source.identity
        self._busy = False
        self._in_order: deque[Flight] = deque()
        self._arrival = -math.inf  # when the last of them arrives

    def send(self, frame: bytes) -> bool:
        """Send a frame; False if nobody receives there, or if an earlier frame has not left yet."""
        network, source = self._network, self._source
        with network.lock:
            target = network.receiver(self._address)
            if target is None or self._busy or source.crashed:
                return False
            flight = Flight(source, self._identity, target, source.number(), frame)
            network.saw("sent", flight)
            leaves = len(frame) / network.rate(source.node, target.node)
            if leaves > 0:
                self._busy = True
                network.after(leaves, self._free)
            if network.apart(source.node, target.node):
                network.saw("cut", flight)
                return True
            twice = network.repeated()
            self._copy(flight, leaves, astray=network.astray())
            if twice:
                network.saw("duplicated", flight)
                self._copy(flight, leaves, astray=True)
        return True

    def _copy(self, flight: Flight, leaves: float, *, astray: bool) -> None:
        network = self._network
        if network.lost():
            network.saw("lost", flight)
            return
        delay = leaves + network.travel(flight.source.node, flight.target.node)
        if astray:
            network.after(delay + network.detour(), lambda: network.land(flight))
            return
        now = network.now()
        self._arrival = max(self._arrival, now + delay)
        self._in_order.append(flight)
        network.after(self._arrival - now, self._land_first)

    def _land_first(self) -> None:
        """One of those that keep their order arrives: the first, however the moments were rounded."""
        with self._network.lock:
            flight = self._in_order.popleft()
        self._network.land(flight)

    def _free(self) -> None:
        self._busy = False
        self._on_free()
