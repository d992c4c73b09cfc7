"""The bridge: a `Link` over ZeroMQ.

A node receives on one ROUTER, in a thread of its own that drains all that is there at each wake-up, and sends to each
peer by a DEALER for each lane, behind a lock (see `outgoing`). When ZeroMQ takes no more for a peer that is there,
letters gather, and a thread of their own sends them on, many in a frame, as soon as there is room.
"""

from __future__ import annotations

import functools
import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final

import zmq

from tucano.transport.link import BEAT, CONTROL, Lane, Receiver
from tucano.transport.link_base import LinkBase
from tucano.transport.outgoing import Counts, Outgoing
from tucano.transport.pusher import Pusher
from tucano.transport.secured import Secured
from tucano.transport.security import NEW_TOKEN, Insecure, Ring
from tucano.transport.wire import MAX_FRAME, BadFrame, Peer, for_connection
from tucano.transport.zmq_dealer import Dealer

log = logging.getLogger("tucano.transport")

RECEIVE_FRAMES: Final = 256
"""Frames on one lane from one peer that ZeroMQ holds before the peer has to wait."""


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
        self._barred: set[str] = set()  # of those that we were told to connect to, who does not let us in
        self._thread = threading.Thread(target=self._run, name=f"tucano-link-{node}", daemon=True)
        self._pusher = Pusher(f"tucano-push-{node}")

    def start(self, receiver: Receiver) -> None:
        """See `Link.start`."""
        self._receiver = receiver
        self._thread.start()
        self._pusher.start()

    def close(self) -> None:
        """See `Link.close`."""
        if not self._leave():
            return
        if self._thread.is_alive():
            self._thread.join()
        self._pusher.close()
        self._let_go()
        self._close_sockets()

    def _close_sockets(self) -> None:
        self._router.close()
        self._secured.close()
        self._context.term()

    def _open(self, node: str, address: str, lane: Lane, counts: Counts) -> Outgoing:
        secure = functools.partial(self._secured.dial, node=node, address=address)
        identity = functools.partial(self._identity, lane)
        barred = functools.partial(self._tell_barred, node) if lane == CONTROL and node in self._wanted else None
        return Dealer(self._context, identity, address, counts, self._pusher, secure, barred)

    def _tell_barred(self, node: str) -> None:
        """Say once that we are not let in by whom we were told to connect to."""
        if node not in self._barred:
            self._barred.add(node)
            log.error("%s does not admit our key: %s", node, NEW_TOKEN)

    def _identity(self, lane: Lane) -> bytes:
        """The routing id of a connection that is about to be made."""
        return for_connection(self._identities[lane], next(self._dials), secrets.randbits(64))

    def soon(self) -> None:
        """See `Link.soon`: in at most `pusher.SOON` seconds, or when the interpreter gives the pusher its turn."""
        self._pusher.soon()

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
