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
        address: gives the gateway's endpoint, such as `tcp://127.0.0.1:4100`; asked at each opening.

    """

    def __init__(self, address: Callable[[], str]) -> None:
        self._address = address
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

        """
        socket = self._open()
        while not socket.poll(min(_ms(deadline), AGAIN), zmq.POLLOUT):
            address = self._address()  # whoever knows the address may know that there is no cluster any more
            if _ms(deadline) == 0:
                self.drop()
                raise Lost(f"nobody answers at {address}", sent=False, late=True)
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
            # The event's number comes first; zmq.utils.monitor can read the rest, too, but to import it takes 25 ms.
            if monitor in found and struct.unpack_from("=H", monitor.recv_multipart()[0])[0] == zmq.EVENT_DISCONNECTED:
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
                f"what answers at {self._address()} is no Tucano cluster ({error})", sent=True, late=True
            ) from error

    def _open(self) -> zmq.Socket[bytes]:
        """The socket; a new one if there is none."""
        if self._socket is None:
            address = self._address()
            self._context = self._context or zmq.Context()
            socket = self._context.socket(zmq.DEALER)
            socket.linger = 0
            socket.immediate = True
            socket.reconnect_ivl = 20  # ms; a controller that was killed is back within a second or two
            socket.reconnect_ivl_max = 500
            self._monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            socket.connect(address)
            self._socket = socket
        return self._socket


def _ms(deadline: float) -> int:
    """Milliseconds until `deadline`, at least 0."""
    return max(0, round((deadline - time.monotonic()) * 1000))
