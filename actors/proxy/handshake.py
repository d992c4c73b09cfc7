"""The front with TLS: takes connections, and makes a client of each when TLS is agreed on."""

import asyncio
import logging
import socket
from typing import Final

from .certificates import Certificates
from .front import NO_AGENT, Client
from .log import escaped
from .shared import Shared

log = logging.getLogger(__name__)

MANY: Final = 512  # handshakes at once; who comes then waits in the listener's queue
_PAUSE: Final = 0.5  # seconds without new connections when the process may open no more
_REASONS: Final = {  # in words, what OpenSSL says of the commonest mistakes
    "CALLBACK_FAILED": "no certificate for that host",
    "HTTP_REQUEST": "plain HTTP, at the port with TLS",
}


class SecureFront:
    """A listener whose connections begin with a handshake. One that fails is a line in the access log, and closed.

    Args:
        shared: The data path.
        listener: Where they come in; closed by `close`.
        certificates: What we prove ourselves with.
    """

    def __init__(self, shared: Shared, listener: socket.socket, certificates: Certificates) -> None:
        self._shared = shared
        self._listener = listener
        self._certificates = certificates
        self._reading = False
        self._closed = False
        listener.setblocking(False)
        self._read()

    def close(self) -> None:
        """Take no more; handshakes that are under way go on."""
        self._pause()
        self._closed = True
        self._listener.close()

    def _read(self) -> None:
        if not self._reading and not self._closed:
            self._reading = True
            self._shared.loop.add_reader(self._listener, self._accept)

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            self._shared.loop.remove_reader(self._listener)

    def _accept(self) -> None:
        shared = self._shared
        while len(shared.handshakes) < MANY:
            try:
                sock, (host, *_) = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                log.error("no connection can be taken for a moment: %s", error)
                self._pause()
                shared.loop.call_later(_PAUSE, self._read)
                return
            sock.setblocking(False)
            task = shared.loop.create_task(self._shake(sock, host.encode("ascii")))
            shared.handshakes.add(task)
            task.add_done_callback(self._done)
        self._pause()

    async def _shake(self, sock: socket.socket, peer: bytes) -> None:
        shared = self._shared
        try:
            await shared.loop.connect_accepted_socket(
                lambda: Client(shared, secure=True), sock, ssl=self._certificates.server,
                ssl_handshake_timeout=shared.timeouts.handshake,
                ssl_shutdown_timeout=shared.timeouts.stall,  # in which what was written last must be read, too
            )  # fmt: skip
        except OSError as error:
            why = getattr(error, "reason", None) or str(error) or type(error).__name__
            line = b"(TLS handshake: %b)" % escaped(_REASONS.get(why, why).encode())
            shared.log.line(peer, line, 400, 0, NO_AGENT, 0.0, secure=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._shared.handshakes.discard(task)
        self._shared.look_if_empty()
        self._read()
        if not task.cancelled():
            task.result()
