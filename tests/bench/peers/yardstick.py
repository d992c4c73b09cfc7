"""The yardstick: a DEALER and a ROUTER, msgpack, one message a frame, blocking."""

from __future__ import annotations

import sys
import threading
from typing import Any

import msgpack
import zmq

from tests.bench.peers import IN_FLIGHT, MESSAGE, ready


def serve() -> None:
    """Count, and answer what wants an answer."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.set(zmq.RCVHWM, 0)
    router.set(zmq.LINGER, 0)
    port = router.bind_to_random_port("tcp://127.0.0.1")

    def run() -> None:
        counted = 0
        while True:
            who, frame = router.recv_multipart()
            number, message = msgpack.unpackb(frame)
            counted += 1
            if number:
                router.send_multipart([who, msgpack.packb([number, counted])])
            del message

    threading.Thread(target=run, daemon=True).start()
    ready(f"tcp://127.0.0.1:{port}")
    sys.stdin.read()


class _Dealer:
    def __init__(self, address: str) -> None:
        self._address = address
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._sockets: list[zmq.Socket[bytes]] = []
        self._socket = self._open()

    def _open(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.SNDHWM, 0)
        socket.connect(self._address)
        self._sockets.append(socket)
        return socket

    def ask(self, socket: zmq.Socket[bytes] | None = None) -> Any:
        socket = socket or self._socket
        socket.send(msgpack.packb([1, MESSAGE]))
        return msgpack.unpackb(socket.recv())[1]

    def in_flight(self, count: int) -> None:
        socket = self._socket
        for _ in range(IN_FLIGHT):
            socket.send(msgpack.packb([1, MESSAGE]))
        for number in range(count):
            msgpack.unpackb(socket.recv())
            if number < count - IN_FLIGHT:
                socket.send(msgpack.packb([1, MESSAGE]))

    def tell(self, count: int) -> None:
        socket = self._socket
        before = self.ask()
        for _ in range(count):
            socket.send(msgpack.packb([0, MESSAGE]))
        assert self.ask() == before + count + 1

    def per_thread(self) -> Any:
        socket = self._open()
        return lambda: self.ask(socket)

    def close(self) -> None:
        for socket in self._sockets:
            socket.close()
        self._context.term()


connect = _Dealer
