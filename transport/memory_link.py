"""A `Link` through a `Network` in memory: the real one's rules and bytes, without its sockets, threads and time.

Letters are encoded, framed and queued, peers judged, and heartbeats sent, exactly as by `ZmqLink`. What the network
promises without faults is what ZeroMQ over TCP promises; with faults the promise of `Link` still holds: each letter at
most once, and in order for one sender and receiver incarnation.
"""

from __future__ import annotations

import threading

from tucano.transport.link import BEAT, CONTROL, Lane, Receiver
from tucano.transport.link_base import LinkBase
from tucano.transport.network import Network, Pending, Pipe, Port
from tucano.transport.outgoing import Counts, Outgoing
from tucano.transport.wire import Peer

__all__ = ["MemoryLink", "Network"]


class _Piped(Outgoing):
    """The way to one peer on one lane: a pipe of its own."""

    def __init__(self, network: Network, source: Port, identity: bytes, address: str, counts: Counts) -> None:
        super().__init__(counts)
        self._pipe = Pipe(network, source, address, on_free=self.flush, identity=identity)

    def _send(self, frame: bytes) -> bool:
        return self._pipe.send(frame)

    def expect(self, count: int) -> None:
        """Nothing gathers in a pipe."""

    def _release(self) -> None:
        """What has left still arrives."""

    def _renew(self) -> None:
        """A pipe is never half open."""

    def _stuck(self) -> None:
        """The pipe says when it is free; where nobody receives, the next beat tries again."""


class MemoryLink(LinkBase):
    """One node's side of a network in memory.

    A node that restarts is a new link with a higher incarnation.

    Args:
        network: what it is connected to.
        node: the node's name.
        cluster: 16 hexadecimal digits; frames from nodes of other clusters are refused.
        incarnation: 1 or more.
        address: where to receive, `tcp://HOST:PORT`; if empty, where nobody has received yet.

    """

    def __init__(self, network: Network, node: str, cluster: str, incarnation: int, address: str = "") -> None:
        super().__init__(Peer(cluster, node, incarnation, address or network.free_address(node)), network.now)
        self._network = network
        self._port = Port(node, self._identities[CONTROL], self.address, self._take)
        self._turn = threading.RLock()  # one frame or beat at a time, and none once closed
        self._next_beat: Pending | None = None

    def start(self, receiver: Receiver) -> None:
        """See `Link.start`.

        Raises:
            ValueError: another link receives at its address.

        """
        self._receiver = receiver
        self._network.attach(self._port)
        self._next_beat = self._network.after(BEAT, self._beat)

    def close(self) -> None:
        """See `Link.close`. What has been sent still arrives."""
        if not self._leave():
            return
        with self._turn:
            self._network.detach(self._port)
            if self._next_beat is not None:
                self._next_beat.cancel()
        self._let_go()

    def _open(self, node: str, address: str, lane: Lane, counts: Counts) -> Outgoing:
        del node
        return _Piped(self._network, self._port, self._identities[lane], address, counts)

    def _take(self, identity: bytes, frame: bytes) -> None:
        with self._turn:
            if not self._closed:
                self._arrived(identity, frame)

    def _beat(self) -> None:
        with self._turn:
            if not (self._closed or self._port.crashed):
                self._next_beat = self._network.after(BEAT, self._beat)
                self._tick()
