"""Waiting for a service to become what was wanted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tucano.client.answers import OnProgress, Progress, ServiceDetail
from tucano.client.failures import ClusterError
from tucano.client.follower import Follower
from tucano.client.verdict import Done, Failed, GoingOn, Verdict

if TYPE_CHECKING:
    from tucano.client import Client

LOOK = 0.25
"""Seconds between two looks at a service that is waited for, when no event comes earlier."""


def until(
    client: Client,
    name: str,
    judge: Callable[[ServiceDetail | None], Verdict],
    timeout: float,
    progress: OnProgress | None,
) -> Done | Failed:
    """Look at a service whenever something happens, until it is decided; a controller that is away is waited for.

    Args:
        client: of the cluster.
        name: of the service.
        judge: decides, from what is shown; None if there is no such service.
        timeout: seconds.
        progress: told of each look.

    Raises:
        ClusterError: `timeout`: not decided in time.
        NoCluster: there is no cluster any more.

    """
    deadline = time.monotonic() + timeout
    tell = progress or tell_nobody
    with Follower(client.reach) as follower:
        follower.open(LOOK)  # follow first, then look: nothing happens unseen in between
        while True:
            shown = client.look(name, deadline)
            if shown is not None:
                tell(Progress("rollout", shown.ready, shown.replicas, shown))
            outcome = judge(shown)
            if not isinstance(outcome, GoingOn):
                return outcome
            left = deadline - time.monotonic()
            if left <= 0:
                raise ClusterError("timeout", f"{name} was not done within {timeout:g} s: {_standing(shown)}")
            follower.wait(min(LOOK, left))


def tell_nobody(progress: Progress) -> None:
    """For those who do not want to know."""
    del progress


def _standing(shown: ServiceDetail | None) -> str:
    """Where a service stands, in a line."""
    if shown is None:
        return "the cluster does not know it"
    states = ", ".join(f"{one.id} {one.state}{one.detail and ': ' + one.detail}" for one in shown.instances)
    return f"{shown.ready} of {shown.replicas} ready ({states or 'no instances'})"
