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

from tucano.transport.curve import Curve
from tucano.transport.link import BEAT, Receiver
from tucano.transport.link_base import LinkBase
from tucano.transport.outgoing import Outgoing
from tucano.transport.security import Ring, refuse_beyond_loopback
from tucano.transport.wire import MAX_FRAME, BadFrame, Peer


class _Dealer(Outgoing):
    """The way to one peer: a socket of its own."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        identity: bytes,
        address: str,
        secure: Callable[[zmq.Socket[bytes]], object],
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
        ring: keys, without which nothing leaves this machine; with them every connection is by CURVE.
        now: monotonic seconds.

    Raises:
        Insecure: an address beyond loopback without keys.

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
        if ring is None:
            refuse_beyond_loopback(bind, "the bridge at")
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
        self._context.set(zmq.MAX_SOCKETS, 16_384)
        self._curve = None if ring is None else Curve(self._context, ring, ["node"])
        self._called: dict[str, str] = {}  # node by address
        self._keys: dict[str, str] = {}  # with which its node was called, by address
        self._router = self._context.socket(zmq.ROUTER)
        self._router.set(zmq.LINGER, 0)
        self._router.set(zmq.MAXMSGSIZE, MAX_FRAME)
        self._router.set(zmq.RCVHWM, 10_000)
        self._router.set(zmq.ROUTER_HANDOVER, 1)
        if fd is not None:
            self._router.set(zmq.USE_FD, fd)
        if self._curve is not None:
            self._curve.serve(self._router)
        try:
            self._router.bind(bind)
        except zmq.ZMQError:
            self._let_go()
            raise
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
        self._let_go()

    def _let_go(self) -> None:
        self._router.close()
        if self._curve is not None:
            self._curve.close()
        self._context.term()

    def connect(self, node: str, address: str) -> None:
        """See `Link.connect`.

        Raises:
            Insecure: an address beyond loopback without keys.
            UnknownKey: the node has no key that is known here.

        """
        self._called[address] = node
        super().connect(node, address)

    def _open(self, address: str) -> Outgoing:
        return _Dealer(self._context, self._identity, address, functools.partial(self._secure, address))

    def _secure(self, address: str, socket: zmq.Socket[bytes]) -> None:
        """Make a socket fit to connect to a node's address."""
        if self._curve is None:
            refuse_beyond_loopback(address, "the connection to")
        else:
            self._keys[address] = self._curve.dial(socket, self._called[address])

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
                parts = self._take()
                if len(parts) == 2:
                    self._arrived(*parts)
                elif parts:
                    self._refuse(f"{len(parts) - 1} parts instead of one")

    def _take(self) -> list[bytes]:
        """The parts of what is there; none if it was not by the key of whose it says that it is."""
        if self._curve is None:
            return self._router.recv_multipart(zmq.NOBLOCK)
        frames = self._router.recv_multipart(zmq.NOBLOCK, copy=False)
        parts = [frame.bytes for frame in frames]
        try:
            self._curve.vouch(parts[0], frames[-1])
        except BadFrame as error:
            self._refuse(error)
            return []
        return parts

    def _tick(self) -> None:
        """See `LinkBase`; nothing more is said to whose key is void."""
        if self._curve is not None:
            with self._lock:
                void = [
                    node
                    for node, outgoing in self._outgoing.items()
                    if not self._curve.is_valid(node, self._keys[outgoing.address])
                ]
                closing = [self._outgoing.pop(node) for node in void]
            for outgoing in closing:
                outgoing.close()
        super()._tick()
