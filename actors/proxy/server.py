"""The data path as a whole: one thread, one loop, and its listeners; those of tcp services, too."""

import asyncio
import functools
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Final, NamedTuple

import uvloop

from .certificates import Certificates
from .front import Client
from .handshake import SecureFront
from .head import Heads
from .listening import listen
from .log import AccessLog, Format
from .log_file import LogFile
from .reading import Turns
from .redirect import RedirectingClient
from .sending import Outbox
from .shared import Shared, Timeouts
from .table import Service, ServiceStats, Table
from .tcp import Sockets, Streams

_FLUSH: Final = 0.2  # seconds between two writes of the access log


class Secure(NamedTuple):
    """The front with TLS.

    Attributes:
        listener: As the proxy's.
        certificates: What we prove ourselves with.
        redirect: Send who comes without TLS here, if the host has a certificate.
    """

    listener: socket.socket
    certificates: Certificates
    redirect: bool = False


class Proxy:
    """An HTTP/1 balancer in a thread of its own.

    Args:
        listener: A bound, listening stream socket. It is the proxy's from now on: `stop` closes it (another holder of
            the same socket, a parent or a duplicate, goes on to listen). So are those of the other fronts.
        secure: The front with TLS, if there is to be one.
        inside: The listener of the front for this machine's own programs, if there is to be one.
        sockets: Where the listening sockets of tcp services come from; None: those cannot be reached.
        access_log: The file to append a line a request to; None: no log.
        log_format: How a line looks.
        chance: Where lots are drawn from. The proxy's alone.
        hold: Seconds to hold a request while no instance takes it and one is expected.
        timeouts: All other times to wait; its `hold` is replaced by the one above.
        clock: Seconds, monotonic.
        wall: Seconds since 1970, for the log.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        secure: Secure | None = None,
        inside: socket.socket | None = None,
        sockets: Sockets | None = None,
        access_log: Path | None = None,
        log_format: Format = "combined",
        chance: random.Random,
        hold: float = 3.0,
        timeouts: Timeouts | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._listener = listener
        self._secure = secure
        self._inside = inside
        self._sockets = sockets
        self._access_log = access_log
        self._log_format = log_format
        self._chance = chance
        self._timeouts = (timeouts or Timeouts())._replace(hold=hold)
        self._clock = clock
        self._wall = wall
        self._thread: threading.Thread | None = None
        self._serving: Future[Shared] = Future()
        self._streams: Streams  # there once it serves
        self._stopping: asyncio.Future[float] | None = None
        self._fronts: list[asyncio.Server | SecureFront] = []
        self._services: Mapping[str, Service] = {}
        self._pending = 0  # tables that were applied and are not in effect yet
        self._lock = threading.Lock()  # of the two above: held for a moment, never while waiting

    def start(self) -> None:
        """Start the thread; return when it serves.

        Raises:
            OSError: The listener or the access log cannot be used.
        """
        self._thread = threading.Thread(target=self._run, name="tucano-proxy", daemon=True)
        self._thread.start()
        try:
            self._serving.result()
        except OSError:
            self._thread.join()
            self._thread = None
            raise

    def apply(self, services: Mapping[str, Service]) -> None:
        """Make these the routes, all at once, in place of those before. Never waits; may be called from any thread.

        Open requests go on to their end, wherever they are. Until the table is in effect (the loop's next turn),
        `in_flight` counts one request more for each instance that it takes out of the rotation.
        """
        with self._lock:
            self._services = dict(services)
            self._pending += 1
        if self._serving.done():
            self._call(self._take)

    def in_flight(self) -> dict[str, int]:
        """Open requests and tunnels by instance id; instances without any are left out. From any thread."""
        counts: Counter[str] = Counter()
        if not self._serving.done():
            return counts
        with self._lock:
            ready = {one.instance for service in self._services.values() for one in service.targets if one.ready}
            pending = self._pending > 0
        for backend in self._serving.result().table.backends():
            leaving = pending and backend.instance not in ready
            counts[backend.instance] += backend.open + leaving
        for instance, count in self._streams.in_flight().items():
            counts[instance] += count + (pending and instance not in ready)
        return {instance: count for instance, count in counts.items() if count}

    def stats(self, detail: str = "") -> dict[str, ServiceStats]:
        """What happened to the requests of each service since it came into the table. From any thread.

        Args:
            detail: Of which service to tell each instance's, too.
        """
        if not self._serving.done():
            return {}
        routes = self._serving.result().table.routes
        http = {name: route.stats(detail=name == detail) for name, route in routes.items()}
        return http | self._streams.stats(detail)

    def hearing(self) -> dict[str, str]:
        """By port of a tcp service: why users cannot connect; empty if they can. From any thread."""
        return self._streams.hearing() if self._serving.done() else {}

    def leave(self, patience: float) -> None:
        """Accept no more, and have each connection's next answer be its last. Does not wait; `stop` is still to come.

        Args:
            patience: Seconds that a connection without an open request has for another one.
        """
        if self._thread is not None:
            self._call(self._leave, patience)

    def stop(self, grace: float, *, patient: bool = False) -> None:
        """Accept no more, let open requests end within `grace` seconds, close everything, end the thread.

        Args:
            grace: As said.
            patient: Leave connections without an open request what `leave` gave them.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            for listener in self._listeners():
                listener.close()
            return
        self._call(self._stop, grace, patient)
        thread.join()

    # --- in the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        finally:
            if not self._serving.done():  # whoever waits in `start` must not wait for ever
                self._serving.set_exception(OSError("the proxy ended before it served"))

    def _call(self, what: Callable[..., None], *args: object) -> None:
        try:
            self._serving.result().loop.call_soon_threadsafe(what, *args)
        except RuntimeError:
            if self._thread is not None:
                raise
            # The loop has been closed: the proxy was stopped, there is nothing left to change.

    def _stop(self, grace: float, patient: bool) -> None:
        if self._stopping is not None and not self._stopping.done():
            if not patient:
                self._leave(0.0)
            self._stopping.set_result(grace)

    def _leave(self, patience: float) -> None:
        for front in self._fronts:
            front.close()
        self._streams.leave()
        shared = self._serving.result()
        shared.stopping, shared.patience = True, patience
        for client in list(shared.clients):
            client.drain()

    def _take(self) -> None:
        with self._lock:
            services, pending = self._services, self._pending
        self._serving.result().table.apply(
            {name: one for name, one in services.items() if one.route.protocol == "http"}
        )
        if pending:  # before the first table nobody knows which listeners are wanted
            self._streams.apply(one for one in services.values() if one.route.protocol == "tcp")
        with self._lock:
            self._pending -= pending

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        self._stopping = loop.create_future()
        file = None
        try:
            if self._access_log is not None:
                file = LogFile(self._access_log)
            log = AccessLog(file, self._wall, self._log_format)
            table = Table(loop, self._chance, self._clock)
            turns = Turns(loop, self._clock)
            shared = Shared(loop, table, Heads(), log, self._clock, self._timeouts, Outbox(loop), turns)
            self._fronts = await self._open(shared)
        except OSError as error:
            if file is not None:
                file.close()
            self._serving.set_exception(error)
            return
        self._streams = Streams(shared, self._sockets, self._chance)
        self._streams.start()
        chores = [loop.create_task(self._flush(shared)), loop.create_task(self._sweep(shared))]
        self._serving.set_result(shared)
        self._take()
        grace = await self._stopping
        await asyncio.gather(self._drain(shared, grace), self._streams.stop(grace))
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, *shared.dials, return_exceptions=True)
        log.close()

    def _listeners(self) -> list[socket.socket]:
        others = (self._secure.listener if self._secure else None, self._inside)
        return [self._listener, *(one for one in others if one is not None)]

    async def _open(self, shared: Shared) -> list[asyncio.Server | SecureFront]:
        """Begin to take connections."""
        loop, secure = shared.loop, self._secure
        make: Callable[[], Client] = functools.partial(Client, shared)
        if secure is not None and secure.redirect:
            ports = self._listener.getsockname()[1], secure.listener.getsockname()[1]
            make = functools.partial(RedirectingClient, shared, secure.certificates, *ports)
        fronts: list[asyncio.Server | SecureFront] = [*await listen(loop, make, self._listener)]
        if self._inside is not None:
            fronts += await listen(loop, functools.partial(Client, shared, inside=True), self._inside)
        if secure is not None:
            fronts.append(SecureFront(shared, secure.listener, secure.certificates))
        return fronts

    async def _drain(self, shared: Shared, grace: float) -> None:
        try:
            async with asyncio.timeout(grace):
                await self._emptied(shared)
        except TimeoutError:
            for handshake in list(shared.handshakes):
                handshake.cancel()
            for client in list(shared.clients):
                client.cut()
            await self._emptied(shared)
        for dial in list(shared.dials):
            dial.cancel()
        backends = shared.table.backends()
        shared.table.apply({})  # closes the idle connections
        while any(backend.connections for backend in backends):
            await asyncio.sleep(0)

    async def _emptied(self, shared: Shared) -> None:
        while shared.clients or shared.handshakes:
            shared.empty.clear()
            await shared.empty.wait()

    async def _flush(self, shared: Shared) -> None:
        while True:
            await asyncio.sleep(_FLUSH)
            shared.log.flush()

    async def _sweep(self, shared: Shared) -> None:
        timeouts = shared.timeouts
        least = min(timeouts.head, timeouts.idle, timeouts.stall, timeouts.linger, timeouts.first)
        while True:
            every = max(0.05, min(least, shared.table.patience) / 4)
            await asyncio.sleep(every)
            now = shared.clock()
            for client in list(shared.clients):
                if client.deadline <= now:
                    client.expire(now)
                exchange = client.exchange
                if exchange is not None and exchange.began + every <= now:
                    exchange.expire(now)
            for route in shared.table.routes.values():
                route.budget.note(now, route.requests)
