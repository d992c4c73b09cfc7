"""RPyC, without Nagle's algorithm; what is sent is immutable, so that it goes by value."""

from __future__ import annotations

import importlib
import socket
import sys
import threading
from collections import deque
from typing import Any

from tests.bench.peers import IN_FLIGHT, MESSAGE, ready
from tests.helpers import eventually

rpyc: Any = importlib.import_module("rpyc")
SAY = tuple(MESSAGE.items())


def serve() -> None:
    """Count."""

    class Counter(rpyc.Service):  # type: ignore[misc]
        counted = 0

        def exposed_say(self, message: object) -> int:
            del message
            Counter.counted += 1
            return Counter.counted

        def on_connect(self, conn: Any) -> None:
            _undelay(conn)

    server = importlib.import_module("rpyc.utils.server").ThreadedServer(Counter(), hostname="127.0.0.1", port=0)
    threading.Thread(target=server.start, daemon=True).start()
    ready(server.port)
    sys.stdin.read()


def _undelay(connection: Any) -> None:
    connection._channel.stream.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _connect(port: int) -> Any:
    try:
        return rpyc.connect("127.0.0.1", port)
    except ConnectionRefusedError:
        return None  # it says its port before it listens


class RPyC:
    """A connection, and one for each thread."""

    def __init__(self, address: str) -> None:
        self._port = int(address)
        self._connections: list[Any] = []
        self._root = self._open()
        self._later = rpyc.async_(self._root.say)

    def _open(self) -> Any:
        connection = eventually(lambda: _connect(self._port), "RPyC listens")
        _undelay(connection)
        self._connections.append(connection)
        return connection.root

    def ask(self) -> Any:
        return self._root.say(SAY)

    def in_flight(self, count: int) -> None:
        waiting = deque(self._later(SAY) for _ in range(IN_FLIGHT))
        for number in range(count):
            waiting.popleft().wait()
            if number < count - IN_FLIGHT:
                waiting.append(self._later(SAY))

    def tell(self, count: int) -> None:
        for _ in range(count - 1):
            self._later(SAY)
        self.ask()

    def per_thread(self) -> Any:
        root = self._open()
        return lambda: root.say(SAY)

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


connect = RPyC
