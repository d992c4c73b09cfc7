"""The users' ZeroMQ front: the sockets and the thread around `actors.proxy.mdp`, which decides.

One ROUTER for all clients, one DEALER for each instance (a ROUTER cannot speak to a REP). All sockets are the thread's
own; others leave their wishes and ring a bell. An instance takes requests once the handshake with it is done, which its
socket's monitor tells, and no more once its connection has ended; then it is connected to anew, by a new socket, so
that nothing that was meant for the old process reaches the next one.
"""

from __future__ import annotations

import contextlib
import logging
import random
import select
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from math import inf
from typing import Final

import zmq

from tucano.actors.proxy import Service, ServiceStats
from tucano.actors.proxy.mdp import Broker
from tucano.actors.proxy.mdp_queue import Limits, Place
from tucano.mdp_line import DOWN, MAX_FRAME, UP, Line, Pipe

log = logging.getLogger("tucano.mdp")

_TICK: Final = 0.05  # seconds between two looks at deadlines and lost connections
_POLL: Final = int(_TICK * 1000)  # milliseconds
_BURST: Final = 1000  # messages of one socket in a row
_AGAIN: Final = 0.05  # seconds until an instance is connected to anew
_LAST: Final = 5.0  # seconds before its end in which a front that is succeeded takes no more requests
_SAY: Final = 10.0  # seconds between two words about malformed messages


class MdpFront:
    """Users' ZeroMQ requests; a `DataPath`.

    Args:
        bind: address to listen at.
        fd: a listening socket, inherited, which outlives this process; `bind` is then its address.
        chance: where lots are drawn from. The front's alone.
        limits: of the broker.
        clock: seconds, monotonic.

    """

    def __init__(
        self,
        bind: str,
        *,
        fd: int | None = None,
        chance: random.Random,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.set(zmq.LINGER, 0)
        self._router.set(zmq.MAXMSGSIZE, MAX_FRAME)
        self._router.set(zmq.ROUTER_HANDOVER, 1)  # a client that comes back by its own name is not locked out
        if fd is not None:
            self._router.set(zmq.USE_FD, fd)
        self._bell = self._context.socket(zmq.PAIR)
        self._bell.bind("inproc://bell")
        self._ringer = self._context.socket(zmq.PAIR)
        self._ringer.connect("inproc://bell")
        self._bind = bind
        self._clock = clock
        self._pipe = Pipe(self._router)
        self._broker = Broker(self._pipe.post, chance, limits)
        self._lines: dict[Place, Line] = {}
        self._by_socket: dict[zmq.Socket[bytes], Line] = {}
        self._by_monitor: dict[int, Line] = {}  # by descriptor
        self._again: dict[Place, float] = {}  # when to connect anew
        self._poller = zmq.Poller()
        self._news = select.epoll()  # of monitors: they hardly ever speak, and are not looked at for each request
        self._lock = threading.Lock()  # of the three below, and of the ringer
        self._services: Mapping[str, Service] = {}
        self._pending = 0  # tables that are not in effect yet
        self._leaving = False
        self._patient = False
        self._grace: float | None = None  # that open requests have, once told to stop
        self._bound: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="tucano-mdp", daemon=True)

    def start(self) -> None:
        """See `DataPath.start`.

        Raises:
            OSError: The address cannot be had.
        """
        self._thread.start()
        try:
            self._bound.result()
        except OSError:
            self._thread.join()
            raise

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
        """See `DataPath.leave`. Clients that are connected stay so: a close could lose what they are sending."""
        with self._lock:
            self._leaving = True
            self._ring()

    def stop(self, grace: float, *, patient: bool = False) -> None:
        """See `DataPath.stop`; `patient`: go on with the clients that are there until a moment without requests."""
        with self._lock:
            self._patient = patient
            self._grace = grace
            self._ring()
        if self._thread.is_alive():
            self._thread.join()
        else:
            self._close()

    def _ring(self) -> None:
        if not self._ringer.closed:
            with contextlib.suppress(zmq.Again):  # it rings enough as it is
                self._ringer.send(b"", zmq.NOBLOCK)

    # --- in the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            try:
                self._router.bind(self._bind)
            except zmq.ZMQError as error:
                self._bound.set_exception(OSError(error.errno, f"cannot listen at {self._bind}: {error}"))
                return
            self._bound.set_result(None)
            self._serve()
        finally:
            self._close()

    def _close(self) -> None:
        for place in list(self._lines):
            self._drop(place)
        self._news.close()
        with self._lock:
            for socket in (self._bell, self._ringer, self._router):
                socket.close(linger=200)  # answers of the last moment
        self._context.term()

    def _serve(self) -> None:
        poller, router, bell, broker, clock = self._poller, self._router, self._bell, self._broker, self._clock
        for socket in (router, bell):
            poller.register(socket, zmq.POLLIN)
        poller.register(self._news.fileno(), zmq.POLLIN)
        look = say = clock() + _TICK
        until: float | None = None
        deaf = inf  # when to take no more requests
        said = 0
        while until is None or (clock() < until and any(broker.in_flight().values())):
            events = poller.poll(_POLL)
            now = clock()
            if self._pending:  # first: what is asked after new routes were made goes by them
                self._take(now)
            for socket, _ in events:
                if socket is router:
                    self._requests(now)
                elif socket is bell:
                    with contextlib.suppress(zmq.Again):
                        while True:
                            bell.recv(zmq.NOBLOCK)
                elif socket in self._by_socket:  # and not dropped just now
                    self._replies(self._by_socket[socket], now)
            if look <= now:
                look = now + _TICK
                self._look(now)
                if say <= now and broker.malformed > said:
                    log.warning("dropped %d malformed messages so far", broker.malformed)
                    say, said = now + _SAY, broker.malformed
            elif any(not isinstance(socket, zmq.Socket) for socket, _ in events):
                self._look(now)
            self._flush()
            if self._leaving:
                self._leaving = False
                router.unbind(self._bind)
            if until is None and self._grace is not None:
                until = now + self._grace
                deaf = until - _LAST if self._patient else now
            if deaf <= now:
                deaf = inf
                poller.unregister(router)

    def _flush(self) -> None:
        self._pipe.flush()
        for line in self._lines.values():
            line.pipe.flush()

    def _requests(self, now: float) -> None:
        receive, request = self._pipe.receive, self._broker.request
        with contextlib.suppress(zmq.Again):
            for _ in range(_BURST):
                if self._pending:
                    return
                request(receive(), now)

    def _replies(self, line: Line, now: float) -> None:
        receive, reply, place = line.pipe.receive, self._broker.reply, line.place
        with contextlib.suppress(zmq.Again):
            for _ in range(_BURST):
                reply(place, receive(), now)

    def _take(self, now: float) -> None:
        with self._lock:
            services, pending = self._services, self._pending
        new, gone = self._broker.apply(services.values(), now)
        for place in gone:
            self._drop(place)
        for place in new:
            self._connect(place)
        with self._lock:
            self._pending -= pending

    def _look(self, now: float) -> None:
        """See which connections came up or ended, which are to be made anew, and whose time is over."""
        for line in [self._by_monitor[fd] for fd, _ in self._news.poll(0)]:
            events = line.news()
            if events & DOWN:
                self._replies(line, now)  # what it said before it ended
                self._drop(line.place)
                self._again[line.place] = now + _AGAIN
                self._broker.disconnected(line.place, now)
            elif events & UP:
                self._broker.connected(line.place, now)
        for place in self._broker.tick(now):
            self._drop(place)
        for place in [place for place, when in self._again.items() if when <= now]:
            del self._again[place]
            self._connect(place)

    def _connect(self, place: Place) -> None:
        line = self._lines[place] = Line(self._context, place)
        self._by_socket[line.socket] = line
        self._by_monitor[line.monitor.fileno()] = line
        self._poller.register(line.socket, zmq.POLLIN)
        self._news.register(line.monitor.fileno(), select.EPOLLIN)

    def _drop(self, place: Place) -> None:
        self._again.pop(place, None)
        line = self._lines.pop(place, None)
        if line is not None:
            self._poller.unregister(line.socket)
            self._news.unregister(line.monitor.fileno())
            del self._by_socket[line.socket], self._by_monitor[line.monitor.fileno()]
            line.close()
