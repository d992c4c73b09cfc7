"""The bridge: a `Link` over ZeroMQ.

A node receives on one ROUTER, in a thread of its own that drains all that is there at each wake-up, and sends to each
peer by a DEALER for each lane, behind a lock (see `outgoing`). When ZeroMQ takes no more for a peer that is there,
letters gather, and a thread of their own sends them on, many in a frame, as soon as there is room.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Final

import zmq

from tucano.transport.link import BEAT, Lane, Receiver
from tucano.transport.link_base import LinkBase
from tucano.transport.outgoing import Counts, Outgoing
from tucano.transport.wire import MAX_FRAME, Peer

SEND_FRAMES: Final = 64
"""Frames on one lane to one peer that ZeroMQ holds before letters gather in the queue, where they are bounded and seen:
with `wire.FRAME`, 64 MiB at most."""

PATIENCE: Final = 20
"""Milliseconds that the sending thread waits for room on one lane before it looks at the next."""


class _Dealer(Outgoing):
    """The way to one peer on one lane: a socket of its own."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        identity: bytes,
        address: str,
        counts: Counts,
        on_stuck: Callable[[_Dealer], object],
    ) -> None:
        super().__init__(counts)
        self._context = context
        self._identity = identity
        self._address = address
        self._on_stuck = on_stuck
        self._may_push = True  # not under way, and the last one was not in vain: nobody waits for who is away
        self._socket = self._connect()

    def _connect(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        socket.set(zmq.ROUTING_ID, self._identity)
        socket.set(zmq.LINGER, 200)
        socket.set(zmq.SNDHWM, SEND_FRAMES)
        socket.set(zmq.IMMEDIATE, 1)  # queue with us, where it is bounded and seen, not for a peer that is away
        socket.set(zmq.RECONNECT_IVL, 20)
        socket.set(zmq.RECONNECT_IVL_MAX, 1000)
        socket.set(zmq.CONNECT_TIMEOUT, 2000)  # a black hole that heals is not waited for as long as TCP would
        socket.set(zmq.HANDSHAKE_IVL, 5000)
        try:
            socket.connect(self._address)
        except zmq.ZMQError:
            socket.close()
            raise
        return socket

    def push(self) -> None:
        """Wait a little for room, and send what is queued."""
        with self._sending:
            room = not self._closed and self._socket.poll(PATIENCE, zmq.POLLOUT)
        if room:
            self._may_push = True
            self.flush()

    def _send(self, frame: bytes) -> bool:
        try:
            self._socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            return False
        self._may_push = True
        return True

    def _renew(self) -> None:
        self._socket.close(0)
        self._socket = self._connect()

    def _stuck(self) -> None:
        if self._may_push:
            self._may_push = False
            self._on_stuck(self)

    def _release(self) -> None:
        self._socket.close()


class ZmqLink(LinkBase):
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
        address = self._router.getsockopt_string(zmq.LAST_ENDPOINT)
        super().__init__(Peer(cluster, node, time.time_ns() // 1_000_000, address), now)
        self._thread = threading.Thread(target=self._run, name=f"tucano-link-{node}", daemon=True)
        self._stuck: queue.SimpleQueue[_Dealer | None] = queue.SimpleQueue()
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
        self._stuck.put(None)
        for thread in (self._thread, self._pusher):
            if thread.is_alive():
                thread.join()
        self._let_go()
        self._router.close()
        self._context.term()

    def _open(self, address: str, lane: Lane, counts: Counts) -> Outgoing:
        return _Dealer(self._context, self._identities[lane], address, counts, self._stuck.put)

    def _push(self) -> None:
        """Send on what ZeroMQ did not take, until closed."""
        while (way := self._stuck.get()) is not None:
            way.push()

    def _run(self) -> None:
        """Receive until closed; beat and look for silent peers in between."""
        ticked = self._now()
        while not self._closed:
            if self._router.poll(int(max(0.0, ticked + BEAT - self._now()) * 1000)):
                self._drain()
            now = self._now()
            if now - ticked >= BEAT:
                self._tick()
                ticked = now

    def _drain(self) -> None:
        """Take all that is there, but look at the clock now and then."""
        with contextlib.suppress(zmq.Again):  # nothing is left
            for _ in range(1000):
                parts = self._router.recv_multipart(zmq.NOBLOCK)
                if len(parts) == 2:
                    self._arrived(*parts)
                else:
                    self._refuse(f"{len(parts) - 1} parts instead of one")
