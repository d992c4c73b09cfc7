"""How a command goes on: from what the cluster shows to going on, done or failed. Pure."""

from __future__ import annotations

from typing import NamedTuple

from tucano.client.answers import ServiceDetail


class GoingOn(NamedTuple):
    """Not yet."""


class Done(NamedTuple):
    """It is as it was wanted."""


class Failed(NamedTuple):
    """It will not become so; `why` is for a person."""

    why: str


Verdict = GoingOn | Done | Failed


def rollout(shown: ServiceDetail | None, revision: int) -> Verdict:
    """Whether `revision` of a service serves.

    Args:
        shown: the service as it is now; None if the cluster knows none of that name.
        revision: the number that was given to the deployment.

    """
    match shown:
        case None | ServiceDetail(state="removing"):
            return Failed("it was undeployed meanwhile")
        case ServiceDetail(last_revision=last) if last > revision:
            return Failed(f"it was superseded: somebody deployed revision {last} meanwhile")
        case ServiceDetail(state="done", revision=now, detail=detail) if now == revision:
            return Failed(f"its instances are ready, but users cannot connect: {detail}") if detail else Done()
        case ServiceDetail(state="failed", last_revision=last, detail=detail) if last == revision:
            return Failed(detail or "no reason is known; see `tucano events`")
        case _:
            return GoingOn()


def scaled(shown: ServiceDetail | None, replicas: int) -> Verdict:
    """Whether a service has exactly `replicas` instances, all ready."""
    match shown:
        case None | ServiceDetail(state="removing"):
            return Failed("it was undeployed meanwhile")
        case ServiceDetail(replicas=wanted) if wanted != replicas:
            return Failed(f"somebody scaled it to {wanted} meanwhile")
        case ServiceDetail(ready=ready, instances=instances) if ready == replicas == len(instances):
            return Done()
        case _:
            return GoingOn()


def undeployed(shown: ServiceDetail | None) -> Verdict:
    """Whether a service is gone."""
    match shown:
        case None:
            return Done()
        case ServiceDetail(state="removing"):
            return GoingOn()
        case _:
            return Failed("somebody deployed it anew meanwhile")
