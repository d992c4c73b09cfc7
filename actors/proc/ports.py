"""TCP ports for instances."""

from __future__ import annotations

import random
import socket
import threading
from typing import Final

from tucano.actors.kernel import Refused

FIRST: Final = 20_000
LAST: Final = 32_767
"""The range ends below Linux's ephemeral ports (32768, ip(7)): else some outgoing connection could take a service's
port while the service restarts, or a health check could connect to itself."""


class Ports:
    """The ports that this process has given to its instances; any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given: set[int] = set()

    def take(self, chance: random.Random) -> int:
        """A port that nobody on this machine listens on and that was given to nobody here.

        Raises:
            Refused: `no_port`: so many tries found none.

        """
        with self._lock:
            for _ in range(1000):
                port = chance.randint(FIRST, LAST)
                if port not in self._given and is_free(port):
                    self._given.add(port)
                    return port
        raise Refused("no_port", f"found no free port between {FIRST} and {LAST} on this machine")

    def claim(self, port: int) -> None:
        """Note that an instance has this port already."""
        with self._lock:
            self._given.add(port)

    def release(self, port: int) -> None:
        """The instance needs it no more."""
        with self._lock:
            self._given.discard(port)


def is_free(port: int) -> bool:
    """Whether a service could listen on a port, on whatever address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: only listeners matter
        try:
            probe.bind(("0.0.0.0", port))  # never listened on: bound to see whether anyone else is
        except OSError:
            return False
    return True


PORTS: Final = Ports()
"""This process's."""
