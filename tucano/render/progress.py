"""How a deployment goes on, in lines. Pure."""

from __future__ import annotations

import msgspec

from tucano.client.answers import InstanceInfo, Progress, ServiceDetail
from tucano.render.text import first_line, plural, size


def step(before: Progress | None, now: Progress) -> list[str]:
    """What a deployment has newly come to, a line each; nothing if nothing is new."""
    match now.stage:
        case "packed":
            return [f"packed {plural(now.total, 'file')}, {size(now.done)}"]
        case "upload" if now.done < now.total:
            return []
        case "upload":
            fresh = before is None or before.stage == "packed"
            return ["the cluster has these files already" if fresh else f"uploaded {size(now.total)}"]
        case "accepted":
            return [f"revision {now.done} accepted, {plural(now.total, 'replica')} wanted"]
        case "rollout" if before is None:
            return []  # how it stood before
        case "rollout":
            return changes(before.service or _older(now.service, before.done), now.service)


def changes(before: ServiceDetail | None, now: ServiceDetail | None) -> list[str]:
    """What changed among a service's instances, a line each."""
    was = {one.id: one for one in before.instances} if before else {}
    is_now = {one.id: one for one in now.instances} if now else {}
    lines = [_instance(one) for one in is_now.values() if one.id not in was or _said(was[one.id]) != _said(one)]
    return lines + [f"{one.id} on {one.node}: gone" for one in was.values() if one.id not in is_now]


def _said(one: InstanceInfo) -> tuple[str, int, str]:
    """What is told of an instance when it changes; of a detail only why no worker takes it."""
    return one.state, one.restarts, one.detail if one.state == "pending" else ""


def _older(now: ServiceDetail | None, revision: int) -> ServiceDetail | None:
    """A service without what belongs to a revision: how it stood before that, as far as it can be known later."""
    older = [one for one in now.instances if one.revision < revision] if now else []
    return msgspec.structs.replace(now, instances=older) if now else None


def _instance(one: InstanceInfo) -> str:
    """One instance's state."""
    restarted = f", restarted {plural(one.restarts, 'time')}" if one.restarts else ""
    detail = f": {first_line(one.detail)}" if one.detail else ""
    return f"{one.id} on {one.node or '-'}: {one.state}{restarted}{detail}"


def standing(now: Progress) -> str:
    """Where a deployment stands, for a line that is written over."""
    match now.stage:
        case "upload":
            return f"uploading {size(now.done)} of {size(now.total)}"
        case "rollout":
            there = now.service.instances if now.service else []
            coming = [one for one in there if one.state in ("pending", "building") and one.detail]
            why = [f"; {one.id} {first_line(one.detail)}" for one in coming]
            return f"{now.done} of {now.total} ready{''.join(why[:1])}"
        case _:
            return ""
