"""The bridge: a `Link` over ZeroMQ.

A node receives on one ROUTER, in a thread of its own that drains all that is there at each wake-up, and sends to each
peer by a DEALER of its own behind a lock. Whoever sends while another thread holds that lock only queues: the holder
takes it along in the next frame, so that a lone letter is never delayed and a burst travels together.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import islice

import zmq

from tucano.transport.detector import Detector
from tucano.transport.link import Kind, Letter, Receiver
from tucano.transport.wire import MAX_FRAME, MAX_LETTERS, BadFrame, Peer, decode, encode, read_routing_id, routing_id

log = logging.getLogger("tucano.transport")

BEAT = 0.25
"""Seconds between two heartbeats to each peer; silence is judged by `transport.detector`."""

QUEUE = 20_000
"""Letters that may wait for one peer; more are refused to their senders."""


class Outgoing:
    """The way to one peer: a queue, and a socket with one lock."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], identity: bytes, address: str) -> None:
        self.address = address
        self._queue: deque[Letter] = deque()
        self._lock = threading.Lock()
        self._socket = context.socket(zmq.DEALER)
        self._socket.set(zmq.ROUTING_ID, identity)
        self._socket.set(zmq.LINGER, 200)
        self._socket.set(zmq.IMMEDIATE, 1)  # queue with us, where it is bounded and seen, not for a peer that is away
        self._socket.set(zmq.RECONNECT_IVL, 20)
        self._socket.set(zmq.RECONNECT_IVL_MAX, 1000)
        self._socket.connect(address)

    def put(self, letter: Letter) -> bool:
        """Queue a letter; False if the queue is full."""
        if len(self._queue) >= QUEUE:
            return False
        self._queue.append(letter)
        return True

    def beat(self) -> None:
        """Say that we are there; what waits to be sent says so just as well."""
        if not self._queue:
            self._queue.append(Letter(Kind.BEAT))
        self.flush()

    def flush(self) -> None:
        """Send what is queued, unless another thread is at it: then that one takes it along."""
        while self._queue and self._lock.acquire(blocking=False):
            try:
                if not self._send_some():
                    return
            finally:
                self._lock.release()

    def forget(self) -> None:
        """Drop what is queued: it was meant for an incarnation that is gone."""
        with self._lock:
            self._queue.clear()

    def close(self) -> None:
        """Let go of the socket."""
        with self._lock:
            self._queue.clear()
            self._socket.close()

    def _send_some(self) -> bool:
        """Send queued letters as frames until none is left; False if ZeroMQ takes no more now."""
        while self._queue and not self._socket.closed:
            batch = list(islice(self._queue, MAX_LETTERS))
            frame = encode(batch)
            while len(frame) > MAX_FRAME and len(batch) > 1:
                batch = batch[: len(batch) // 2]
                frame = encode(batch)
            try:
                self._socket.send(frame, zmq.NOBLOCK)
            except zmq.Again:
                return False
            for _ in batch:
                self._queue.popleft()
        return True


class _Known:
    """A peer that has been heard: its incarnation and its heartbeat."""

    def __init__(self, peer: Peer, now: float) -> None:
        self.peer = peer
        self.detector = Detector()
        self.detector.heard(now)


class ZmqLink:
    """One node's sockets.

    Args:
        node: the node's name.
        cluster: 16 hexadecimal digits; frames from nodes of other clusters are refused.
        bind: address to receive at; port 0 takes any free one.
        fd: a listening socket to receive at, inherited, which outlives this process; `bind` is then its address.
        now: monotonic seconds.

    """

    def __init__(
        self,
        node: str,
        cluster: str,
        bind: str = "tcp://127.0.0.1:0",
        *,
        fd: int | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.refused = 0
        self._now = now
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
        self._context.set(zmq.MAX_SOCKETS, 16_384)
        self._router = self._context.socket(zmq.ROUTER)
        self._router.set(zmq.LINGER, 0)
        self._router.set(zmq.MAXMSGSIZE, MAX_FRAME)
        self._router.set(zmq.RCVHWM, 10_000)
        self._router.set(zmq.ROUTER_HANDOVER, 1)
        if fd is not None:
            self._router.set(zmq.USE_FD, fd)
        self._router.bind(bind)
        self._address: str = self._router.getsockopt_string(zmq.LAST_ENDPOINT)
        self._self = Peer(cluster, node, time.time_ns() // 1_000_000, self._address)
        self._identity = routing_id(self._self)
        self._outgoing: dict[str, Outgoing] = {}
        self._known: dict[str, _Known] = {}
        self._identities: dict[bytes, Peer | None] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._receiver: Receiver | None = None
        self._thread = threading.Thread(target=self._run, name=f"tucano-link-{node}", daemon=True)

    @property
    def address(self) -> str:
        """See `Link.address`."""
        return self._address

    def start(self, receiver: Receiver) -> None:
        """See `Link.start`."""
        self._receiver = receiver
        self._thread.start()

    def connect(self, node: str, address: str) -> None:
        """See `Link.connect`."""
        with self._lock:
            present = self._outgoing.get(node)
            if self._closing.is_set() or (present is not None and present.address == address):
                return
            outgoing = self._outgoing[node] = Outgoing(self._context, self._identity, address)
        if present is not None:
            present.close()
        outgoing.put(Letter(Kind.BEAT))
        outgoing.flush()

    def send(self, node: str, letter: Letter) -> bool:
        """See `Link.send`."""
        outgoing = self._outgoing.get(node)
        if outgoing is None or not outgoing.put(letter):
            return False
        outgoing.flush()
        return True

    def connected(self, node: str) -> bool:
        """See `Link.connected`."""
        return node in self._known

    def close(self) -> None:
        """See `Link.close`."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
        for outgoing in self._outgoing.values():
            outgoing.put(Letter(Kind.BYE))
            outgoing.flush()
        if self._thread.is_alive():
            self._thread.join()
        for outgoing in self._outgoing.values():
            outgoing.close()
        self._router.close()
        self._context.term()

    def _run(self) -> None:
        """Receive until closed; beat and look for silent peers in between."""
        last_tick = self._now()
        while not self._closing.is_set():
            if self._router.poll(int(max(0.0, last_tick + BEAT - self._now()) * 1000)):
                self._drain()
            now = self._now()
            if now - last_tick >= BEAT:
                self._tick(now, late=now - last_tick > 4 * BEAT)
                last_tick = now

    def _drain(self) -> None:
        """Take all that is there, but look at the clock now and then."""
        with contextlib.suppress(zmq.Again):  # nothing is left
            for _ in range(1000):
                parts = self._router.recv_multipart(zmq.NOBLOCK)
                try:
                    self._frame(parts)
                except BadFrame as error:
                    self.refused += 1
                    log.warning("refused a frame: %s", error)
                except Exception:  # a receiver's bug must not make the node deaf
                    log.exception("a frame could not be delivered")

    def _frame(self, parts: list[bytes]) -> None:
        if len(parts) != 2:
            raise BadFrame(f"{len(parts) - 1} parts instead of one")
        peer = self._peer(parts[0])
        letters = decode(parts[1])
        receiver = self._receiver
        assert receiver is not None
        known = self._known.get(peer.node)
        if known is None or known.peer != peer:
            if known is not None and known.peer.incarnation > peer.incarnation:
                raise BadFrame(f"from an incarnation of {peer.node} that has been replaced")
            if known is not None:
                self._gone(peer.node, "replaced by a new incarnation")
            self.connect(peer.node, peer.address)
            known = self._known[peer.node] = _Known(peer, self._now())
            receiver.peer_up(peer.node)
        known.detector.heard(self._now())
        if letters and letters[-1].kind == Kind.BYE:
            receiver.letters(peer.node, letters[:-1])
            self._gone(peer.node, "left")
        else:
            receiver.letters(peer.node, [letter for letter in letters if letter.kind != Kind.BEAT])

    def _peer(self, identity: bytes) -> Peer:
        if identity not in self._identities:
            if len(self._identities) > 10_000:
                self._identities.clear()
            try:
                self._identities[identity] = read_routing_id(identity)
            except BadFrame:
                self._identities[identity] = None
                raise
        peer = self._identities[identity]
        if peer is None or peer.node == self._self.node:
            raise BadFrame(f"from a stranger: {identity[:80]!r}")
        if peer.cluster != self._self.cluster:
            raise BadFrame(f"from {peer.node} of another cluster ({peer.cluster})")
        return peer

    def _tick(self, now: float, *, late: bool) -> None:
        for node, known in list(self._known.items()):
            if late:  # we were suspended ourselves: give the others time to be heard
                known.detector.forgive(now)
            elif known.detector.overdue(now):
                self._gone(node, f"silent for {known.detector.silent_for(now):.1f} s")
        with self._lock:
            outgoings = list(self._outgoing.values())
        for outgoing in outgoings:
            outgoing.beat()

    def _gone(self, node: str, why: str) -> None:
        """A peer is away: what is queued for it is void, and asks to it are refused."""
        self._known.pop(node, None)
        with self._lock:
            outgoing = self._outgoing.get(node)
        if outgoing is not None:
            outgoing.forget()
        assert self._receiver is not None
        self._receiver.peer_down(node, why)
