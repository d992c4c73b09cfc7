"""The data path as a whole: one thread, one loop, one listener; and those of tcp services."""

import asyncio
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Final

import uvloop

from .front import Client
from .head import Heads
from .log import AccessLog
from .shared import Shared, Timeouts
from .table import Service, ServiceStats, Table
from .tcp import Sockets, Streams

_FLUSH: Final = 0.2  # seconds between two writes of the access log
_BACKLOG: Final = 4096  # connections that wait to be accepted; the kernel caps it


class Proxy:
    """An HTTP/1 balancer in a thread of its own.

    Args:
        listener: A bound, listening stream socket. It is the proxy's from now on: `stop` closes it (another holder of
            the same socket, a parent or a duplicate, goes on to listen).
        sockets: Where the listening sockets of tcp services come from; None: those cannot be reached.
        access_log: The file to append a line a request to; None: no log.
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
        sockets: Sockets | None = None,
        access_log: Path | None = None,
        chance: random.Random,
        hold: float = 3.0,
        timeouts: Timeouts | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._listener = listener
        self._sockets = sockets
        self._access_log = access_log
        self._chance = chance
        self._timeouts = (timeouts or Timeouts())._replace(hold=hold)
        self._clock = clock
        self._wall = wall
        self._thread: threading.Thread | None = None
        self._serving: Future[Shared] = Future()
        self._streams: Streams  # there once it serves
        self._stopping: asyncio.Future[float] | None = None
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

    def stats(self) -> dict[str, ServiceStats]:
        """What happened to the requests of each service since it came into the table. From any thread."""
        if not self._serving.done():
            return {}
        routes = self._serving.result().table.routes
        return {name: route.stats() for name, route in routes.items()} | self._streams.stats()

    def unheard(self) -> dict[str, str]:
        """Why users cannot connect to a tcp service, by service; to the others they can. From any thread."""
        return self._streams.unheard() if self._serving.done() else {}

    def stop(self, grace: float) -> None:
        """Accept no more, let open requests end within `grace` seconds, close everything, end the thread."""
        thread, self._thread = self._thread, None
        if thread is None:
            self._listener.close()
            return
        self._call(self._stop, grace)
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

    def _stop(self, grace: float) -> None:
        if self._stopping is not None and not self._stopping.done():
            self._stopping.set_result(grace)

    def _take(self) -> None:
        with self._lock:
            services, pending = self._services, self._pending
        self._serving.result().table.apply({name: one for name, one in services.items() if one.protocol == "http"})
        if pending:  # before the first table nobody knows which listeners are wanted
            self._streams.apply(one for one in services.values() if one.protocol == "tcp")
        with self._lock:
            self._pending -= pending

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        self._stopping = loop.create_future()
        try:
            log = AccessLog(self._access_log, self._wall)
            table = Table(loop, self._chance, self._clock)
            shared = Shared(loop, table, Heads(), log, self._clock, self._timeouts)
            server = await loop.create_server(lambda: Client(shared), sock=self._listener, backlog=_BACKLOG)
        except OSError as error:
            self._serving.set_exception(error)
            return
        self._streams = Streams(shared, self._sockets, self._chance)
        self._streams.start()
        chores = [loop.create_task(self._flush(shared)), loop.create_task(self._sweep(shared))]
        self._serving.set_result(shared)
        self._take()
        grace = await self._stopping
        server.close()
        await asyncio.gather(self._drain(shared, grace), self._streams.stop(grace))
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, *shared.dials, return_exceptions=True)
        log.close()

    async def _drain(self, shared: Shared, grace: float) -> None:
        shared.stopping = True
        for client in list(shared.clients):
            client.drain()
        try:
            async with asyncio.timeout(grace):
                await self._emptied(shared)
        except TimeoutError:
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
        while shared.clients:
            shared.empty.clear()
            await shared.empty.wait()

    async def _flush(self, shared: Shared) -> None:
        while True:
            await asyncio.sleep(_FLUSH)
            shared.log.flush()

    async def _sweep(self, shared: Shared) -> None:
        timeouts = shared.timeouts
        every = max(0.05, min(timeouts.head, timeouts.idle, timeouts.stall, timeouts.linger, timeouts.first) / 4)
        while True:
            await asyncio.sleep(every)
            now = shared.clock()
            for client in [client for client in shared.clients if client.deadline <= now]:
                client.expire(now)
