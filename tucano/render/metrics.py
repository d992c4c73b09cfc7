"""Users' requests as OpenMetrics text, for whoever scrapes or collects it. Pure.

The format is that of OpenMetrics 1.0 (https://github.com/prometheus/OpenMetrics). Counters begin anew with a balancer,
as scrapers expect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from tucano.actors.messages.latency import EDGES
from tucano.client.answers import TrafficInfo

_PER_BOUND = 4
"""Buckets of ours for one of the histogram that is told: two for each power of two."""

_COUNTS: Sequence[tuple[str, str, str, Callable[[TrafficInfo], int]]] = (
    (
        "errors",
        "counter",
        "Those that the balancer answered itself with a 5xx, or could not connect.",
        lambda one: one.errors,
    ),
    ("retries", "counter", "Attempts that failed and were followed by another.", lambda one: one.retries),
    ("ejections", "counter", "How often an instance was left alone for a while.", lambda one: one.ejections),
    ("received_bytes", "counter", "Bytes of bodies that came from users.", lambda one: one.received),
    ("sent_bytes", "counter", "Bytes of bodies that went to users.", lambda one: one.sent),
    ("in_flight", "gauge", "Requests that are open.", lambda one: one.in_flight),
)


def metrics(services: Sequence[TrafficInfo]) -> str:
    """All counts of all services, and how long their requests took."""
    return "\n".join([*_requests(services), *_counts(services), *_durations(services), "# EOF"])


def _requests(services: Sequence[TrafficInfo]) -> Iterator[str]:
    yield from _about("requests", "counter", "Answers, by the first digit of their status; of tcp, connections.")
    for one in services:
        if not any(one.classes):  # of a protocol without them
            yield f'tucano_requests_total{{service="{one.service}",status="none"}} {one.requests}'
            continue
        for digit, count in enumerate(one.classes):
            if digit:
                yield f'tucano_requests_total{{service="{one.service}",status="{digit}xx"}} {count}'


def _counts(services: Sequence[TrafficInfo]) -> Iterator[str]:
    for name, kind, text, count in _COUNTS:
        yield from _about(name, kind, text)
        total = "_total" if kind == "counter" else ""
        for one in services:
            yield f'tucano_{name}{total}{{service="{one.service}"}} {count(one)}'


def _durations(services: Sequence[TrafficInfo]) -> Iterator[str]:
    yield from _about("request_seconds", "histogram", "From a request's head to its answer's end.")
    for one in services:
        sums = list(accumulate(one.latency.slots()))
        # A bucket begins where the one before ends: the bound of the first n is the edge of the next.
        for slot in range(_PER_BOUND - 1, len(EDGES), _PER_BOUND):
            yield f'tucano_request_seconds_bucket{{service="{one.service}",le="{EDGES[slot]:.6g}"}} {sums[slot]}'
        yield f'tucano_request_seconds_bucket{{service="{one.service}",le="+Inf"}} {sums[-1]}'


def _about(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# TYPE tucano_{name} {kind}"
    yield f"# HELP tucano_{name} {text}"
