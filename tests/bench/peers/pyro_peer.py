"""Pyro5 with msgpack; in flight by its batches, one way by its oneway calls."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any

from tests.bench.peers import IN_FLIGHT, MESSAGE, ready

api: Any = importlib.import_module("Pyro5.api")
config: Any = importlib.import_module("Pyro5").config
config.SERIALIZER = "msgpack"


def serve() -> None:
    """Count."""

    @api.expose
    class Counter:
        counted = 0

        def say(self, message: object) -> int:
            del message
            self.counted += 1
            return self.counted

        @api.oneway  # type: ignore[untyped-decorator]
        def tell(self, message: object) -> None:
            self.say(message)

    daemon = api.Daemon(host="127.0.0.1", port=0)
    uri = daemon.register(Counter())
    threading.Thread(target=daemon.requestLoop, daemon=True).start()
    ready(uri)
    sys.stdin.read()


class Pyro:
    """A proxy, and one for each thread."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._proxy = api.Proxy(address)

    def ask(self) -> Any:
        return self._proxy.say(MESSAGE)

    def in_flight(self, count: int) -> None:
        for _ in range(count // IN_FLIGHT):
            batch = api.BatchProxy(self._proxy)
            for _ in range(IN_FLIGHT):
                batch.say(MESSAGE)
            list(batch())

    def tell(self, count: int) -> None:
        for _ in range(count - 1):
            self._proxy.tell(MESSAGE)
        self.ask()

    def per_thread(self) -> Any:
        proxy = api.Proxy(self._address)

        def ask() -> Any:
            proxy._pyroClaimOwnership()
            return proxy.say(MESSAGE)

        return ask

    def close(self) -> None:
        self._proxy._pyroRelease()


connect = Pyro
