"""One connection to a cluster's gateway: a request, its answer, and a stream's items. The wire is in the README.

A DEALER socket that queues nothing for a gateway that is not there (`ZMQ_IMMEDIATE`) and notices at once when the
connection breaks (its monitor). After either a new socket is made: what an old one may still hold is never delivered.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Any

import msgspec
import zmq

from tucano.client.reach import Reach
from tucano.transport import curve
from tucano.transport.security import refuse_beyond_loopback

VERSION = 1
"""Of the wire."""

AGAIN = 500
"""Milliseconds between two questions for the address, while nobody answers there."""


class Lost(Exception):
    """The gateway did not answer: nobody there, the connection broke, or it took too long.

    Attributes:
        sent: whether the request may have arrived.
        late: whether the time was up.

    """

    def __init__(self, what: str, *, sent: bool, late: bool) -> None:
        super().__init__(what)
        self.sent = sent
        self.late = late


class Denied(Exception):
    """The cluster does not let us in."""


_EVENTS = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)
_NEEDS_KEYS = "somebody is there, but speaks only with keys that are not ours: use a token of that cluster"
_DENIED = (
    "its controller does not admit this key: it was revoked, or is of another cluster; ask for a new token"
    " (`tucano key add`)"
)


class Fault(msgspec.Struct, frozen=True):
    """Why a request was not carried out."""

    code: str = "internal"
    message: str = ""


class Answer(msgspec.Struct, frozen=True):
    """One frame from the gateway; exactly one of `ok`, `error` and `item` is there."""

    id: int
    ok: msgspec.Raw = msgspec.Raw()
    error: Fault | None = None
    item: msgspec.Raw = msgspec.Raw()


_decoder = msgspec.msgpack.Decoder(Answer)


class Channel:
    """A connection, opened when it is first needed, and again after it broke.

    For one thread at a time.

    Args:
        reach: gives the gateway's endpoint, such as `tcp://127.0.0.1:4100`, and keys; asked at each opening.

    """

    def __init__(self, reach: Callable[[], Reach]) -> None:
        self._reach = reach
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._socket: zmq.Socket[bytes] | None = None
        self._monitor: zmq.Socket[bytes] | None = None
        self._last_id = 0

    def request(self, op: str, args: dict[str, Any], timeout: float) -> Answer:
        """Ask, and wait for the answer.

        Args:
            op: what is wanted.
            args: its arguments.
            timeout: seconds until the answer must be there.

        Raises:
            Lost: no answer; the connection is closed.

        """
        deadline = time.monotonic() + timeout
        answer = self.item(self.send(op, args, deadline), deadline)
        if answer is None:
            self.drop()
            raise Lost("no answer", sent=True, late=True)
        return answer

    def send(self, op: str, args: dict[str, Any], deadline: float) -> int:
        """Send a request without waiting for its answer.

        Returns:
            Its number, which the answer bears.

        Raises:
            Lost: nobody is there until `deadline` (of `time.monotonic`).
            Denied: our key is not admitted.
            Insecure: the address is beyond this machine, and we have no key.

        """
        socket = self._open()
        odd = ""
        while not self._is_open(socket, min(_ms(deadline), AGAIN)):
            odd = self._what_failed() or odd
            address = self._reach().address  # whoever knows it may know that there is no cluster any more
            if _ms(deadline) == 0:
                self.drop()
                raise Lost((odd and f"{address}: {odd}") or f"nobody answers at {address}", sent=False, late=True)
        self._last_id += 1
        socket.send(msgspec.msgpack.encode({"v": VERSION, "id": self._last_id, "op": op, "args": args}))
        return self._last_id

    def item(self, request: int, deadline: float) -> Answer | None:
        """The next frame that belongs to a request, or None if there is none until `deadline`.

        Raises:
            Lost: the connection broke.

        """
        while (answer := self._receive(deadline)) is not None:
            if answer.id == request:
                return answer
        return None

    def drop(self) -> None:
        """Close the socket, with all that it holds; the next request opens another."""
        if self._socket is not None:
            self._socket.disable_monitor()
            self._socket.close(linger=0)
        if self._monitor is not None:
            self._monitor.close(linger=0)
        self._socket = self._monitor = None

    def close(self) -> None:
        """Close the connection; nothing that waits is sent any more."""
        self.drop()
        if self._context is not None:
            self._context.term()
            self._context = None

    def _is_open(self, socket: zmq.Socket[bytes], timeout: int) -> bool:
        """Whether a request can be sent; waits for that so many milliseconds, or until something fails."""
        if socket.poll(0, zmq.POLLOUT):
            return True
        assert self._monitor is not None
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLOUT)
        poller.register(self._monitor, zmq.POLLIN)
        return socket in dict(poller.poll(timeout))

    def _what_failed(self) -> str:
        """What is wrong with whoever is there, if anything.

        Raises:
            Denied: our key is not admitted.

        """
        assert self._monitor is not None
        odd = ""
        while self._monitor.poll(0):
            event = _event(self._monitor)
            if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self.drop()
                raise Denied(_DENIED)
            if event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:  # ZeroMQ does not try again
                self.drop()
                raise Denied(_NEEDS_KEYS)
            if event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
                odd = _NEEDS_KEYS
        return odd

    def _receive(self, deadline: float) -> Answer | None:
        """The next frame, or None when the time is up."""
        socket, monitor = self._open(), self._monitor
        assert monitor is not None
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLIN)
        poller.register(monitor, zmq.POLLIN)
        while True:
            found = dict(poller.poll(_ms(deadline)))
            if socket in found:
                return self._read(socket.recv_multipart())
            if monitor in found and _event(monitor) == zmq.EVENT_DISCONNECTED:
                self.drop()
                raise Lost("the connection to the controller broke", sent=True, late=False)
            if not found:
                return None

    def _read(self, frames: list[bytes]) -> Answer:
        """A frame as an answer."""
        try:
            return _decoder.decode(frames[-1])
        except msgspec.MsgspecError as error:
            self.drop()
            raise Lost(
                f"what answers at {self._reach().address} is no Tucano cluster ({error})", sent=True, late=True
            ) from error

    def _open(self) -> zmq.Socket[bytes]:
        """The socket; a new one if there is none."""
        if self._socket is None:
            address, own, server, _ = self._reach()
            if own is None:
                refuse_beyond_loopback(address, "the connection to")
            self._context = self._context or zmq.Context()
            socket = self._context.socket(zmq.DEALER)
            if own is not None:
                curve.dial(socket, own, server)
            socket.linger = 0
            socket.immediate = True
            socket.reconnect_ivl = 20  # ms; a controller that was killed is back within a second or two
            socket.reconnect_ivl_max = 500
            self._monitor = socket.get_monitor_socket(_EVENTS)
            socket.connect(address)
            self._socket = socket
        return self._socket


def _event(monitor: zmq.Socket[bytes]) -> int:
    """The next event's number, which comes first; zmq.utils.monitor reads the rest, but to import it takes 25 ms."""
    number: int = struct.unpack_from("=H", monitor.recv_multipart()[0])[0]
    return number


def _ms(deadline: float) -> int:
    """Milliseconds until `deadline`, at least 0."""
    return max(0, round((deadline - time.monotonic()) * 1000))
