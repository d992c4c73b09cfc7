"""What is the same for every link: who is there, a way to each peer, and what a frame leads to.

Decided in `peers`, queued in `outgoing`; a link adds how frames travel, and whose thread receives them.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from tucano.transport.link import Kind, Letter, Receiver
from tucano.transport.outgoing import Outgoing
from tucano.transport.peers import Peers
from tucano.transport.wire import BadFrame, Peer, decode, routing_id

log = logging.getLogger("tucano.transport")


class LinkBase(ABC):
    """A `Link` of which only the transport is open: receiving, and a way to a peer.

    Args:
        me: who the node says that it is.
        now: monotonic seconds.

    Attributes:
        refused: frames that were refused so far.

    Raises:
        BadFrame: a name that no peer would accept.

    """

    def __init__(self, me: Peer, now: Callable[[], float]) -> None:
        self.refused = 0
        self._identity = routing_id(me)
        self._address = me.address
        self._now = now
        self._peers = Peers(me, now())
        self._outgoing: dict[str, Outgoing] = {}
        self._lock = threading.Lock()  # around the ways out, and so that none is made once closed
        self._closed = False
        self._receiver: Receiver | None = None

    @property
    def address(self) -> str:
        """See `Link.address`."""
        return self._address

    @abstractmethod
    def start(self, receiver: Receiver) -> None:
        """See `Link.start`."""

    @abstractmethod
    def close(self) -> None:
        """See `Link.close`."""

    def connect(self, node: str, address: str) -> None:
        """See `Link.connect`."""
        with self._lock:
            present = self._outgoing.get(node)
            if self._closed or (present is not None and present.address == address):
                return
            outgoing = self._outgoing[node] = self._open(node, address)
        if present is not None:
            present.close()
        outgoing.beat()

    def send(self, node: str, letter: Letter) -> bool:
        """See `Link.send`."""
        outgoing = self._outgoing.get(node)
        if outgoing is None or not outgoing.put(letter):
            return False
        outgoing.flush()
        return True

    def connected(self, node: str) -> bool:
        """See `Link.connected`."""
        return node in self._peers

    @abstractmethod
    def _open(self, node: str, address: str) -> Outgoing:
        """Make a way to a node's address."""

    def _leave(self) -> bool:
        """Say goodbye to all; False if that was done before."""
        with self._lock:
            if self._closed:
                return False
            self._closed = True
        for outgoing in self._outgoing.values():
            outgoing.put(Letter(Kind.BYE))
            outgoing.flush()
        return True

    def _arrived(self, identity: bytes, frame: bytes) -> None:
        """Do what a frame asks for. Called by one thread at a time, as is `_tick`."""
        try:
            self._hear(self._peers.who(identity), frame)
        except BadFrame as error:
            self._refuse(error)
        except Exception:  # a receiver's bug must not make the node deaf
            log.exception("a frame could not be delivered")

    def _refuse(self, why: object) -> None:
        self.refused += 1
        log.warning("refused a frame: %s", why)

    def _hear(self, peer: Peer, frame: bytes) -> None:
        receiver = self._receiver
        assert receiver is not None
        heard = self._peers.heard(peer, decode(frame), self._now())
        if heard.went_down:
            self._gone(peer.node, heard.went_down)
        if heard.came_up:
            try:
                self.connect(peer.node, peer.address)
            except Exception as error:
                self._peers.forget(peer.node)
                raise BadFrame(f"from {peer.node}, who cannot be answered at {peer.address}: {error}") from error
            receiver.peer_up(peer.node)
        receiver.letters(peer.node, heard.letters)
        if heard.left:
            self._gone(peer.node, heard.left)

    def _tick(self) -> None:
        """Look for silent peers, and say that we are there; every `BEAT` seconds."""
        for node, why in self._peers.tick(self._now()):
            self._gone(node, why)
        with self._lock:
            outgoings = list(self._outgoing.values())
        for outgoing in outgoings:
            outgoing.beat()

    def _gone(self, node: str, why: str) -> None:
        """A peer is away: what is queued for it is void, and asks to it are refused."""
        with self._lock:
            outgoing = self._outgoing.get(node)
        if outgoing is not None:
            outgoing.forget()
        assert self._receiver is not None
        self._receiver.peer_down(node, why)
