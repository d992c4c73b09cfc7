"""What stands outside the controller: a client at its door, and a data path that only remembers its routes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgpack

from tucano.actors.proxy import Service, ServiceStats
from tucano.testing.runtime import Turns
from tucano.transport.door import Client
from tucano.transport.security import LOCAL, Guest

HERE: Client = (b"client",)

WITHIN = 12.0
"""Virtual seconds that a client waits; the gateway refuses after ten."""


class Answer(NamedTuple):
    """Attributes: ok: what was answered; code: why it was refused, empty if not, `gone` if nobody answered."""

    ok: Any
    code: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the client knows what came of its request."""
        return self.code not in ("gone", "timeout", "crashed", "stopped", "unreachable")


class Door:
    """A `transport.door.Door` of one gateway's incarnation."""

    def __init__(self, street: Street) -> None:
        self._street = street
        self.on_request: Callable[[Client, bytes, Guest], None]

    def start(self, on_request: Callable[[Client, bytes, Guest], None]) -> None:
        """See `transport.door.Door`."""
        self.on_request = on_request
        self._street.door = self

    def send(self, client: Client, frame: bytes) -> None:
        """See `transport.door.Door`."""
        answer = msgpack.unpackb(frame)
        self._street.answers[answer["id"]] = answer

    def admits(self, guest: Guest) -> bool:
        """See `transport.door.Door`."""
        return not guest.revoked

    def close(self) -> None:
        """See `transport.door.Door`."""
        if self._street.door is self:
            self._street.door = None


class Street:
    """Where clients are: outlives all controllers.

    Args:
        turns: time.

    """

    def __init__(self, turns: Turns) -> None:
        self.door: Door | None = None
        self.answers: dict[int, dict[str, Any]] = {}
        self._turns = turns
        self._numbers = itertools.count(1)

    def ask(self, op: str, **args: Any) -> Answer:
        """Ask the gateway, and run the simulation until it answers, is gone, or is too late."""
        door, number = self.door, next(self._numbers)
        if door is None:
            return Answer(None, "unavailable")
        door.on_request(HERE, msgpack.packb({"v": 1, "id": number, "op": op, "args": args}), LOCAL)
        self._turns.run(self._turns.now() + WITHIN, lambda: number in self.answers or self.door is not door)
        answer = self.answers.pop(number, None)
        if answer is None:
            return Answer(None, "gone")
        return Answer(answer.get("ok"), answer.get("error", {}).get("code", ""))


class DataPath:
    """Takes the place of `actors.proxy.Proxy`: draining instances have open requests for a while.

    Args:
        turns: time.
        draw: seconds that the open requests of an instance go on.

    """

    def __init__(self, turns: Turns, draw: Callable[[], float]) -> None:
        self.routes: dict[str, Service] = {}
        self._turns = turns
        self._draw = draw
        self._busy: dict[str, float] = {}  # until when, by draining instance

    def start(self) -> None:
        """See `Proxy`."""

    def apply(self, services: Mapping[str, Service]) -> None:
        """See `Proxy`."""
        self.routes = dict(services)
        draining = [t.instance for service in services.values() for t in service.targets if not t.ready]
        self._busy = {one: self._busy.get(one) or self._turns.now() + self._draw() for one in draining}

    def open(self) -> set[str]:
        """Instances that get new requests."""
        return {target.instance for service in self.routes.values() for target in service.targets if target.ready}

    def in_flight(self) -> dict[str, int]:
        """See `Proxy`."""
        return {instance: 1 for instance, until in self._busy.items() if until > self._turns.now()}

    def stats(self) -> dict[str, ServiceStats]:
        """See `Proxy`."""
        return {}

    def stop(self, grace: float) -> None:
        """See `Proxy`."""
