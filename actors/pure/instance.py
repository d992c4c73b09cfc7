"""One instance's life: what a worker's report may make of it. Pure.

Workers report what they see; the controller alone decides that an instance is pending, draining or lost. Every pair
of a state and a reported state has an answer: a surprising one leaves the state as it is. A worker that says `pending`
reports nothing of the instance, but that it cannot take it, and why: see the deployer.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tucano.actors.messages.model import Instance, State

ACTIVE: Final = frozenset[State]({"pending", "building", "starting", "ready", "unready"})
"""Counts as a replica."""

REPORTED: Final = frozenset[State]({"building", "starting", "ready", "unready", "stopping", "stopped", "failed"})
"""What a worker can say."""

_ALIVE = frozenset[State]({"building", "starting", "ready", "unready"})
_ENDED = frozenset[State]({"stopping", "stopped", "failed"})

FOLLOWS: Final[dict[State, frozenset[State]]] = {
    "pending": _ALIVE | _ENDED,
    "building": _ALIVE | _ENDED,
    "starting": _ALIVE | _ENDED,
    "ready": _ALIVE | _ENDED,
    "unready": _ALIVE | _ENDED,
    "draining": _ENDED,  # it may still be ready: it gets no new requests all the same
    "stopping": frozenset({"stopped", "failed"}),
    "lost": _ALIVE | _ENDED,  # its worker is back, and it with it
    "failed": frozenset({"stopping", "stopped"}),
    "stopped": frozenset(),
}
"""The states that a report may bring, by the present one."""


def reported(known: Instance, report: Instance) -> Instance:
    """What is known after a worker's report; facts about the process are taken over in any state."""
    state = report.state if report.state in FOLLOWS[known.state] else known.state
    return msgspec.structs.replace(
        known,
        state=state,
        since=known.since if state == known.state else report.since,
        pid=report.pid,
        host=report.host,
        port=report.port,
        restarts=report.restarts,
        detail=report.detail,
        served=known.served or report.served,
    )
