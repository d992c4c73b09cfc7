"""Values to text for people: tables and lines. Pure; colours are put on at the end, by the command line."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import msgspec

from tucano.client.answers import (
    ActorInfo,
    Event,
    InstanceInfo,
    NodeActors,
    NodeInfo,
    Progress,
    ServiceDetail,
    ServiceInfo,
    StatusInfo,
)

UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))
"""Seconds and their letter, largest first."""


# Small things


def age(seconds: float) -> str:
    """How long ago, in the largest unit that fits: `12s`, `3m`, `5h`, `9d`."""
    whole = max(0, int(seconds))
    for size, letter in UNITS:
        if whole >= size:
            return f"{whole // size}{letter}"
    return f"{whole}s"


def size(count: float) -> str:
    """Bytes: `12 MB`, `1.5 GB`; decimal units, as disks and most people count."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.1f} {unit}" if unit != "B" and count < 9.95 else f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def moment(at: float) -> str:
    """A time of this machine's zone, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def clean(text: str) -> str:
    """A text that cannot play with a terminal: control characters but tab and newline are shown as `?`."""
    return "".join(one if one.isprintable() or one in "\n\t" else "?" for one in text)


def plural(count: int, noun: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def indent(text: str, by: str = "  ") -> str:
    """Each line a little to the right."""
    return "\n".join(f"{by}{line}" if line else "" for line in clean(text).splitlines())


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns, numbers to the right (also with a unit), the rest to the left; no trailing blanks.

    Args:
        heads: names of the columns; one that begins with `>` stands to the right.
        rows: what stands below.

    """
    right = [head.startswith(">") for head in heads]
    cells = [[head.lstrip(">") for head in heads]]
    cells += [[clean(str(cell)).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    lines = (
        "  ".join(
            cell.rjust(width) if aligned else cell.ljust(width)
            for cell, width, aligned in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    )
    return "\n".join(lines)


# Answers


def services(found: Sequence[ServiceInfo]) -> str:
    """All services, a line each."""
    if not found:
        return "no services: deploy one with `tucano deploy DIR`"
    return table(
        ("NAME", ">READY", "STATE", ">REVISION", "DETAIL"),
        ((one.name, f"{one.ready}/{one.replicas}", one.state, one.revision, first_line(one.detail)) for one in found),
    )


def show(found: ServiceDetail, now: float) -> str:
    """All about one service; the values of its environment are nobody's business and left out."""
    run, build, health = (found.spec.get(part, {}) for part in ("run", "build", "health"))
    facts = [
        ("service", found.name),
        ("state", f"{found.state}, {found.ready} of {found.replicas} ready"),
        ("revision", f"{found.revision}, {age(now - found.created)} old{_failed_revision(found)}"),
        ("artifact", found.artifact[:16]),
        ("build", first_line(str(build.get("script") or "-"))),
        ("run", first_line(str(run.get("script") or "-"))),
        ("env", ", ".join(sorted(run.get("env", {}))) or "-"),
        ("health", f"GET {health['http']}" if health.get("http") else "accepts connections"),
    ]
    parts = ["\n".join(f"{name:<10}{clean(text)}" for name, text in facts)]
    if found.detail:
        parts.append(indent(found.detail))
    if found.instances:
        parts.append(instances(found.instances, now))
    parts += [f"{one.id}:\n{indent(one.detail)}" for one in found.instances if "\n" in one.detail]
    return "\n\n".join(parts)


def masked(spec: dict[str, object]) -> dict[str, object]:
    """A service's spec without the values of its environment, which may be secret."""
    run = spec.get("run")
    if not isinstance(run, dict) or not isinstance(run.get("env"), dict):
        return spec
    return {**spec, "run": {**run, "env": dict.fromkeys(run["env"], "***")}}


def instances(found: Sequence[InstanceInfo], now: float) -> str:
    """A service's copies, a line each."""
    return table(
        ("INSTANCE", "NODE", ">PID", ">PORT", "STATE", ">FOR", ">RESTARTS", ">REVISION", "DETAIL"),
        (
            (
                one.id, one.node, one.pid or "-", one.port or "-", one.state,
                age(now - one.since) if one.since else "-", one.restarts, one.revision, first_line(one.detail),
            )
            for one in found
        ),
    )  # fmt: skip


def nodes(found: Sequence[NodeInfo], now: float) -> str:
    """The cluster's processes, a line each."""
    return table(
        ("NODE", "ROLE", "STATE", ">FOR", ">PID", ">CPUS", ">CPU", ">MEMORY", ">INSTANCES"),
        (
            (
                one.name,
                one.role or "-",
                one.state,
                age(now - one.since) if one.since else "-",
                one.pid or "-",
                one.cpus or "-",
                f"{one.cpu:.0%}" if one.cpus else "-",
                size(one.memory_used) if one.memory_used else "-",
                one.instances,
            )
            for one in found
        ),
    )


def status(home: str, pid: int, found: StatusInfo, now: float) -> str:
    """A cluster in one look."""
    head = [
        ("cluster", f"{found.cluster or '?'}, Tucano {found.version or '?'}"),
        ("home", home),
        ("process", f"{pid}, up {age(found.uptime)}" if found.uptime else f"{pid}, the controller does not answer"),
        ("users", f"http://{found.host}:{found.http_port}"),
        ("admin", f"tcp://{found.host}:{found.zmq_port}"),
        ("services", str(found.services)),
    ]
    return "\n".join(f"{name:<10}{text}" for name, text in head) + "\n\n" + nodes(found.nodes, now)


def event(one: Event) -> str:
    """One event, one line."""
    return f"{moment(one.at)}  {one.kind:<20}  {one.subject:<16}  {clean(one.text)}".replace("\n", " ")


def ps(found: Sequence[NodeActors]) -> str:
    """The trees of actors, a node after the other."""
    return "\n\n".join(f"{node.node}, pid {node.pid}\n{_actors(node.actors)}" for node in found)


def _actors(found: Sequence[ActorInfo]) -> str:
    """One node's actors, each below its parent and to the right of it."""
    children: dict[str, list[ActorInfo]] = {}
    names = {one.name for one in found}
    for one in found:
        children.setdefault(one.parent if one.parent in names else "", []).append(one)
    rows = []
    waiting = [(1, one) for one in reversed(children.get("", []))]
    while waiting:
        depth, one = waiting.pop()
        waiting += [(depth + 1, child) for child in reversed(children.get(one.name, []))]
        crash = one.last_crash.strip().splitlines()
        rows.append(
            (
                "  " * depth + one.name, one.kind, one.phase, one.depth, one.high_water, one.handled,
                one.refused, one.restarts, f"{one.busy:.1f}s" if one.busy >= 0.05 else "-", crash[-1] if crash else "",
            )
        )  # fmt: skip
    heads = (
        "  ACTOR", "KIND", "PHASE", ">WAITING", ">MOST", ">HANDLED", ">REFUSED", ">RESTARTS", ">BUSY", "LAST CRASH",
    )  # fmt: skip
    return table(heads, rows)


# What goes on


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
    lines = [
        _instance(one)
        for one in is_now.values()
        if one.id not in was or (was[one.id].state, was[one.id].restarts) != (one.state, one.restarts)
    ]
    return lines + [f"{one.id} on {one.node}: gone" for one in was.values() if one.id not in is_now]


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
            return f"{now.done} of {now.total} ready"
        case _:
            return ""


def first_line(text: str) -> str:
    """The first line that says something, at most 80 characters of it."""
    line = next((line.strip() for line in clean(text).splitlines() if line.strip()), "")
    return line if len(line) <= 80 else f"{line[:77]}..."


def _failed_revision(found: ServiceDetail) -> str:
    """A newer revision that was taken back."""
    back = found.state == "failed" and found.last_revision > found.revision
    return f" (revision {found.last_revision} failed and was taken back)" if back else ""
