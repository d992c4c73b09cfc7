"""How much happens: rates out of two looks at a cluster's counts. Pure.

A count that was not there before, or that went back because its process is a new one, gives no rate until the next
look: there is none that would be true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from tucano.actors.messages.latency import quantile, since
from tucano.client.answers import InstanceTrafficInfo, NodeInfo, TrafficInfo
from tucano.client.insight import ActorInfo, NodeActors, WaitInfo

STUCK = 1.0
"""Seconds at one message after which an actor stands above all others."""


@dataclass(frozen=True)
class Look:
    """What a cluster says of itself at one time.

    Attributes:
        at: seconds, of a clock that does not jump.
        nodes: its processes.
        services: users' requests, counted since the balancers started.
        actors: of each node that answered.

    """

    at: float
    nodes: Sequence[NodeInfo] = field(default=())
    services: Sequence[TrafficInfo] = field(default=())
    actors: Sequence[NodeActors] = field(default=())


class InstanceRates(msgspec.Struct, frozen=True):
    """One instance of a service; see `ServiceRates`. `ejections`: since the balancers started."""

    instance: str
    requests: float | None
    errors: float | None
    retries: float | None
    in_flight: int
    p50: float | None
    p99: float | None
    ejections: int


class ServiceRates(msgspec.Struct, frozen=True):
    """One service.

    Attributes:
        service: its name.
        requests: each second; of an instance, its answers. None, as for all rates, if it is not known.
        errors: answers with a status of the 500s each second, by whomever.
        retries: attempts each second that failed and were followed by another.
        in_flight: requests that are open now.
        p50: seconds that half of the requests took at most; None if none ended between the two looks.
        p99: seconds that 99 of 100 took at most.
        received: bytes each second that came from users.
        sent: bytes each second that went to users.
        instances: each of its own, if the service was asked for.

    """

    service: str
    requests: float | None
    errors: float | None
    retries: float | None
    in_flight: int
    p50: float | None = None
    p99: float | None = None
    received: float | None = None
    sent: float | None = None
    instances: list[InstanceRates] = []


class ActorRates(msgspec.Struct, frozen=True):
    """One actor: messages handled each second (None if not known); the rest as `ps` tells it."""

    node: str
    name: str
    kind: str
    messages: float | None
    depth: int
    high_water: int
    p50: float | None
    p99: float | None
    restarts: int
    busy: float
    waits: list[WaitInfo]


class Rates(msgspec.Struct, frozen=True):
    """What happens in a cluster.

    Attributes:
        seconds: between the two looks; 0 if there was one only.
        nodes: its processes.
        services: the busiest first.
        actors: of all nodes: those that are at one message for long, then the busiest first.

    """

    seconds: float
    nodes: list[NodeInfo]
    services: list[ServiceRates]
    actors: list[ActorRates]


def between(before: Look | None, now: Look) -> Rates:
    """The rates at the time of `now`."""
    seconds = max(now.at - before.at, 0.0) if before else 0.0
    services = _services(before.services if before else (), now.services, seconds)
    actors = _actors(before.actors if before else (), now.actors, seconds)
    return Rates(
        seconds=round(seconds, 3),
        nodes=list(now.nodes),
        services=sorted(services, key=lambda one: (-(one.requests or 0.0), one.service)),
        actors=sorted(actors, key=_busiest_first),
    )


def _services(before: Sequence[TrafficInfo], now: Sequence[TrafficInfo], seconds: float) -> list[ServiceRates]:
    was = {one.service: one for one in before}
    rates = []
    for one in now:
        old = was.get(one.service)
        if old is not None and one.requests < old.requests:
            old = None  # a balancer is a new one: none of its counts goes on
        requests, retries, received, sent = (
            _rate(getattr(old, count, None), getattr(one, count), seconds)
            for count in ("requests", "retries", "received", "sent")
        )
        errors, (p50, p99) = _rate(None if old is None else _failed(old), _failed(one), seconds), _quantiles(old, one)
        instances = _instances(old.instances if old else (), one.instances, seconds)
        rates.append(
            ServiceRates(one.service, requests, errors, retries, one.in_flight, p50, p99, received, sent, instances)
        )
    return rates


def _instances(
    before: Sequence[InstanceTrafficInfo], now: Sequence[InstanceTrafficInfo], seconds: float
) -> list[InstanceRates]:
    was = {one.instance: one for one in before}
    rates = []
    for one in now:
        old = was.get(one.instance)
        rates.append(
            InstanceRates(
                one.instance,
                _rate(None if old is None else sum(old.classes), sum(one.classes), seconds),
                _rate(None if old is None else _failed(old), _failed(one), seconds),
                _rate(None if old is None else old.retries, one.retries, seconds),
                one.in_flight,
                *_quantiles(old, one),
                one.ejections,
            )
        )
    return rates


def _failed(one: TrafficInfo | InstanceTrafficInfo) -> int:
    """Answers with a status of the 500s; of a tcp service, which has no answers, what the balancer calls errors."""
    ours = one.errors if isinstance(one, TrafficInfo) else 0
    return max(ours, sum(one.classes[5:6]))


def _quantiles(
    before: TrafficInfo | InstanceTrafficInfo | None, now: TrafficInfo | InstanceTrafficInfo
) -> tuple[float | None, float | None]:
    lately = since(before.latency, now.latency) if before is not None else None
    return (None, None) if lately is None else (quantile(lately, 0.5), quantile(lately, 0.99))


def _actors(before: Sequence[NodeActors], now: Sequence[NodeActors], seconds: float) -> list[ActorRates]:
    was = {(node.node, node.pid, one.name): one.handled for node in before for one in node.actors}
    return [
        _actor(node.node, one, _rate(was.get((node.node, node.pid, one.name)), one.handled, seconds))
        for node in now
        for one in node.actors
    ]


def _actor(node: str, one: ActorInfo, messages: float | None) -> ActorRates:
    return ActorRates(
        node, one.name, one.kind, messages, one.depth, one.high_water, one.p50, one.p99, one.restarts, one.busy,
        one.waits,
    )  # fmt: skip


def _rate(before: int | None, now: int, seconds: float) -> float | None:
    if before is None or now < before or seconds <= 0:
        return None
    return round((now - before) / seconds, 3)


def _busiest_first(one: ActorRates) -> tuple[bool, float, str, str]:
    """What waits counts like what is handled: a backlog is business, too."""
    return one.busy < STUCK, -((one.messages or 0.0) + one.depth), one.node, one.name
