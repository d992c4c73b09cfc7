"""Who is measured in `tests.bench.bridge`: each a server in a process of its own, and a client here.

`python -m tests.bench.peers NAME` is the server: it prints where it listens, and ends when its standard input does.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any, Protocol

import psutil

MESSAGE = {"id": 7, "name": "worker-1", "text": "x" * 68, "cpu": 0.25}
"""What everybody sends: about 100 bytes of msgpack."""

IN_FLIGHT = 100
THREADS = 8
NAMES = ("ours", "raw pyzmq", "RPyC", "Pyro5", "xoscar", "gRPC")
_MODULES = {
    "ours": "ours", "raw pyzmq": "yardstick", "RPyC": "rpyc_peer", "Pyro5": "pyro_peer", "xoscar": "xoscar_peer",
    "gRPC": "grpc_peer", "1 KiB": "ours_1k", "1 KiB, CURVE": "ours_curve",
}  # fmt: skip


class Client(Protocol):
    """One contender's client; every method does `count` messages."""

    def ask(self) -> object:
        """One ask, answered."""
        ...

    def in_flight(self, count: int) -> None:
        """Asks, `IN_FLIGHT` of them open at each moment."""
        ...

    def tell(self, count: int) -> None:
        """Messages without an answer; return when the receiver has counted the last one."""
        ...

    def per_thread(self) -> Any:
        """What one of several threads calls to ask."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class Contender:
    """A server's process and a client to it.

    Args:
        name: one of `NAMES`.

    Raises:
        ImportError: it is not installed.

    """

    def __init__(self, name: str) -> None:
        module: Any = importlib.import_module(f"tests.bench.peers.{_MODULES[name]}")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.peers", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        self._processes = psutil.Process(), psutil.Process(self.process.pid)
        self.client: Client = module.connect(self.address)

    def cpu(self) -> float:
        """Seconds of processor that both ends have used so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self._processes)

    def close(self) -> None:
        """End both."""
        self.client.close()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


def serve(name: str) -> None:
    """Be the server."""
    module: Any = importlib.import_module(f"tests.bench.peers.{_MODULES[name]}")
    module.serve()


def ready(address: object) -> None:
    """Say where the server listens."""
    print(address, flush=True)
