"""What a service needs next, from what is wanted and what is. Pure and level-triggered.

The plan depends on the present state only, so that a lost message, a restart or a surprise is mended by the next look.
A rollout never goes below the wanted number of ready instances: new ones come first, up to `surge` above it; an old
one goes when a new one is ready in its place. That holds for an old one which has served and is not ready just now,
too: it may be back before the new ones are, if they ever are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from tucano.actors.messages.model import Instance, Revision, Service
from tucano.actors.pure.instance import ACTIVE


class Create(NamedTuple):
    """Place and start one more instance of the target revision."""

    revision: Revision


class Drain(NamedTuple):
    """Send it no new requests, and stop it when it has no open ones."""

    instance: Instance


class Stop(NamedTuple):
    """Stop it now: it has no requests."""

    instance: Instance


class Finish(NamedTuple):
    """The target is up."""


class Fail(NamedTuple):
    """The target failed: go back to the previous revision, or to nothing if there is none."""

    reason: str


class Forget(NamedTuple):
    """The service is removed and nothing of it is left."""


Step = Create | Drain | Stop | Finish | Fail | Forget


def surge(replicas: int) -> int:
    """How many instances a rollout may have above `replicas`: a quarter, at least one (Kubernetes' default)."""
    return max(1, replicas // 4)


def plan(service: Service, instances: Sequence[Instance], *, hold: bool = False, unsure: bool = False) -> list[Step]:
    """What to do next for one service.

    Args:
        service: what is wanted.
        instances: all that the record has of it.
        hold: create nothing now, since instances keep failing.
        unsure: some of it may be out of date: do without none of them, and call nothing finished.

    """
    active = [instance for instance in instances if instance.state in ACTIVE]
    steps: list[Step] = [Stop(i) for i in instances if i.state == "failed" and not _judged(service, i)]
    if service.rollout == "removing" or service.halted:
        steps += [_end(instance) for instance in instances if instance.state in ACTIVE or instance.state == "lost"]
        if service.rollout == "removing" and not instances:
            steps.append(Forget())
        return steps

    target = service.target.number
    failed = next((i for i in instances if i.state == "failed" and _judged(service, i)), None)
    if failed is not None:
        return [*steps, Fail(f"{failed.id} on {failed.node} failed: {failed.detail}")]

    new = [instance for instance in active if instance.revision == target]
    old = [instance for instance in active if instance.revision != target]
    wanted = service.replicas
    if not hold:
        missing = wanted - len(new)
        room = missing if not old else wanted + surge(wanted) - len(active)
        steps += [Create(service.target)] * max(0, min(missing, room))

    if unsure:
        return steps
    steps += [Stop(instance) for instance in old if not _may_serve(instance)]
    ready_new = sum(instance.state == "ready" for instance in new)
    if ready_new >= wanted:
        steps += [Stop(instance) for instance in instances if instance.state == "lost"]  # it has been replaced
    dispensable = [instance for instance in sorted(old, key=_dispensable) if _may_serve(instance)]
    replaced = ready_new + len(dispensable) - wanted
    spare = sum(instance.state == "ready" for instance in active) - wanted
    dispensable = dispensable[: max(0, replaced)] + sorted(new, key=_dispensable)[: max(0, len(new) - wanted)]
    for instance in dispensable:
        if instance.state != "ready":
            steps.append(Stop(instance))
        elif spare > 0:
            spare -= 1
            steps.append(Drain(instance))
    if service.rollout == "rolling" and not old and ready_new >= wanted:
        steps.append(Finish())
    return steps


def failed(service: Service, reason: str) -> Service:
    """The service after its target failed."""
    if service.previous is None:
        return msgspec.structs.replace(service, rollout="failed", detail=reason, halted=True)
    return msgspec.structs.replace(service, rollout="failed", detail=reason, target=service.previous, previous=None)


def _judged(service: Service, instance: Instance) -> bool:
    """Whether this failed instance decides the rollout that is going on."""
    return service.rollout == "rolling" and instance.revision == service.target.number and not instance.served


def _may_serve(instance: Instance) -> bool:
    """Whether it serves, or has served and may again any moment."""
    return instance.state == "ready" or instance.served


def _end(instance: Instance) -> Step:
    return Drain(instance) if instance.state == "ready" else Stop(instance)


def _dispensable(instance: Instance) -> tuple[bool, float]:
    """Sorts first what can best be spared: not ready, then youngest."""
    return (instance.state == "ready", -instance.since)
