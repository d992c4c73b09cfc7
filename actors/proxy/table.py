"""The routing table: what is told from outside (`Service`, `Target`), and what the data path reads (`Route`)."""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Final, NamedTuple

from tucano.actors.messages import model
from tucano.actors.messages.latency import Latency

from . import affinity
from .back import Backend
from .budget import Budget
from .directory import Directory, Listing
from .hold import Line, Waiting
from .pick import Rota
from .tally import InstanceStats, Tally

_FAILURES: Final = frozenset((502, 503, 504))  # answers by which an instance says that it cannot


class Target(NamedTuple):
    """An instance that serves, or did.

    Attributes:
        instance: Its id, said in `X-Tucano-Instance` and in the access log.
        host: Where it listens.
        port: Where it listens.
        ready: It takes requests. If not it is draining: nothing new, and open requests go on to their end.
        weight: What it is given of the requests, relative to the others; 0 for nothing new.
    """

    instance: str
    host: str
    port: int
    ready: bool
    weight: float = 1.0


class Service(NamedTuple):
    """A service and its instances.

    Attributes:
        name: Its name.
        targets: Its instances.
        expected: An instance that was ready is being restarted: hold requests for a while rather than answer 503.
        route: Which requests are its own, and what its users speak: a data path leaves out what it does not know.
        balance: Which instance takes a request.
        timeouts: How long requests may take.
    """

    name: str
    targets: tuple[Target, ...]
    expected: bool
    route: model.Route = model.Route()
    balance: model.Balance = model.Balance()
    timeouts: model.Timeouts = model.Timeouts()


class ServiceStats(NamedTuple):
    """What happened to one service's requests since it came into the table.

    Attributes:
        requests: Those that came.
        errors: Those we answered ourselves with a status of the 500s.
        retries: Attempts beyond the first.
        in_flight: Those that have not ended.
        classes: Answers by the first digit of their status, ours included; 4 counts clients that left, too.
        received: Bytes that came from users.
        sent: Bytes that went to them.
        ejections: How often one of its instances was left alone for a while.
        latency: How long its requests took, but for tunnels.
        instances: Those of now, if they were asked for.
    """

    requests: int
    errors: int
    retries: int
    in_flight: int
    classes: dict[int, int]
    received: int = 0
    sent: int = 0
    ejections: int = 0
    latency: Latency = Latency()
    instances: tuple[InstanceStats, ...] = ()


class Route:
    """One service as the data path sees it, with its counters.

    Args:
        name: The service's.
        loop: The data path's.
        clock: Seconds, monotonic.
        chance: Where lots are drawn from.

    Attributes:
        label: Its name, for the log.
        members: Its instances, those too that are draining, or have left with requests open.
        tally: What is counted of requests that reached no instance, or one that has left.
        rota: Who may be chosen.
        waiting: Requests that wait for an instance.
        line: Requests that wait for a place, where instances take only so many.
        special: Something has to be read of each request, or written into it.
        timed: How long each answer takes is of interest.
        prefix: What is cut off each path.
        gone: It has left the table.
    """

    __slots__ = (
        "_chance", "_clock", "_loop", "balance", "budget", "errors", "expected", "gone", "in_flight", "label", "line",
        "members", "name", "prefix", "requests", "rota", "rule", "special", "tally", "timed", "timeouts", "waiting",
    )  # fmt: skip

    def __init__(
        self, name: str, loop: asyncio.AbstractEventLoop, clock: Callable[[], float], chance: random.Random
    ) -> None:
        self.name = name
        self._loop = loop
        self._clock = clock
        self._chance = chance
        self.waiting = Waiting(loop, clock, lambda: bool(self.rota.members))
        self.budget = Budget()
        self.expected = False
        self.gone = False
        self.requests = 0
        self.errors = 0
        self.in_flight = 0
        self.label = name.encode()
        self.members: list[Backend] = []
        self.tally = Tally()
        self.timeouts = model.Timeouts()
        self.special = False
        self.line: Line | None = None
        self._route(model.Route())
        self._balance(model.Balance())

    def take(self, service: Service, ready: list[Backend]) -> None:
        """Be this service, with these instances."""
        self.expected = service.expected
        self.timeouts = service.timeouts
        self._route(service.route)
        if service.balance != self.balance:
            self._balance(service.balance)
        self.special = bool(self.prefix or self.balance.sticky or self.balance.policy == "hash" or self.timed)
        self.rota.replace(ready, self._clock())

    def have(self, members: list[Backend]) -> None:
        """Have these instances. The counts of one that has left are ours from when its last request has ended."""
        there = set(members)
        for one in self.members:
            if one not in there and one.open:
                members.append(one)
            elif one not in there:
                self.tally.absorb(one.tally)
        self.members = members

    def bound(self, token: bytes | None) -> Backend | None:
        """The instance that a sticky cookie names, if it is there."""
        if token is None:
            return None
        return next((one for one in self.rota.members if one.token == token), None)

    def binding(self, chosen: Backend | None, bound: Backend | None) -> bytes:
        """The header line of an answer that binds its user to the instance, if that is new."""
        if not self.balance.sticky or chosen is None or chosen is bound:
            return b""
        return affinity.set_cookie(self.balance.sticky, chosen.token)

    def judge(self, backend: Backend | None, status: int, since: float) -> None:
        """An instance has begun an answer to what was sent to it then: remember how it did."""
        if backend is None:
            return
        now = self._clock()
        if self.timed:
            backend.answered(now - since, now)
        if status in _FAILURES:
            self.failed(backend, now)
        else:
            self.rota.ejection.succeeded(backend)

    def failed(self, backend: Backend, now: float) -> None:
        """A request failed at one of its instances."""
        if self.rota.failed(backend, now):
            backend.tally.ejections += 1

    def wake(self) -> None:
        """Let whoever waits look again: the table has changed."""
        self.waiting.wake()
        if self.line is not None:
            if self.gone:
                self.line.wake()
            else:
                self.line.flow()

    def _route(self, rule: model.Route) -> None:
        self.rule = rule
        self.prefix = rule.path.rstrip("/").encode() if rule.strip else b""

    def _balance(self, balance: model.Balance) -> None:
        """Choose anew, by these rules; nobody has failed under them."""
        former = self.line
        self.balance = balance
        self.timed = balance.policy == "least_latency"
        self.rota: Rota[Backend] = Rota(self._chance, balance)
        self.line = None
        if balance.max_in_flight:
            self.line = Line(self._loop, self._clock, lambda: self.rota.has_room(self._clock()), balance.queue)
        if former is not None:
            self._loop.call_soon(former.wake)  # who stood in the former line looks for a place in this one

    def stats(self, *, detail: bool) -> ServiceStats:
        """The counters as they stand; `detail`: of each instance, too."""
        tally = Tally()
        for counted in (self.tally, *(one.tally for one in self.members)):
            tally.absorb(counted)
        return ServiceStats(
            self.requests,
            self.errors,
            tally.retries,
            self.in_flight,
            {digit: count for digit, count in enumerate(tally.classes) if count},
            tally.received,
            tally.sent,
            tally.ejections,
            tally.latency(),
            tuple(one.tally.stats(one.instance, one.open) for one in self.members) if detail else (),
        )


class Table:
    """All routes and instances. Changed in the loop's thread alone; the counters may be read from any.

    Args:
        loop: The data path's.
        chance: Where lots are drawn from.
        clock: Seconds, monotonic.

    Attributes:
        routes: By name.
        users: Which of them a user's request is for.
        inside: Which of them a request at the inside port is for.
        patience: Seconds before which no request can be overdue.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: random.Random, clock: Callable[[], float]) -> None:
        self._loop = loop
        self._chance = chance
        self._clock = clock
        self.routes: dict[str, Route] = {}
        self._backends: dict[tuple[str, str, int], Backend] = {}
        self._listings: list[Listing[Route]] = []
        self.users: Directory[Route] = Directory(())
        self.inside: Directory[Route] = self.users
        self.patience = inf

    def apply(self, services: Mapping[str, Service]) -> None:
        """Make these the routes, at once. Instances that stay keep their connections and counters."""
        routes: dict[str, Route] = {}
        backends: dict[tuple[str, str, int], Backend] = {}
        for service in services.values():
            name = service.name.lower()
            route = routes[name] = self.routes.get(name) or Route(name, self._loop, self._clock, self._chance)
            ready, members = [], []
            for instance, host, port, is_ready, weight in service.targets:
                key = (instance, host, port)
                backend = backends[key] = self._backends.get(key) or Backend(*key)
                backend.weight = weight
                members.append(backend)
                if is_ready:
                    backend.admit()
                    ready.append(backend)
                else:
                    backend.retire()
            route.have(members)
            route.take(service, ready)
        departed = []
        for key, backend in self._backends.items():
            if key not in backends:
                if backend.ready:  # and not draining: its machine is gone
                    departed.append(backend)
                backend.retire()
                if backend.open:
                    backends[key] = backend  # until its requests have ended
        former, self.routes, self._backends = self.routes, routes, backends
        self._list(routes.values())
        self.patience = min((_shortest(route.timeouts) for route in routes.values()), default=inf)
        for name, route in former.items():
            route.gone = name not in routes
            route.wake()
        for backend in departed:
            backend.depart()

    def _list(self, routes: Iterable[Route]) -> None:
        """Compile the rules, unless they are those of before: what is remembered of hosts is then still right."""
        listings = [Listing(route.name, route.rule, route) for route in routes]
        if listings != self._listings:
            self._listings = listings
            self.inside = self.users = Directory(listings)
            if any(listing.rule.private for listing in listings):
                self.users = Directory(listing for listing in listings if not listing.rule.private)

    def backends(self) -> list[Backend]:
        """All instances that are in the table, or have left it with requests open."""
        return list(self._backends.values())


def _shortest(timeouts: model.Timeouts) -> float:
    return min(timeouts.first_byte, timeouts.idle, timeouts.tunnel, timeouts.request or inf)
