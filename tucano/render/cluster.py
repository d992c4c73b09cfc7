"""Services, instances, nodes and events, as tables and lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tucano.client.answers import Event, InstanceInfo, NodeInfo, ServiceDetail, ServiceInfo, StatusInfo
from tucano.render.text import age, clean, first_line, indent, moment, share, size, table


def services(found: Sequence[ServiceInfo]) -> str:
    """All services, a line each."""
    if not found:
        return "no services: deploy one with `tucano deploy DIR`"
    return table(
        ("NAME", "USERS", ">READY", "STATE", ">REVISION", "DETAIL"),
        (
            (one.name, _users(one), f"{one.ready}/{one.replicas}", one.state, one.revision, first_line(one.detail))
            for one in found
        ),
    )


def show(found: ServiceDetail, now: float) -> str:
    """All about one service; the values of its environment are nobody's business and left out."""
    run, build, health, route = (found.spec.get(part, {}) for part in ("run", "build", "health", "route"))
    facts = [
        ("service", found.name),
        ("state", f"{found.state}, {found.ready} of {found.replicas} ready"),
        ("users", _users(found)),
        ("revision", f"{found.revision}, {age(now - found.created)} old{_failed_revision(found)}"),
        ("reached", f"{', '.join(found.reached) or '-'}{' (inside only)' if route.get('private') else ''}"),
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


def _users(one: ServiceInfo) -> str:
    """What they speak, and where, if the service has a port of its own."""
    return one.protocol if one.port is None else f"{one.protocol} {one.port}"


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
                share(one.cpu),
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
        ("users", f"http://{found.host}:{found.http_port}" if found.http_port else "-"),
        *([("", f"https://{found.host}:{found.https_port}")] if found.https_port else []),
        *([("", f"tcp://{found.host}:{found.mdp_port} (ZeroMQ)")] if found.mdp_port else []),
        *([("inside", f"http://127.0.0.1:{found.inside_port}")] if found.inside_port else []),
        *([("log", f"{home}/balancers/*/access.log")] if found.http_port else []),
        ("admin", f"tcp://{found.host}:{found.zmq_port}"),
        ("services", str(found.services)),
    ]
    return "\n".join(f"{name:<10}{text}" for name, text in head) + "\n\n" + nodes(found.nodes, now)


def event(one: Event) -> str:
    """One event, one line."""
    return f"{moment(one.at)}  {one.kind:<20}  {one.subject:<16}  {clean(one.text)}".replace("\n", " ")


def _failed_revision(found: ServiceDetail) -> str:
    """A newer revision that was taken back."""
    back = found.state == "failed" and found.last_revision > found.revision
    return f" (revision {found.last_revision} failed and was taken back)" if back else ""
