"""The bridge: a `Link` over ZeroMQ.

A node receives on one ROUTER, in a thread of its own that drains all that is there at each wake-up, and sends to each
peer by a DEALER of its own behind a lock (see `outgoing`).
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable

import zmq

from tucano.transport.link import BEAT, Receiver
from tucano.transport.link_base import LinkBase
from tucano.transport.outgoing import Outgoing
from tucano.transport.secured import Secured
from tucano.transport.security import Insecure, Ring
from tucano.transport.wire import MAX_FRAME, BadFrame, Peer


class _Dealer(Outgoing):
    """The way to one peer: a socket of its own, which `secure` makes fit for it."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        identity: bytes,
        address: str,
        secure: Callable[[zmq.Socket[bytes]], None],
    ) -> None:
        super().__init__(address)
        self._socket = context.socket(zmq.DEALER)
        self._socket.set(zmq.ROUTING_ID, identity)
        self._socket.set(zmq.LINGER, 200)
        self._socket.set(zmq.IMMEDIATE, 1)  # queue with us, where it is bounded and seen, not for a peer that is away
        self._socket.set(zmq.RECONNECT_IVL, 20)
        self._socket.set(zmq.RECONNECT_IVL_MAX, 1000)
        try:
            secure(self._socket)
            self._socket.connect(address)
        except (zmq.ZMQError, ValueError):
            self._socket.close()
            raise

    def _send(self, frame: bytes) -> bool:
        try:
            self._socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

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
        self._router.set(zmq.RCVHWM, 10_000)
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

    def start(self, receiver: Receiver) -> None:
        """See `Link.start`."""
        self._receiver = receiver
        self._thread.start()

    def close(self) -> None:
        """See `Link.close`."""
        if not self._leave():
            return
        if self._thread.is_alive():
            self._thread.join()
        for outgoing in self._outgoing.values():
            outgoing.close()
        self._close_sockets()

    def _close_sockets(self) -> None:
        self._router.close()
        self._secured.close()
        self._context.term()

    def _open(self, node: str, address: str) -> Outgoing:
        secure = functools.partial(self._secured.dial, node=node, address=address)
        return _Dealer(self._context, self._identity, address, secure)

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

    def _tick(self) -> None:
        """See `LinkBase`; nothing more is said to whose key is void."""
        with self._lock:
            void = [self._outgoing.pop(node) for node in list(self._outgoing) if self._secured.is_void(node)]
        for outgoing in void:
            outgoing.close()
        super()._tick()

    def _drain(self) -> None:
        """Take all that is there, but look at the clock now and then."""
        with contextlib.suppress(zmq.Again):  # nothing is left
            for _ in range(1000):
                try:
                    parts = self._secured.take(self._router)
                except BadFrame as error:
                    self._refuse(error)
                    continue
                if len(parts) == 2:
                    self._arrived(*parts)
                else:
                    self._refuse(f"{len(parts) - 1} parts instead of one")
