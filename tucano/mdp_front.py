"""The users' ZeroMQ front: the sockets and the thread around `actors.proxy.mdp`, which decides.

It speaks ZMTP itself (`actors.proxy.zmtp`), as a ROUTER to clients and as a DEALER to each instance (a ROUTER cannot
speak to a REP). All sockets are the thread's own; others leave their wishes and ring a bell. An instance takes requests
once the handshake with it is done, and no more once its connection has ended; then it is connected to anew.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping
from select import EPOLLOUT
from typing import Final

from tucano.actors.proxy import Service, ServiceStats
from tucano.actors.proxy.mdp import Broker
from tucano.actors.proxy.mdp_queue import Limits, Place
from tucano.actors.proxy.zmtp import ProtocolError
from tucano.mdp_clients import Clients
from tucano.mdp_handover import Handover
from tucano.mdp_line import ClientLine, Line, Lines, PlaceLine

log = logging.getLogger("tucano.mdp")

_TICK: Final = 0.05  # seconds between two looks at deadlines and lost connections
_HANDSHAKE: Final = 5.0  # seconds that an instance has to take a connection and shake hands
_AGAIN: Final = 0.05  # seconds until an instance is connected to anew
_SAY: Final = 10.0  # seconds between two words about what was dropped


class MdpFront:
    """Users' ZeroMQ requests; a `DataPath`.

    Args:
        listener: a bound, listening stream socket. It is the front's from now on: `stop` closes it (another holder of
            the same socket, a parent or a duplicate, goes on to listen).
        chance: where lots are drawn from. The front's alone.
        handover: the way by which clients are left to a successor, and taken from a predecessor; None: there is none.
        limits: of the broker.
        clock: seconds, monotonic.

    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        chance: random.Random,
        handover: Handover | None = None,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._broker = Broker(chance, limits)
        self._lines = Lines()
        self._clients = Clients(listener, self._lines, limits or Limits(), handover)
        self._places: dict[Place, PlaceLine] = {}
        self._dialed: dict[Place, float] = {}  # who has not shaken hands, and until when it has to
        self._again: dict[Place, float] = {}  # when to connect anew
        self._broken = 0  # connections that did not speak ZMTP
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._over = False
        self._lock = threading.Lock()  # of the bell, and of what is below
        self._services: Mapping[str, Service] = {}
        self._pending = 0  # tables that are not in effect yet
        self._leaving = False
        self._grace: float | None = None  # that open requests have, once told to stop
        self._thread = threading.Thread(target=self._run, name="tucano-mdp", daemon=True)

    def start(self) -> None:
        """See `DataPath.start`."""
        self._thread.start()

    def apply(self, services: Mapping[str, Service]) -> None:
        """See `DataPath.apply`."""
        with self._lock:
            self._services = {name: one for name, one in services.items() if one.route.protocol == "zmq"}
            self._pending += 1
            self._ring()

    def in_flight(self) -> dict[str, int]:
        """See `DataPath.in_flight`."""
        with self._lock:
            ready = {one.instance for service in self._services.values() for one in service.targets if one.ready}
            pending = self._pending > 0
        counts = self._broker.in_flight()
        counts = {one: count + (pending and one not in ready) for one, count in counts.items()}
        return {instance: count for instance, count in counts.items() if count}

    def stats(self, detail: str = "") -> dict[str, ServiceStats]:
        """See `DataPath.stats`."""
        return self._broker.stats(detail)

    def hearing(self) -> dict[str, str]:
        """See `DataPath.hearing`: all share one port, which is there."""
        return {}

    def leave(self, patience: float) -> None:  # noqa: ARG002 - as `DataPath` says
        """See `DataPath.leave`. Clients stay connected: each is left to the successor when it waits for no answer."""
        with self._lock:
            self._leaving = True
            self._ring()

    def stop(self, grace: float, *, patient: bool = False) -> None:  # noqa: ARG002 - likewise
        """See `DataPath.stop`."""
        with self._lock:
            self._grace = grace
            self._ring()
        if self._thread.is_alive():
            self._thread.join()
        else:
            self._close()

    def _ring(self) -> None:
        if not self._over:
            os.eventfd_write(self._bell, 1)

    # --- in the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._serve()
        finally:
            self._close()

    def _close(self) -> None:
        with self._lock:
            if self._over:
                return
            self._over = True
            os.close(self._bell)
        self._clients.close()
        self._lines.close()

    def _serve(self) -> None:
        lines, clients, broker, clock = self._lines, self._clients, self._broker, self._clock
        lines.wait_for(self._bell)
        clients.listen()
        now = clock()
        look = say = now + _TICK
        until: float | None = None
        said = 0
        while until is None or (now < until and clients.waiting()):
            events = lines.poll(_TICK)
            now = clock()
            for fd, event in events:
                try:
                    self._handle(fd, event, now)
                except Exception:  # a bug must cost one connection, not all
                    log.exception("what came by a connection could not be handled")
                    self._lose(fd, now)
            if look <= now:
                look = now + _TICK
                self._look(now)
                dropped = broker.malformed + self._broken
                if say <= now and dropped > said:
                    suspect = broker.suspect and f", of instances lastly of {broker.suspect}"
                    log.warning("dropped %d malformed messages and connections so far%s", dropped, suspect)
                    say, said = now + _SAY, dropped
            lines.flush()
            if self._leaving:
                self._leaving = False
                clients.leave()
            clients.give()
            if until is None and self._grace is not None:
                until = now + self._grace
                clients.close_door()
                clients.deafen()

    def _handle(self, fd: int, event: int, now: float) -> None:
        line = self._lines.get(fd)
        if isinstance(line, ClientLine):
            self._requests(line, event, now)
        elif isinstance(line, PlaceLine):
            self._replies(line, event, now)
        elif fd == self._bell:
            os.eventfd_read(self._bell)
            self._take(now)
        elif fd == self._clients.fd:
            self._clients.accept(now)
        elif fd == self._clients.way:
            self._clients.take()

    def _lose(self, fd: int, now: float, why: str = "was disconnected") -> None:
        """A connection is over, or is to be."""
        line = self._lines.get(fd)
        if isinstance(line, ClientLine):
            self._clients.end(line)
        elif isinstance(line, PlaceLine):
            self._drop(line.place)
            self._again[line.place] = now + _AGAIN
            self._broker.disconnected(line.place, now, why)

    def _requests(self, line: ClientLine, event: int, now: float) -> None:
        try:
            messages = self._heard(line, event)
        except ProtocolError as error:
            log.debug("a client was disconnected: %s", error)
            self._broken += 1
            messages = None
        if messages is None:
            self._lose(line.fd, now)
            return
        client = line.client or self._clients.meet(line)
        if self._pending:  # first: what is asked after new routes were made goes by them
            self._take(now)
        if not messages:
            self._lines.slow.add(line)  # a message that takes its time, perhaps
        elif client is not None:
            self._broker.requests(client, messages, now)

    def _replies(self, line: PlaceLine, event: int, now: float) -> None:
        place, broker, why = line.place, self._broker, "ended"
        try:
            messages = self._heard(line, event)
        except ProtocolError as error:
            why = f"was disconnected ({error})"
            log.warning("the instance %s %s", place.key[0], why)
            self._broken += 1
            messages = None
        if messages is None:
            self._lose(line.fd, now, why)
            return
        if place in self._dialed and line.peer.up:
            del self._dialed[place]
            broker.connected(place, now)
        broker.replies(place, messages, now)

    def _heard(self, line: Line, event: int) -> list[bytes] | None:
        """What came by a connection; None if it is over."""
        if event & EPOLLOUT:
            line.flush()
            self._lines.watch(line)
        return line.read() if event & ~EPOLLOUT else []

    def _take(self, now: float) -> None:
        with self._lock:
            services, pending = self._services, self._pending
        new, gone = self._broker.apply(services.values(), now)
        for place in gone:
            self._drop(place)
        for place in new:
            self._connect(place, now)
        with self._lock:
            self._pending -= pending

    def _look(self, now: float) -> None:
        """Do what is due: connections to be made anew or given up, requests whose time is over."""
        self._broken += self._clients.look(now)
        for place in self._broker.tick(now):
            self._drop(place)
        for place in [place for place, until in self._dialed.items() if until <= now]:
            self._drop(place)
            self._again[place] = now
        for place in [place for place, when in self._again.items() if when <= now]:
            del self._again[place]
            self._connect(place, now)

    def _connect(self, place: Place, now: float) -> None:
        try:
            line = self._places[place] = PlaceLine(place, self._lines.busy)
        except OSError as error:
            log.warning("no connection to the instance %s: %s", place.key[0], error)
            self._again[place] = now + _HANDSHAKE
            return
        self._dialed[place] = now + _HANDSHAKE
        self._lines.add(line)

    def _drop(self, place: Place) -> None:
        self._again.pop(place, None)
        self._dialed.pop(place, None)
        line = self._places.pop(place, None)
        if line is not None:
            self._lines.drop(line)
