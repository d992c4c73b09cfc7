"""What a data path has counted, as its balancer tells it."""

from __future__ import annotations

from collections.abc import Mapping

from tucano.actors.messages.balancer import InstanceTraffic, ServiceTraffic, Traffic
from tucano.actors.proxy import InstanceStats, ServiceStats


def traffic_of(stats: Mapping[str, ServiceStats]) -> Traffic:
    """What it has counted of each service."""
    return Traffic(tuple(_service(name, one) for name, one in stats.items()))


def _service(name: str, one: ServiceStats) -> ServiceTraffic:
    return ServiceTraffic(
        name, one.requests, one.errors, one.retries, one.in_flight, one.received, one.sent, one.ejections,
        _listed(one.classes), one.latency, tuple(_instance(each) for each in one.instances),
    )  # fmt: skip


def _instance(one: InstanceStats) -> InstanceTraffic:
    return InstanceTraffic(
        one.instance, one.in_flight, one.retries, one.received, one.sent, one.ejections, _listed(one.classes),
        one.latency,
    )  # fmt: skip


def _listed(classes: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(classes.get(digit, 0) for digit in range(6))
