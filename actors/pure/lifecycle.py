"""What becomes of an instance when its process ends or its health is checked. Pure: decisions, no effects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import msgspec

from tucano.actors.kernel.restart import GiveUp, History, Law, crashed

NEW: Final = Law(intensity=2, period=86_400.0, base=0.1)
"""For an instance that has never been ready: more starts will not help it."""

PROVEN: Final = Law(intensity=5, period=60.0, base=0.1)
"""For one that has: then it is placed elsewhere."""

UNREADY_AFTER: Final = 3
"""Failed checks in a row that take a ready instance out of the rotation."""

HUNG_AFTER: Final = 10
"""Failed checks in a row after which its process is killed."""


class Life(msgspec.Struct, frozen=True):
    """An instance, as far as decisions need it.

    Attributes:
        state: of its process.
        served: whether the instance has ever been ready.
        proven: whether its present process has.
        failures: failed checks in a row.
        crashes: see `restart`.

    """

    state: Literal["starting", "ready", "unready"] = "starting"
    served: bool = False
    proven: bool = False
    failures: int = 0
    crashes: History = History()


class Again(NamedTuple):
    """Start it again.

    Attributes:
        life: from now on.
        after: seconds.
        same_port: whether routes to its port stay right; a process that never became ready may have found it taken.

    """

    life: Life
    after: float
    same_port: bool


class Failed(NamedTuple):
    """Leave it: it ended `times` times within `seconds`."""

    times: int
    seconds: float


class Checked(NamedTuple):
    """After a health check: `hung` means that its process is to be killed."""

    life: Life
    hung: bool


def ended(life: Life, now: float, chance: Callable[[], float]) -> Again | Failed:
    """Judge the end of a process that nobody wanted; see `restart.crashed` for the arguments."""
    verdict = crashed(PROVEN if life.served else NEW, life.crashes, now, chance)
    if isinstance(verdict, GiveUp):
        return Failed(verdict.crashes, verdict.within)
    return Again(Life(served=life.served, crashes=verdict.history), verdict.after, life.proven)


def checked(life: Life, healthy: bool) -> Checked:
    """Judge a health check."""
    if healthy:
        # crashes before the first readiness are not held against an instance that came up after all
        crashes = life.crashes if life.served else History()
        return Checked(Life("ready", served=True, proven=True, crashes=crashes), hung=False)
    failures = life.failures + 1
    state = "unready" if life.state == "ready" and failures >= UNREADY_AFTER else life.state
    return Checked(
        msgspec.structs.replace(life, state=state, failures=failures), hung=life.proven and failures >= HUNG_AFTER
    )
