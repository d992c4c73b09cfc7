"""A `Door` over a ZeroMQ ROUTER: for DEALER clients, and for REQ clients with their empty delimiter frame."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable

import zmq

from tucano.transport.door import MAX_REQUEST, Client

log = logging.getLogger("tucano.transport")


class ZmqDoor:
    """One ROUTER, owned by one thread; what is to be sent is handed to that thread.

    Args:
        bind: address to listen at.
        fd: a listening socket, inherited, which outlives this process; `bind` is then its address.

    """

    def __init__(self, bind: str, *, fd: int | None = None) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.set(zmq.LINGER, 500)
        self._router.set(zmq.MAXMSGSIZE, MAX_REQUEST)
        if fd is not None:
            self._router.set(zmq.USE_FD, fd)
        self._router.bind(bind)
        self._bell = self._context.socket(zmq.PAIR)
        self._bell.bind("inproc://bell")
        self._ringer = self._context.socket(zmq.PAIR)
        self._ringer.connect("inproc://bell")
        self._outgoing: deque[list[bytes]] = deque()
        self._lock = threading.Lock()  # around the ringer, and so that nothing is queued once closed
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="tucano-door", daemon=True)
        self._on_request: Callable[[Client, bytes], None] = lambda _client, _frame: None

    def start(self, on_request: Callable[[Client, bytes], None]) -> None:
        """See `Door.start`."""
        self._on_request = on_request
        self._thread.start()

    def send(self, client: Client, frame: bytes) -> None:
        """See `Door.send`."""
        with self._lock:
            if not self._closed:
                self._outgoing.append([*client, frame])
                self._ringer.send(b"")

    def close(self) -> None:
        """See `Door.close`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._ringer.send(b"close")
        if self._thread.is_alive():
            self._thread.join()
        for socket in (self._ringer, self._bell, self._router):
            socket.close()
        self._context.term()

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._bell, zmq.POLLIN)
        closing = False
        while not closing:
            ready = dict(poller.poll())
            if self._bell in ready:
                closing = self._bell.recv() == b"close"
                while self._outgoing:
                    # a ROUTER drops what is for a client that has gone, and what a client does not read in time
                    self._router.send_multipart(self._outgoing.popleft(), zmq.NOBLOCK)
            if self._router in ready:
                with contextlib.suppress(zmq.Again):  # nothing is left
                    for _ in range(100):
                        *client, frame = self._router.recv_multipart(zmq.NOBLOCK)
                        if len(client) > 2 or any(client[1:]):
                            log.warning("refused a client's message of %d parts", len(client) + 1)
                            continue
                        self._on_request(tuple(client), frame)
