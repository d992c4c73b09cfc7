"""What a Majordomo broker knows of a service: its instances, the requests that they have, and those that wait."""

import random
from collections import deque
from collections.abc import Callable

from .pick import Candidate, Rota
from .table import ServiceStats

Frames = list[bytes]


class Place(Candidate):
    """One instance, and the requests that it has.

    Args:
        key: Its id, and where it listens.
        service: Whose instance it is.

    Attributes:
        send: Sends frames to it; set by who opens the connection.
        up: It is connected.
        ready: It takes requests, once it is up.
    """

    __slots__ = ("asks", "key", "ready", "send", "service", "up")

    def __init__(self, key: tuple[str, str, int], service: "Queue") -> None:
        super().__init__()
        self.key = key
        self.service = service
        self.asks: dict[bytes, Ask] = {}
        self.send: Callable[[Frames], None] = _nowhere
        self.up = False
        self.ready = True


def _nowhere(_frames: Frames) -> None:
    raise RuntimeError("a request for an instance that was never connected")


class Ask:
    """A request that has no answer yet."""

    __slots__ = ("body", "client", "head", "losses", "until")

    def __init__(self, head: Frames, body: Frames, until: float) -> None:
        self.client = head[0]
        self.head = head  # of the answer
        self.body = body
        self.until = until
        self.losses = 0


class Queue:
    """One service: its instances, what waits for them, its counters."""

    def __init__(self, name: str, chance: random.Random) -> None:
        self.name = name
        self.rota: Rota[Place] = Rota(chance)
        self.places: dict[tuple[str, str, int], Place] = {}
        self.waiting: dict[bytes, deque[Ask]] = {}  # by client: each has its turn
        self.length = 0
        self.expected = False
        self.repeat = False
        self.requests = self.errors = self.retries = 0

    def stats(self) -> ServiceStats:
        """The counters as they stand. From any thread."""
        open_now = sum(place.open for place in list(self.places.values()))
        return ServiceStats(self.requests, self.errors, self.retries, open_now + self.length, {})

    def sort_out(self) -> None:
        """Who can be chosen has changed."""
        self.rota.replace(place for place in self.places.values() if place.up and place.ready)

    def hopeful(self) -> bool:
        """There will be an instance, as far as we know."""
        return self.expected or any(place.ready for place in self.places.values())

    def room(self, now: float, window: int) -> Place | None:
        """An instance that takes one more request."""
        place = self.rota.pick(now)
        if place is None or place.open < window:
            return place
        place = min(self.rota.members, key=lambda one: one.open)
        return place if place.open < window else None

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
