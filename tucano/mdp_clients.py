"""Who comes to the users' ZeroMQ front: connections are taken, shake hands, and are clients until they end."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import time
from math import inf
from typing import Final

from tucano.actors.proxy.mdp_queue import Client
from tucano.mdp_line import ClientLine, Lines

log = logging.getLogger("tucano.mdp")

_ROW: Final = 64  # connections that are taken in a row
_HANDSHAKE: Final = 10.0  # seconds that a connection has to shake hands
_PAUSE: Final = 0.5  # seconds without taking connections when there is no room for more
_LINGER: Final = 0.2  # seconds to send answers of the last moment


class Clients:
    """The clients of a front.

    Args:
        listener: where they come to.
        lines: where their connections are added.

    """

    def __init__(self, listener: socket.socket, lines: Lines) -> None:
        listener.setblocking(False)
        self.fd = listener.fileno()
        self._listener = listener
        self._lines = lines
        self._there: set[ClientLine] = set()
        self._strange: dict[ClientLine, float] = {}  # who has not shaken hands, and until when it has to
        self._named: dict[bytes, ClientLine] = {}  # who has a name of its own
        self._away: dict[bytes, Client] = {}  # the same, when their connection is over and an answer is to come
        self._again = inf  # when to take connections again
        self._listening = False

    def listen(self) -> None:
        """Begin to take connections."""
        self._listening = True
        self._lines.wait_for(self.fd)

    def deafen(self) -> None:
        """Take no more connections and requests."""
        self.leave()
        for line in self._there:
            line.deaf = True
            self._lines.watch(line)

    def leave(self) -> None:
        """Take no more connections."""
        self._again = inf
        if self._listening:
            self._listening = False
            self._lines.forget(self.fd)
        self._listener.close()

    def accept(self, now: float) -> None:
        """Take the connections that are there."""
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            for _ in range(_ROW):
                try:
                    sock, _ = self._listener.accept()
                except (BlockingIOError, ConnectionAbortedError):
                    raise
                except OSError as error:
                    log.warning("no more connections for %g s: %s", _PAUSE, error)
                    self._again = now + _PAUSE
                    self._listening = False
                    self._lines.forget(self.fd)
                    return
                line = ClientLine(sock, self._lines.busy)
                self._there.add(line)
                self._strange[line] = now + _HANDSHAKE
                self._lines.add(line)

    def meet(self, line: ClientLine) -> Client | None:
        """Who asks there; None before it has shaken hands.

        Who comes under a name that is there already is the same client on a new connection (ZMQ_ROUTER_HANDOVER).
        """
        if not line.peer.up:
            return None
        del self._strange[line]
        name = line.peer.name
        former = self._named.get(name) if name else None
        if former is not None:
            self.end(former)
        line.client = client = self._away.pop(name, None) or Client(line.post)
        client.send = line.post
        if name:
            self._named[name] = line
        return client

    def end(self, line: ClientLine) -> None:
        """The connection is over, or is to be."""
        self._there.discard(line)
        self._strange.pop(line, None)
        name, client = line.peer.name, line.client
        if client is not None and self._named.get(name) is line:
            del self._named[name]
            if client.load:
                self._away[name] = client
        line.flush()
        self._lines.drop(line)

    def look(self, now: float) -> int:
        """Do what is due.

        Returns:
            How many connections were ended that never shook hands.
        """
        if self._again <= now:
            self._again = inf
            self.listen()
        self._away = {name: client for name, client in self._away.items() if client.load}
        late = [line for line, until in self._strange.items() if until <= now]
        for line in [*late, *(line for line in self._there if line.hopeless())]:
            self.end(line)
        return len(late)

    def close(self) -> None:
        """Send the answers of the last moment, and let go of everybody."""
        until = time.monotonic() + _LINGER
        for line in self._there:
            line.flush()
            while line.unsent and select.select((), (line.fd,), (), max(0.0, until - time.monotonic()))[1]:
                line.flush()
        self._listener.close()
