"""What a Majordomo broker knows of a service: its instances, the requests that they have, and those that wait."""

import random
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from tucano.actors.messages import model

from .pick import Candidate, Rota
from .table import Service, ServiceStats
from .tally import InstanceStats, Tally

Key = tuple[str, str, int]
"""An instance: its id, and where it listens."""


class Limits(NamedTuple):
    """What is bounded, and how long things may take, whatever the service.

    Attributes:
        window: Requests that are at one instance at once, unless its service says how many (`max_in_flight`); more
            wait here, where they are not lost with it.
        queue: Requests of one service that wait, unless it says how many are at an instance: then it has `queue`, too.
        queue_bytes: Bytes of all waiting requests together.
        client: Requests of one client that have no answer yet.
        kept: Bytes that are kept for one client: of a message that it has begun, and of answers that it does not take.
        kept_all: The same for all together.
        losses: Instances that one request may lose, if it may be repeated: the next one is safe from it.
        wait: Seconds that a request waits for an instance; likewise `queue_wait`.
    """

    window: int = 100
    queue: int = 4096
    queue_bytes: int = 64 << 20
    client: int = 1000
    kept: int = 64 << 20
    kept_all: int = 256 << 20
    losses: int = 3
    wait: float = 3.0


class Client:
    """Who asks.

    Args:
        send: Sends a message to it; quick, drops what cannot be sent.

    Attributes:
        load: Its requests that have no answer yet.
    """

    __slots__ = ("load", "send")

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.send = send
        self.load = 0


class Place(Candidate):
    """One instance, and the requests that it has.

    Args:
        key: Which one it is.
        service: Whose instance it is.

    Attributes:
        asks: By the envelope with which they were sent to it.
        send: Sends a message to it; set by who opens the connection.
        up: It is connected.
        ready: It takes requests, once it is up.
        tally: What is counted of it.
    """

    __slots__ = ("asks", "key", "ready", "send", "service", "tally", "up")

    def __init__(self, key: Key, service: "Queue") -> None:
        super().__init__(key[0])
        self.key = key
        self.tally = Tally()
        self.service = service
        self.asks: dict[bytes, Ask] = {}
        self.send: Callable[[bytes], None] = _nowhere
        self.up = False
        self.ready = True


def _nowhere(_message: bytes) -> None:
    raise RuntimeError("a request for an instance that was never connected")


class Ask:
    """A request that has no answer yet.

    Attributes:
        head: How its answer begins.
        body: What an instance gets of it; empty once it is not needed again.
        size: Bytes of that.
        began: When it came.
        until: When its time is over: to wait for an instance, or for the answer.
        losses: Instances that have ended with it.
    """

    __slots__ = ("began", "body", "client", "head", "losses", "size", "until")

    def __init__(self, client: Client, head: bytes, body: bytes, now: float, until: float) -> None:
        self.client = client
        self.head = head
        self.body = body
        self.size = len(body)
        self.began = now
        self.until = until
        self.losses = 0


class Queue:
    """One service: its instances, what waits for them, its counters.

    Attributes:
        window: Requests that are at one instance at once.
        most: Requests that wait.
        wait: Seconds that they wait.
        answer: Seconds that an instance has for an answer.
        repeat: A request may be sent again when its instance has died.
        tally: What is counted of requests that reached no instance, or one that has left.
    """

    def __init__(self, service: Service, chance: random.Random, limits: Limits) -> None:
        self.name = service.name
        self._chance = chance
        self._limits = limits
        self._balance: model.Balance | None = None
        self.take(service)
        self.places: dict[Key, Place] = {}
        self.waiting: dict[Client, deque[Ask]] = {}  # each has its turn
        self.length = 0
        self.requests = self.errors = 0
        self.tally = Tally()

    def take(self, service: Service) -> None:
        """Be this service, but for its instances."""
        self.expected = service.expected
        self.answer = service.timeouts.first_byte
        if self._balance == service.balance:
            return
        balance, limits = service.balance, self._limits
        self._balance = balance
        self.repeat = balance.repeat
        self.rota: Rota[Place] = Rota(self._chance, balance)
        self.window, self.most, self.wait = limits.window, limits.queue, limits.wait
        if balance.max_in_flight:
            self.window, self.most, self.wait = balance.max_in_flight, balance.queue, balance.queue_wait

    def have(self, places: dict[Key, Place]) -> None:
        """Have these instances. What is counted of one that has left is ours from then on."""
        for key, place in self.places.items():
            if key not in places:
                place.ready = False
                self.tally.absorb(place.tally)
                place.tally = self.tally
        for key, place in places.items():
            if key not in self.places:
                place.tally = Tally()
        self.places = places

    def stats(self, *, detail: bool = False) -> ServiceStats:
        """The counters as they stand; `detail`: of each instance, too. From any thread."""
        places = list(self.places.values())
        tally = Tally()
        for counted in (self.tally, *(place.tally for place in places)):
            tally.absorb(counted)
        open_now = sum(place.open for place in places) + self.length
        classes = {digit: count for digit, count in enumerate(tally.classes) if count}
        instances: tuple[InstanceStats, ...] = ()
        if detail:
            instances = tuple(place.tally.stats(place.key[0], place.open) for place in places)
        return ServiceStats(
            self.requests, self.errors, tally.retries, open_now, classes, tally.received, tally.sent, 0,
            tally.latency(), instances,
        )  # fmt: skip

    def sort_out(self, now: float) -> None:
        """Who can be chosen has changed."""
        self.rota.replace((place for place in self.places.values() if place.up and place.ready), now)

    def hopeful(self) -> bool:
        """There will be an instance, as far as we know."""
        return self.expected or any(place.ready for place in self.places.values())

    def room(self, now: float) -> Place | None:
        """An instance that takes one more request."""
        place = self.rota.pick(now)
        if place is None or place.open < self.window:
            return place
        place = min((one for one in self.rota.members if one.weight), key=lambda one: one.open)
        return place if place.open < self.window else None

    def push(self, ask: Ask, *, first: bool = False) -> None:
        """Wait in the client's own line."""
        line = self.waiting.setdefault(ask.client, deque())
        (line.appendleft if first else line.append)(ask)
        self.length += 1

    def pop(self) -> Ask:
        """The next one, of the client whose turn it is."""
        client = next(iter(self.waiting))
        line = self.waiting.pop(client)
        ask = line.popleft()
        if line:
            self.waiting[client] = line  # at the end: the others come first
        self.length -= 1
        return ask
