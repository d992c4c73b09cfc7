"""What several balancers have counted, added up for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, TypeVar

import msgspec

from tucano.actors.messages.balancer import InstanceTraffic, ServiceTraffic, Traffic
from tucano.actors.messages.latency import quantile, together

T = TypeVar("T", ServiceTraffic, InstanceTraffic)


def traffic(answers: Sequence[Traffic]) -> dict[str, Any]:
    """What several balancers counted, added up by service and by instance.

    `p50` and `p99` are quantiles of all times that were counted, in seconds, or None.
    """
    return {"services": [_service(one) for one in _grouped("service", (s for a in answers for s in a.services))]}


def _service(several: Sequence[ServiceTraffic]) -> dict[str, Any]:
    instances = _grouped("instance", (each for one in several for each in one.instances))
    return {**_added("service", several), "instances": [_added("instance", each) for each in instances]}


def _grouped(name: str, found: Iterable[T]) -> list[list[T]]:
    """Those of the same name together, in the order of names."""
    groups: dict[str, list[T]] = {}
    for one in found:
        groups.setdefault(getattr(one, name), []).append(one)
    return [groups[name] for name in sorted(groups)]


def _added(name: str, several: Sequence[ServiceTraffic] | Sequence[InstanceTraffic]) -> dict[str, Any]:
    first, latency = several[0], together([one.latency for one in several])
    classes = zip_longest(*(one.classes for one in several), fillvalue=0)
    counts = [field for field in first.__struct_fields__ if isinstance(getattr(first, field), int)]
    return {
        name: getattr(first, name),
        **{count: sum(getattr(one, count) for one in several) for count in counts},
        "classes": [sum(each) for each in classes],
        "latency": msgspec.to_builtins(latency),
        "p50": quantile(latency, 0.5),
        "p99": quantile(latency, 0.99),
    }
