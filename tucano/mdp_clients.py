"""Who comes to the users' ZeroMQ front: connections are taken, shake hands, and are clients until they end."""

from __future__ import annotations

import logging
import select
import socket
import time
from collections.abc import Iterator
from math import inf
from typing import Final

from tucano.actors.proxy.mdp_queue import Client, Limits
from tucano.mdp_handover import Handover
from tucano.mdp_line import ClientLine, Line, Lines

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
        limits: see there.
        handover: the way to a successor, and from a predecessor; None if there is none.

    """

    def __init__(self, listener: socket.socket, lines: Lines, limits: Limits, handover: Handover | None = None) -> None:
        listener.setblocking(False)
        self.fd = listener.fileno()
        self._limits = limits
        self._handover = handover
        self.way = handover.fd if handover else -1
        self._giving = False
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
        self._listen()
        if self._handover:
            self._lines.wait_for(self.way)

    def _listen(self) -> None:
        self._listening = True
        self._lines.wait_for(self.fd)

    def _rest(self) -> None:
        if self._listening:
            self._listening = False
            self._lines.forget(self.fd)

    def close_door(self) -> None:
        """Take no more connections."""
        self._again = inf
        self._rest()
        self._listener.close()

    def leave(self) -> None:
        """Take no more connections; and no more requests, if a successor takes the clients that there are."""
        self.close_door()
        if self._handover and not self._giving:
            self._giving = True
            self._lines.forget(self.way)  # first: what we give is not for us
            self.deafen()

    def deafen(self) -> None:
        """Take no more requests; who has not shaken hands comes again."""
        for line in list(self._strange):
            self.end(line)
        for line in self._there:
            line.deaf = True
            self._lines.watch(line)

    def waiting(self) -> bool:
        """Some wait for an answer, or to be given to the successor."""
        return any(self._giving or line.waits() for line in self._there)

    def give(self) -> None:
        """Give those that wait for no answer to the successor: it gets what they send from now on."""
        if self._handover is None or not self._giving:
            return
        for line in [line for line in self._there if not line.waits()]:
            if not self._handover.give(line.socket, line.peer.met()):
                return
            self.end(line)

    def take(self) -> None:
        """Take the clients that a predecessor gives."""
        assert self._handover
        for _ in range(_ROW):
            try:
                found = self._handover.take()
            except OSError as error:
                log.error("a client is lost: %s", error)
                return
            if found is None:
                return
            sock, met = found
            if met.name in self._named:
                sock.close()  # it has come by itself meanwhile
                continue
            line = ClientLine(sock, self._lines.busy, met)
            self._there.add(line)
            self._lines.add(line)
            self._welcome(line)

    def accept(self, now: float) -> None:
        """Take the connections that are there."""
        for _ in range(_ROW):
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                log.warning("no more connections for %g s: %s", _PAUSE, error)
                self._again = now + _PAUSE
                self._rest()
                return
            line = ClientLine(sock, self._lines.busy)
            self._there.add(line)
            self._strange[line] = now + _HANDSHAKE
            self._lines.add(line)

    def meet(self, line: ClientLine) -> Client | None:
        """Who asks there; None before it has shaken hands."""
        if not line.peer.up:
            return None
        del self._strange[line]
        return self._welcome(line)

    def _welcome(self, line: ClientLine) -> Client:
        """Who asks there: under a name that is there already the same client, as ZMQ_ROUTER_HANDOVER has it."""
        name = line.peer.name
        former = self._named.get(name)
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
            How many connections were ended: they never shook hands, or too much was kept for them.
        """
        if self._again <= now:
            self._again = inf
            self._listen()
        self._away = {name: client for name, client in self._away.items() if client.load}
        late = [line for line, until in self._strange.items() if until <= now]
        over = [*late, *self._greedy()]
        for line in over:
            log.debug("a client was disconnected: it is late, or %d bytes are kept for it", line.size())
            self.end(line)
        return len(over)

    def _greedy(self) -> Iterator[ClientLine]:
        """Those for whom too much is kept: the greatest, until the others have room."""
        slow = self._lines.slow = {line for line in self._lines.slow if not line.closed and line.size()}
        clients = sorted((line for line in slow if isinstance(line, ClientLine)), key=Line.size)
        total, limits = sum(map(Line.size, clients)), self._limits
        while clients and (total > limits.kept_all or clients[-1].size() > limits.kept):
            line = clients.pop()
            total -= line.size()
            yield line

    def close(self) -> None:
        """Send the answers of the last moment, and let go of everybody."""
        until = time.monotonic() + _LINGER
        for line in self._there:
            line.flush()
            while line.unsent and select.select((), (line.fd,), (), max(0.0, until - time.monotonic()))[1]:
                line.flush()
        self._listener.close()
        if self._handover:
            self._handover.close()
