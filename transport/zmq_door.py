"""A `Door` over a ZeroMQ ROUTER: for DEALER clients, and for REQ clients with their empty delimiter frame."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable

import zmq

from tucano.transport.curve import Curve
from tucano.transport.door import MAX_REQUEST, Client
from tucano.transport.repeats import Repeats
from tucano.transport.security import LOCAL, Guest, Ring, refuse_beyond_loopback

log = logging.getLogger("tucano.transport")


class ZmqDoor:
    """One ROUTER, owned by one thread; what is to be sent is handed to that thread.

    Args:
        bind: address to listen at.
        fd: a listening socket, inherited, which outlives this process; `bind` is then its address.
        ring: the keys that are let in; without, everyone on this machine is.

    Attributes:
        refused: messages of clients that were refused so far, unread.

    Raises:
        Insecure: an address beyond loopback without keys.

    """

    def __init__(self, bind: str, *, fd: int | None = None, ring: Ring | None = None) -> None:
        if ring is None:
            refuse_beyond_loopback(bind, "the clients' door at")
        self.refused = 0
        self._repeats = Repeats(log)
        self._ring = ring
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._curve = None if ring is None else Curve(self._context, ring, ["admin", "reader", "node"])
        self._router = self._context.socket(zmq.ROUTER)
        self._router.set(zmq.LINGER, 500)
        self._router.set(zmq.MAXMSGSIZE, MAX_REQUEST)
        if fd is not None:
            self._router.set(zmq.USE_FD, fd)
        if self._curve is not None:
            self._curve.serve(self._router)
        try:
            self._router.bind(bind)
        except zmq.ZMQError:
            self._let_go(self._router)
            raise
        self._bell = self._context.socket(zmq.PAIR)
        self._bell.bind("inproc://bell")
        self._ringer = self._context.socket(zmq.PAIR)
        self._ringer.connect("inproc://bell")
        self._outgoing: deque[list[bytes]] = deque()
        self._lock = threading.Lock()  # around the ringer, and so that nothing is queued once closed
        self._rung = False  # once is enough until the thread comes: it may itself be the one that sends
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="tucano-door", daemon=True)
        self._on_request: Callable[[Client, bytes, Guest], None] = lambda _client, _frame, _guest: None

    def start(self, on_request: Callable[[Client, bytes, Guest], None]) -> None:
        """See `Door.start`."""
        self._on_request = on_request
        self._thread.start()

    def send(self, client: Client, frame: bytes) -> None:
        """See `Door.send`."""
        with self._lock:
            if not self._closed:
                self._outgoing.append([*client, frame])
                self._ring_once()

    def admits(self, guest: Guest) -> bool:
        """See `Door.admits`."""
        found = guest if self._ring is None else self._ring.guest(guest.key)
        return found is not None and not found.revoked

    def close(self) -> None:
        """See `Door.close`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._ring_once()
        if self._thread.is_alive():
            self._thread.join()
        self._let_go(self._ringer, self._bell, self._router)

    def _ring_once(self) -> None:
        if not self._rung:
            self._rung = True
            self._ringer.send(b"")

    def _answered(self) -> bool:
        """The bell has rung: heed it; whether the door goes on."""
        self._bell.recv()
        with self._lock:
            self._rung = False
            closing = self._closed
        while self._outgoing:
            # a ROUTER drops what is for a client that has gone, and what a client does not read in time
            self._router.send_multipart(self._outgoing.popleft(), zmq.NOBLOCK)
        return not closing

    def _let_go(self, *sockets: zmq.Socket[bytes]) -> None:
        for socket in sockets:
            socket.close()
        if self._curve is not None:
            self._curve.close()
        self._context.term()

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._bell, zmq.POLLIN)
        goes_on = True
        while goes_on:
            ready = dict(poller.poll())
            if self._bell in ready:
                goes_on = self._answered()
            if self._router in ready:
                with contextlib.suppress(zmq.Again):  # nothing is left
                    for _ in range(100):
                        self._take(self._router.recv_multipart(zmq.NOBLOCK, copy=False))

    def _take(self, frames: list[zmq.Frame]) -> None:
        """Pass a request on, with whose it is."""
        guest = LOCAL if self._curve is None else self._curve.guest(frames[-1])
        *client, request = (frame.bytes for frame in frames)
        if len(client) > 2 or any(client[1:]):
            self.refused += 1
            self._repeats.warn("parts", f"refused a client's message of {len(client) + 1} parts")
        elif guest is None:
            self.refused += 1
            self._repeats.warn("key", "refused a client's message: its key is not known any more")
        else:
            self._on_request(tuple(client), request, guest)
