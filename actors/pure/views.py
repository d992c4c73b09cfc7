"""What clients are shown of the record: plain maps, documented in the README. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tucano.actors.messages.model import Instance, Service, Worker
from tucano.actors.messages.worker_mgr import AllMetrics
from tucano.actors.pure.instance import ACTIVE


def line(service: Service, instances: Iterable[Instance]) -> dict[str, Any]:
    """One service in a list."""
    mine = [instance for instance in instances if instance.service == service.name]
    return {
        "name": service.name,
        "replicas": 0 if service.rollout == "removing" else service.replicas,
        "ready": sum(instance.state == "ready" for instance in mine),
        "state": service.rollout,
        "revision": service.target.number,
        "detail": service.detail,
    }


def detail(service: Service, instances: Iterable[Instance]) -> dict[str, Any]:
    """One service with all that is known of it."""
    mine = sorted((i for i in instances if i.service == service.name), key=lambda i: (i.revision, i.id))
    return {
        **line(service, mine),
        "last_revision": service.last_number,
        "previous": service.previous.number if service.previous else None,
        "spec": msgspec.to_builtins(service.target.spec),
        "artifact": service.target.artifact,
        "created": service.target.created,
        "instances": [
            {
                "id": i.id,
                "node": i.node,
                "pid": i.pid,
                "port": i.port,
                "state": i.state,
                "restarts": i.restarts,
                "revision": i.revision,
                "detail": i.detail,
                "since": i.since,
            }
            for i in mine
        ],
    }


def masked(shown: dict[str, Any]) -> dict[str, Any]:
    """A service as `detail` has it, without the values of its environment, which may be secret."""
    run = shown["spec"]["run"]
    return {**shown, "spec": {**shown["spec"], "run": {**run, "env": dict.fromkeys(run["env"], "***")}}}


def nodes(
    workers: Iterable[Worker],
    instances: Iterable[Instance],
    metrics: AllMetrics,
    controller_pid: int,
    about: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """All nodes, the controller first."""
    usage = {one.node: one for one in metrics.workers}
    counts: dict[str, int] = {}
    for instance in instances:
        if instance.state in ACTIVE:
            counts[instance.node] = counts.get(instance.node, 0) + 1

    def node(name: str, role: str, state: str, pid: int, since: float, cpus: int, memory: int) -> dict[str, Any]:
        mine = usage.get(name)
        return {
            "name": name,
            "role": role,
            "state": state,
            "pid": pid,
            "since": since,
            "cpus": cpus,
            "memory": memory,
            "cpu": mine.cpu if mine else 0.0,
            "memory_used": mine.memory_used if mine else 0,
            "instances": counts.get(name, 0),
        }

    shown = [node(about["node"], "controller", "ready", controller_pid, about["since"], 0, 0)]
    shown += [
        node(w.name, w.role, w.state, w.pid, w.since, w.cpus, w.memory)
        for w in sorted(workers, key=lambda w: (w.role, w.name))
    ]
    return shown


def gathered(op: str, answers: Sequence[Any]) -> dict[str, Any]:
    """Several nodes' answers in one: their actors by node, or their traffic added up by service."""
    plain = [msgspec.to_builtins(answer) for answer in answers]
    if op == "traffic":
        totals: dict[str, dict[str, Any]] = {}
        for one in plain:
            for service in one["services"]:
                total = totals.setdefault(service["service"], {"service": service["service"]})
                for count, value in service.items():
                    if count != "service":
                        total[count] = total.get(count, 0) + value
        return {"services": [totals[name] for name in sorted(totals)]}
    return {"nodes": plain}
