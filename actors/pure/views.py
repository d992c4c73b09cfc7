"""What clients are shown of the record: plain maps, documented in the README. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tucano.actors.kernel import Refused, TraceInfo
from tucano.actors.messages import deployer
from tucano.actors.messages import node as node_messages
from tucano.actors.messages.model import Instance, Service, Worker
from tucano.actors.messages.worker_mgr import AllMetrics
from tucano.actors.pure.conversation import Line, assemble
from tucano.actors.pure.instance import ACTIVE
from tucano.actors.pure.reach import reached_at


def services(known: Mapping[str, Service], instances: Collection[Instance]) -> dict[str, Any]:
    """All services, a line each."""
    return {"services": [line(service, instances) for _, service in sorted(known.items())]}


def line(service: Service, instances: Iterable[Instance]) -> dict[str, Any]:
    """One service in a list."""
    mine = [instance for instance in instances if instance.service == service.name]
    return {
        "name": service.name,
        "replicas": 0 if service.rollout == "removing" else service.replicas,
        "ready": sum(instance.state == "ready" for instance in mine),
        "state": _state(service),
        "revision": service.target.number,
        "detail": service.detail or service.unheard,
        "protocol": service.route.protocol,
        "port": service.route.port,
    }


def _state(service: Service) -> str:
    """A tcp service is up when it is known whether users can connect."""
    unknown = service.route.protocol == "tcp" and service.heard != service.route.port
    return "rolling" if unknown and service.rollout == "done" else service.rollout


def detail(service: Service, instances: Iterable[Instance]) -> dict[str, Any]:
    """One service with all that is known of it."""
    mine = sorted((i for i in instances if i.service == service.name), key=lambda i: (i.revision, i.id))
    return {
        **line(service, mine),
        "last_revision": service.last_number,
        "previous": service.previous.number if service.previous else None,
        "spec": msgspec.to_builtins(service.target.spec),
        "reached": reached_at(service.name, service.target.spec.route),
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
) -> dict[str, Any]:
    """All nodes, the controller first."""
    usage = {one.node: one for one in metrics.workers}
    counts: dict[str, int] = {}
    for instance in instances:
        if instance.state in ACTIVE:
            counts[instance.node] = counts.get(instance.node, 0) + 1

    def node(
        name: str, role: str, state: str, pid: int, since: float, cpus: int | None, memory: int | None
    ) -> dict[str, Any]:
        mine = usage.get(name)
        return {
            "name": name,
            "role": role,
            "state": state,
            "pid": pid,
            "since": since,
            "cpus": cpus,
            "memory": memory,
            "cpu": mine.cpu if mine else None,
            "memory_used": mine.memory_used if mine else None,
            "instances": counts.get(name, 0),
        }

    shown = [node(about["node"], "controller", "ready", controller_pid, about["since"], None, None)]
    shown += [
        node(w.name, w.role, w.state, w.pid, w.since, w.cpus, w.memory or None)
        for w in sorted(workers, key=lambda w: (w.role, w.name))
    ]
    return {"nodes": shown}


def as_it_is(answer: Any) -> Any:
    """What a component says is told as it is."""
    return answer


def accepted(trace: str, answer: deployer.Accepted) -> dict[str, Any]:
    """A command that the deployer took, and the conversation that it began."""
    return {"service": answer.service, "revision": answer.revision, "trace": trace}


def actors(
    names: Sequence[str], workers: Mapping[str, Worker], answers: Iterable[node_messages.Actors]
) -> dict[str, Any]:
    """The actors of these nodes, and what happened to them; a node that did not answer is told of, too."""
    found = {answer.node: answer for answer in answers}
    return {"nodes": [_node(name, workers.get(name), found.get(name)) for name in names]}


def _node(name: str, known: Worker | None, answer: node_messages.Actors | None) -> dict[str, Any]:
    since = known.since if known else None
    if answer is not None:
        told = [{**msgspec.to_builtins(one), **({} if one.handled else _UNMEASURED)} for one in answer.actors]
        return {"state": "ready", "since": since, **msgspec.structs.asdict(answer), "actors": told}
    state = known.state if known else "ready"
    if state == "ready":
        state, since = "silent", None  # nobody but us has noticed yet
    pid = known.pid if known else 0
    return {"node": name, "state": state, "since": since, "pid": pid, "dead_letters": 0, "actors": [], "events": []}


_UNMEASURED = {"p50": None, "p99": None}
"""Of an actor that has handled nothing."""


def conversation(trace: str, answers: Sequence[node_messages.Traced]) -> dict[str, Any]:
    """What several nodes know of a conversation, in causal order.

    Raises:
        Refused: `not_found`: none of them knows anything of it.

    """
    found = assemble(span for answer in answers for span in answer.spans)
    if not found.lines:
        raise Refused(
            "not_found",
            f"no node remembers a conversation {trace}. The answer of each command that changes something has its id"
            " as `trace`, and `traces` lists those that are remembered: each node keeps its latest, until it ends",
        )
    return {
        "trace": trace,
        "began": found.began,
        "duration": found.duration,
        "participants": found.participants,
        "unanswered": found.unanswered,
        "spans": [_said(line) for line in found.lines],
    }


def _said(line: Line) -> dict[str, Any]:
    fields = msgspec.structs.asdict(line.span)
    del fields["trace"]
    return {**fields, "at": line.at, "answers": line.answers}


def conversations(answers: Sequence[node_messages.Traces]) -> dict[str, Any]:
    """The conversations that several nodes remember, the latest first; named after what they began with."""
    known: dict[str, list[TraceInfo]] = {}
    for one in (one for answer in answers for one in answer.traces):
        known.setdefault(one.trace, []).append(one)
    listed = []
    for trace, parts in known.items():
        first = min(parts, key=lambda part: (part.at, part.what))
        until = max(part.until for part in parts)
        listed.append({
            "trace": trace, "at": first.at, "what": first.what, "spans": sum(part.spans for part in parts),
            "duration": until - first.at if until > first.at else None,
        })  # fmt: skip
    return {"traces": sorted(listed, key=lambda one: (-one["at"], one["trace"]))}
