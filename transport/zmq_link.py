"""The bridge: a `Link` over ZeroMQ.

A node receives on one ROUTER, in a thread of its own that drains all that is there at each wake-up, and sends to each
peer by a DEALER for each lane, behind a lock (see `outgoing`). When ZeroMQ takes no more for a peer that is there,
letters gather, and a thread of their own sends them on, many in a frame, as soon as there is room.
"""

from __future__ import annotations

import functools
import logging
import math
import queue
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import zmq

from tucano.transport.link import BEAT, Lane, Receiver
from tucano.transport.link_base import LinkBase
from tucano.transport.outgoing import Counts, Outgoing
from tucano.transport.secured import Secured
from tucano.transport.security import Insecure, Ring
from tucano.transport.wire import MAX_FRAME, BadFrame, Peer, for_connection

log = logging.getLogger("tucano.transport")

SEND_FRAMES: Final = 64
"""Frames on one lane to one peer that ZeroMQ holds before letters gather in the queue, where they are bounded and seen:
with `wire.FRAME`, 64 MiB at most."""

LULL: Final = 0.0001
"""Seconds without a letter on a lane after which the next one leaves at once; in a closer row, letters gather."""

GATHER: Final = 64
"""Letters that gather at most, until the sending thread comes to it, before whoever adds one sends them all."""

RECEIVE_FRAMES: Final = 256
"""Frames on one lane from one peer that ZeroMQ holds before the peer has to wait."""

SOON: Final = 0.002
"""Seconds that letters are held at most by who meant to flush them, and does not come to it."""

LOOKS: Final = 10
"""How often nothing is found held before nobody looks any more, until something is."""

PATIENCE: Final = 20
"""Milliseconds that the sending thread waits for room on one lane before it looks at the next."""


class _Dealer(Outgoing):
    """The way to one peer on one lane: a socket of its own, which `secure` makes fit for it."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        identity: bytes,
        address: str,
        counts: Counts,
        on_turn: Callable[[Callable[[], object]], object],
        on_keep: Callable[[_Dealer], object],
        secure: Callable[[zmq.Socket[bytes]], None],
    ) -> None:
        super().__init__(counts)
        self._secure = secure
        self._context = context
        self._identity = identity
        self._address = address
        self._on_turn = on_turn
        self._on_keep = on_keep
        self._is_kept = False  # the link knows that letters are held here
        self._is_armed = False  # the sending thread has been told
        self._is_full = False  # ZeroMQ took no more; who waited for room in vain does not wait again
        self._offered_at = -math.inf
        self._socket = self._connect()

    def _connect(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        socket.set(zmq.ROUTING_ID, for_connection(self._identity, secrets.randbits(64)))
        socket.set(zmq.LINGER, 200)
        socket.set(zmq.SNDHWM, SEND_FRAMES)
        socket.set(zmq.IMMEDIATE, 1)  # queue with us, where it is bounded and seen, not for a peer that is away
        socket.set(zmq.RECONNECT_IVL, 20)
        socket.set(zmq.RECONNECT_IVL_MAX, 1000)
        socket.set(zmq.CONNECT_TIMEOUT, 2000)  # a black hole that heals is not waited for as long as TCP would
        socket.set(zmq.HANDSHAKE_IVL, 5000)
        try:
            self._secure(socket)
            socket.connect(self._address)
        except (zmq.ZMQError, ValueError):
            socket.close()
            raise
        return socket

    def offer(self) -> None:
        """See `Outgoing.offer`: after a lull at once, else soon, or when enough has gathered."""
        before, self._offered_at = self._offered_at, time.monotonic()
        if self._is_full or len(self._queue) >= GATHER or self._offered_at - before > LULL:
            self.flush()
        else:
            self._arm()

    def keep(self) -> None:
        """See `Outgoing.keep`."""
        if not self._is_kept:
            self._is_kept = True
            self._on_keep(self)
        super().keep()

    def see_off(self) -> bool:
        """See `Outgoing.see_off`."""
        self._is_kept = False
        return super().see_off()

    def push(self) -> None:
        """Send what is queued; wait a little for room if there was none."""
        self._is_armed = False
        if self._is_full:
            with self._sending:
                if self._closed or not self._socket.poll(PATIENCE, zmq.POLLOUT):
                    return
        self.flush()

    def _arm(self) -> None:
        if not self._is_armed:
            self._is_armed = True
            self._on_turn(self.push)

    def _send(self, frame: bytes) -> bool:
        try:
            self._socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            return False
        self._is_full = False
        return True

    def _renew(self) -> None:
        fresh = self._connect()  # if none can be had, the old one stays
        self._socket.close(0)
        self._socket = fresh

    def _stuck(self) -> None:
        if not self._is_full:
            self._is_full = True
            self._arm()

    def _release(self) -> None:
        self._socket.close()


class ZmqLink(LinkBase):
    """One node's sockets.

    Args:
        node: the node's name.
        cluster: 16 hexadecimal digits; frames from nodes of other clusters are refused.
        bind: address to receive at; port 0 takes any free one.
        fd: a listening socket to receive at, inherited, which outlives this process; `bind` is then its address.
        ring: keys, with which every connection is by CURVE; without, nothing leaves this machine.
        now: monotonic seconds.

    Raises:
        Insecure: an address beyond loopback without keys.
        OSError: somebody else receives at that address.

    """

    def __init__(
        self,
        node: str,
        cluster: str,
        bind: str = "tcp://127.0.0.1:0",
        *,
        fd: int | None = None,
        ring: Ring | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
        self._context.set(zmq.MAX_SOCKETS, 16_384)
        self._router = self._context.socket(zmq.ROUTER)
        self._router.set(zmq.LINGER, 0)
        self._router.set(zmq.MAXMSGSIZE, MAX_FRAME)
        self._router.set(zmq.RCVHWM, RECEIVE_FRAMES)
        self._router.set(zmq.RCVTIMEO, int(BEAT / 2 * 1000))
        self._router.set(zmq.ROUTER_HANDOVER, 1)
        if fd is not None:
            self._router.set(zmq.USE_FD, fd)
        self._secured = Secured(self._context, ring)
        try:
            self._secured.serve(self._router, bind)
            self._router.bind(bind)
        except Insecure:
            self._close_sockets()
            raise
        except zmq.ZMQError as error:
            self._close_sockets()
            raise OSError(error.errno, f"cannot receive at {bind}: {error.strerror}") from error
        address = self._router.getsockopt_string(zmq.LAST_ENDPOINT)
        super().__init__(Peer(cluster, node, time.time_ns() // 1_000_000, address), now)
        self._thread = threading.Thread(target=self._run, name=f"tucano-link-{node}", daemon=True)
        self._turns: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._kept: deque[_Dealer] = deque()  # where letters are held, or were lately
        self._watches = False  # the sending thread looks after them, until there have been none for a while
        self._pusher = threading.Thread(target=self._push, name=f"tucano-push-{node}", daemon=True)

    def start(self, receiver: Receiver) -> None:
        """See `Link.start`."""
        self._receiver = receiver
        self._thread.start()
        self._pusher.start()

    def close(self) -> None:
        """See `Link.close`."""
        if not self._leave():
            return
        self._turns.put(None)
        for thread in (self._thread, self._pusher):
            if thread.is_alive():
                thread.join()
        self._let_go()
        self._close_sockets()

    def _close_sockets(self) -> None:
        self._router.close()
        self._secured.close()
        self._context.term()

    def _open(self, node: str, address: str, lane: Lane, counts: Counts) -> Outgoing:
        secure = functools.partial(self._secured.dial, node=node, address=address)
        identity = self._identities[lane]
        return _Dealer(self._context, identity, address, counts, self._turns.put, self._kept.append, secure)

    def soon(self) -> None:
        """See `Link.soon`: in at most `SOON` seconds, or when the interpreter gives the sending thread its turn."""
        if not self._watches:
            self._watches = True
            self._turns.put(self._see_off)

    def _push(self) -> None:
        """Send on what ZeroMQ did not take, or what was held for too long, until closed."""
        looks = 0  # in vain
        while True:
            try:
                turn = self._turns.get(timeout=SOON if self._watches else None)
            except queue.Empty:
                turn = self._see_off
            if turn is None:
                return
            looks = 0 if turn() else looks + 1
            if looks >= LOOKS:
                self._watches = False
                looks = 0
                if self._see_off():  # held just before that was seen
                    self._watches = True

    def _see_off(self) -> bool:
        """Flush what is held; whether there was anything."""
        return sum(self._kept.popleft().see_off() for _ in range(len(self._kept))) > 0

    def _run(self) -> None:
        """Receive until closed; beat and look for silent peers in between."""
        now = self._now
        ticked = now()
        while not self._closed:
            self._receive()
            if now() - ticked >= BEAT:
                try:
                    self._tick()
                except Exception:  # a way that cannot be renewed must not make the node deaf and mute
                    log.exception("a beat has failed")
                ticked = now()

    def _receive(self) -> None:
        """Wait for a message, and take it; or for `RCVTIMEO`, if none comes."""
        try:
            identity, *frames = self._secured.take(self._router)
        except zmq.Again:
            return
        except BadFrame as error:
            self._refuse(error)
            return
        if len(frames) == 1:
            self._arrived(identity, frames[0])
        else:
            self._refuse(f"{len(frames)} parts instead of one")

    def _tick(self) -> None:
        """See `LinkBase`; nothing more is said to whose key is void."""
        with self._lock:
            void = [self._ways.pop(node) for node in list(self._ways) if self._secured.is_void(node)]
        for ways in void:
            ways.close()
        super()._tick()
