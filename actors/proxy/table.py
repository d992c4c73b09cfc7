"""The routing table: what is told from outside (`Service`, `Target`), and what the data path reads (`Route`)."""

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import NamedTuple

from .back import Backend
from .hold import Waiting
from .pick import Rota


class Target(NamedTuple):
    """An instance that serves, or did.

    Attributes:
        instance: Its id, said in `X-Tucano-Instance` and in the access log.
        host: Where it listens.
        port: Where it listens.
        ready: It takes requests. If not it is draining: nothing new, and open requests go on to their end.
    """

    instance: str
    host: str
    port: int
    ready: bool


class Service(NamedTuple):
    """A service and its instances.

    Attributes:
        name: What the first label of a request's Host says, in any case.
        targets: Its instances.
        expected: An instance that was ready is being restarted: hold requests for a while rather than answer 503.
        protocol: What its users speak: http, tcp or zmq. A data path leaves out what it does not know.
        port: Where a tcp service's users come in.
        repeat: A zmq service's request may be sent again when its instance has died.
    """

    name: str
    targets: tuple[Target, ...]
    expected: bool
    protocol: str = "http"
    port: int = 0
    repeat: bool = False


class ServiceStats(NamedTuple):
    """What happened to one service's requests since it came into the table.

    Attributes:
        requests: Those that came.
        errors: Those we answered ourselves with a status of the 500s.
        retries: Attempts beyond the first.
        in_flight: Those that have not ended.
        classes: Answers by the first digit of their status, ours included; 4 counts clients that left, too.
        received: Bytes that came from users (tcp).
        sent: Bytes that went to users (tcp).
    """

    requests: int
    errors: int
    retries: int
    in_flight: int
    classes: dict[int, int]
    received: int = 0
    sent: int = 0


class Route:
    """One service as the data path sees it, with its counters."""

    __slots__ = (
        "classes", "errors", "expected", "gone", "in_flight", "name", "requests", "retries", "rota", "waiting",
    )  # fmt: skip

    def __init__(self, name: str, rota: Rota[Backend], waiting: Waiting) -> None:
        self.name = name
        self.rota = rota
        self.waiting = waiting
        self.expected = False
        self.gone = False  # it has left the table
        self.requests = 0
        self.errors = 0
        self.retries = 0
        self.in_flight = 0
        self.classes = [0] * 6

    def stats(self) -> ServiceStats:
        """The counters as they stand."""
        classes = {digit: count for digit, count in enumerate(self.classes) if count}
        return ServiceStats(self.requests, self.errors, self.retries, self.in_flight, classes)


class Table:
    """All routes and instances. Changed in the loop's thread alone; the counters may be read from any.

    Args:
        loop: The data path's.
        chance: Where lots are drawn from.
        clock: Seconds, monotonic.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: random.Random, clock: Callable[[], float]) -> None:
        self._loop = loop
        self._chance = chance
        self._clock = clock
        self.routes: dict[str, Route] = {}
        self._backends: dict[tuple[str, str, int], Backend] = {}

    def apply(self, services: Mapping[str, Service]) -> None:
        """Make these the routes, at once. Instances that stay keep their connections and counters."""
        routes: dict[str, Route] = {}
        backends: dict[tuple[str, str, int], Backend] = {}
        for service in services.values():
            name = service.name.lower()
            route = routes[name] = self.routes.get(name) or self._route(name)
            ready = []
            for instance, host, port, is_ready in service.targets:
                key = (instance, host, port)
                backend = backends[key] = self._backends.get(key) or Backend(*key)
                if is_ready:
                    backend.admit()
                    ready.append(backend)
                else:
                    backend.retire()
            route.expected = service.expected
            route.rota.replace(ready)
        for key, backend in self._backends.items():
            if key not in backends:
                backend.retire()
                if backend.open:
                    backends[key] = backend  # until its requests have ended
        former, self.routes, self._backends = self.routes, routes, backends
        for name, route in former.items():
            route.gone = name not in routes
            route.waiting.wake()

    def _route(self, name: str) -> Route:
        rota: Rota[Backend] = Rota(self._chance)
        return Route(name, rota, Waiting(self._loop, self._clock, lambda: bool(rota.members)))

    def backends(self) -> list[Backend]:
        """All instances that are in the table, or have left it with requests open."""
        return list(self._backends.values())
