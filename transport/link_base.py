"""What is the same for every link: who is there, a way to each peer, and what a frame leads to.

Decided in `peers`, queued in `outgoing`; a link adds how frames travel, and whose thread receives them.
"""

from __future__ import annotations

import functools
import itertools
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from tucano.transport.link import CONTROL, LANES, Kind, Lane, Letter, PeerInfo, Receiver
from tucano.transport.outgoing import Counts, Outgoing, Ways
from tucano.transport.peers import NameTaken, Peers
from tucano.transport.repeats import Repeats
from tucano.transport.wire import BadFrame, Caller, Peer, decode, routing_id

log = logging.getLogger("tucano.transport")

_NOTICES = 16  # to those whose name is taken, under way at once
_NOTICE = 8  # beats that such a notice may take
_TOLD = 1000  # nodes that are believed when they say that our name is taken; anyone can say so
_KIND = 20  # characters that tell one reason for a refusal from another
_ANSWER = int(Kind.ANSWER)
_TEXT = 500  # characters of what they say


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
        self._repeats = Repeats(log)
        self._dials = itertools.count(1)  # connections that were made
        self._identities = {lane: routing_id(me, lane) for lane in LANES}
        self._address = me.address
        self._now = now
        self._peers = Peers(me, now())
        self._ways: dict[str, Ways] = {}
        self._notices: dict[str, tuple[Outgoing, int]] = {}  # by address; how many beats they still have
        self._wanted: set[str] = set()  # nodes that we were told to connect to; others connect to us
        self._told: set[str] = set()  # who has told us that our name is taken
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
        self._wanted.add(node)
        self._connect(node, address)

    def _connect(self, node: str, address: str) -> None:
        with self._lock:
            present = self._ways.get(node)
            if self._closed or (present is not None and present.address == address):
                return
            ways = self._ways[node] = Ways(address, functools.partial(self._open, node), present)
        if present is not None:
            present.close()
        ways[CONTROL].beat()

    def send(self, node: str, letter: Letter, lane: Lane = CONTROL, *, hold: bool = False) -> bool:
        """See `Link.send`."""
        ways = self._ways.get(node)
        if ways is None:
            return False
        way = ways.get(lane) or ways.way(lane)
        if way is None or not way.put(letter):
            return False
        if hold:
            way.keep()
        else:
            way.offer()
        return True

    def flush(self, node: str) -> None:
        """See `Link.flush`."""
        for way in tuple(self._ways.get(node, {}).values()):
            way.flush()

    def hurry(self, node: str) -> None:
        """See `Link.hurry`."""
        for way in tuple(self._ways.get(node, {}).values()):
            way.hurry()

    def soon(self) -> None:
        """See `Link.soon`: here, now."""
        for node in tuple(self._ways):
            self.flush(node)

    def connected(self, node: str) -> bool:
        """See `Link.connected`."""
        return node in self._peers

    def stats(self) -> list[PeerInfo]:
        """See `Link.stats`."""
        with self._lock:
            ways = sorted(self._ways.items())
        return [PeerInfo(node, way.address, self.connected(node), way.infos()) for node, way in ways]

    @abstractmethod
    def _open(self, node: str, address: str, lane: Lane, counts: Counts) -> Outgoing:
        """Make a way to a node's address."""

    def _leave(self) -> bool:
        """Say goodbye to all; False if that was done before."""
        with self._lock:
            if self._closed:
                return False
            self._closed = True
        for ways in self._ways.values():
            ways[CONTROL].put(Letter(Kind.BYE))
            for way in tuple(ways.values()):
                way.flush()
        return True

    def _let_go(self) -> None:
        """Close all ways."""
        for ways in self._ways.values():
            ways.close()
        for notice, _ in self._notices.values():
            notice.close()

    def _arrived(self, identity: bytes, frame: bytes) -> None:
        """Do what a frame asks for. Called by one thread at a time, as is `_tick`."""
        try:
            try:
                self._hear(self._peers.who(identity), frame)
            except NameTaken as error:
                self._tell_taken(error)
                raise
        except BadFrame as error:
            self._refuse(error)
        except Exception:  # a receiver's bug must not make the node deaf
            self.refused += 1
            log.exception("a frame could not be delivered")

    def _refuse(self, why: object) -> None:
        self.refused += 1
        text = str(why)
        self._repeats.warn(text[:_KIND], f"refused a frame: {text}")

    def _hear(self, caller: Caller, frame: bytes) -> None:
        peer, lane, _ = caller
        receiver = self._receiver
        assert receiver is not None
        letters = decode(frame)
        if letters and letters[0].kind == Kind.TAKEN:
            self._hear_taken(peer.node, self._peers.taken(letters))
            return
        heard = self._peers.heard(caller, letters, self._now())
        if heard.went_down:
            self._gone(peer.node, heard.went_down)
        if heard.came_up:
            try:
                self._connect(peer.node, peer.address)
            except Exception as error:
                self._peers.forget(peer.node)
                raise BadFrame(f"from {peer.node}, who cannot be answered at {peer.address}: {error}") from error
            receiver.peer_up(peer.node)
        ways = self._ways.get(peer.node)
        if ways is not None:  # unless closed
            ways.counts[lane].received += len(letters)
            way = ways.get(lane)
            if way is not None and len(letters) > 1:
                way.expect([letter.kind for letter in letters].count(_ANSWER))
        receiver.letters(peer.node, heard.letters, lane)
        if heard.left:
            self._gone(peer.node, heard.left)

    def _tick(self) -> None:
        """Look for silent peers, and say that we are there; every `BEAT` seconds."""
        for node, why in self._peers.tick(self._now()):
            self._gone(node, why, renew=True)
        with self._lock:
            everyone = [] if self._closed else list(self._ways.values())
        for ways in everyone:
            for lane, way in list(ways.items()):
                if lane == CONTROL:
                    way.beat()
                else:
                    way.flush()
        for address, (notice, beats) in list(self._notices.items()):
            notice.flush()
            if notice.waiting()[0] and beats:
                self._notices[address] = notice, beats - 1
            else:
                del self._notices[address]
                notice.close()

    def _gone(self, node: str, why: str, *, renew: bool = False) -> None:
        """A peer is away: what is queued for it is void, and asks to it are refused."""
        wanted = node in self._wanted
        with self._lock:
            ways = self._ways.get(node) if wanted else self._ways.pop(node, None)
        if ways is not None and wanted:
            ways.forget(renew=renew)
        elif ways is not None:  # it came by itself, and will again if it is back: until then it costs no socket
            ways.close()
        assert self._receiver is not None
        self._receiver.peer_down(node, why)

    # Two nodes that claim one name.

    def _tell_taken(self, error: NameTaken) -> None:
        """Say to a node why it is not heard; it is no peer, so this takes a way of its own."""
        address = error.peer.address
        if address in self._notices or len(self._notices) >= _NOTICES or self._closed:
            return
        try:
            notice = self._open(error.peer.node, address, CONTROL, Counts())
        except Exception as failed:
            raise BadFrame(f"{error}; nor can it be told so: {failed}") from failed
        self._notices[address] = notice, _NOTICE
        notice.put(Letter(Kind.TAKEN, id=error.peer.incarnation, tag=str(error)))
        notice.flush()

    def _hear_taken(self, node: str, why: str) -> None:
        if not why or node in self._told or len(self._told) >= _TOLD:
            return
        self._told.add(node)
        why = why[:_TEXT]
        log.error("%s does not hear us: %s", node, why)
        assert self._receiver is not None
        self._receiver.name_taken(node, why)
