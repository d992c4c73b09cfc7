"""What a cluster answers to its people: the values that the client returns and that `--json` prints.

Fields that a newer cluster adds are ignored, those that an older one does not know have a default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from tucano.actors.messages.latency import Latency
from tucano.actors.messages.model import Event

__all__ = [
    "Accepted", "Event", "InstanceInfo", "LogChunk", "NodeInfo", "OnProgress", "Progress", "ServiceDetail",
    "ServiceInfo", "StatusInfo", "TrafficInfo",
]  # fmt: skip


class NodeInfo(msgspec.Struct, frozen=True):
    """One process of the cluster.

    Attributes:
        name: node name.
        role: controller, balancer or worker.
        state: ready, silent (not heard) or gone; `unknown` when only the home could be asked.
        pid: process id, 0 if not known.
        since: when it came into this state, seconds since the epoch.
        cpus: processors; None if not known, as all that is measured.
        memory: bytes that it may use.
        cpu: average load of its processors, 0 to 1.
        memory_used: bytes.
        instances: how many it runs.

    """

    name: str
    role: str = ""
    state: str = "unknown"
    pid: int = 0
    since: float = 0.0
    cpus: int | None = None
    memory: int | None = None
    cpu: float | None = None
    memory_used: int | None = None
    instances: int = 0


class StatusInfo(msgspec.Struct, frozen=True):
    """A cluster in one look.

    Attributes:
        cluster: its identity.
        version: of the Tucano that runs it.
        http_port: where end users' requests come in.
        zmq_port: where administrators' come in.
        mdp_port: where end users' ZeroMQ requests come in; 0 if they cannot.
        uptime: seconds since the controller started.
        services: how many.
        nodes: its processes.
        host: where it listens.
        https_port: where end users' requests come in with TLS; 0 if they do not, or if it is not known from here.
        inside_port: where those of the machine's own programs do; likewise.

    """

    cluster: str = ""
    version: str = ""
    http_port: int = 0
    zmq_port: int = 0
    uptime: float = 0.0
    services: int = 0
    nodes: list[NodeInfo] = []
    host: str = "127.0.0.1"
    https_port: int = 0
    inside_port: int = 0
    mdp_port: int = 0


class ServiceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A service in one line.

    Attributes:
        name: its name, also in users' `Host` header.
        replicas: instances wanted.
        ready: instances that answer.
        state: rolling, done, failed or removing.
        revision: number of the revision that is wanted.
        detail: why it failed, or why users cannot connect to it.
        protocol: what its users speak: http, tcp or zmq.
        port: where they connect to, if it has a port of its own (tcp).

    """

    name: str
    replicas: int = 0
    ready: int = 0
    state: Literal["rolling", "done", "failed", "removing"] = "rolling"
    revision: int = 0
    detail: str = ""
    protocol: str = "http"
    port: int | None = None


class InstanceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One copy of a service; the fields are those of `actors.messages.model.Instance`."""

    id: str
    node: str = ""
    pid: int = 0
    port: int = 0
    state: str = "pending"
    restarts: int = 0
    revision: int = 0
    detail: str = ""
    since: float = 0.0


class ServiceDetail(ServiceInfo, frozen=True, kw_only=True):
    """All about a service.

    Attributes:
        last_revision: highest number ever given; above `revision` when a newer one failed and was taken back.
        previous: number of the revision that served before, while there is one.
        spec: as deployed.
        reached: hosts and paths, for people.
        artifact: hash of the uploaded directory.
        created: of the revision, seconds since the epoch.
        instances: its copies.

    """

    last_revision: int = 0
    previous: int | None = None
    spec: dict[str, Any] = {}
    reached: list[str] = []
    artifact: str = ""
    created: float = 0.0
    instances: list[InstanceInfo] = []


class Accepted(msgspec.Struct, frozen=True):
    """A command that is durable: it will be carried out whatever fails.

    Attributes:
        service: its name.
        revision: number of the revision that is wanted now.
        trace: the conversation that the command began; empty if it is not known.

    """

    service: str
    revision: int = 0
    trace: str = ""


class LogChunk(msgspec.Struct, frozen=True):
    """A piece of a log, and the offset where the next piece begins."""

    data: bytes = b""
    next: int = 0


class InstanceTrafficInfo(msgspec.Struct, frozen=True):
    """What users asked of one instance; the counts as those of `TrafficInfo`."""

    instance: str
    in_flight: int = 0
    retries: int = 0
    received: int = 0
    sent: int = 0
    ejections: int = 0
    classes: tuple[int, ...] = ()
    latency: Latency = Latency()
    p50: float | None = None
    p99: float | None = None


class TrafficInfo(msgspec.Struct, frozen=True):
    """What users asked of one service since the balancers started; of a tcp service the requests are its connections.

    Attributes:
        service: its name.
        requests: those that came.
        errors: those that a balancer answered itself with a status of the 500s.
        retries: attempts that failed and were followed by another.
        in_flight: requests that are open now.
        received: bytes of bodies that came from users; of a tcp service all bytes.
        sent: the same that went to users.
        ejections: how often an instance was left alone for a while, since it failed again and again.
        classes: answers by the first digit of their status, from 0; 4 counts users that left, too.
        latency: how long requests took, as a histogram.
        p50: seconds that half of all requests took at most; None without any.
        p99: seconds that 99 of 100 took at most.
        instances: each instance's, if the service was asked for.

    """

    service: str
    requests: int = 0
    errors: int = 0
    retries: int = 0
    in_flight: int = 0
    received: int = 0
    sent: int = 0
    ejections: int = 0
    classes: tuple[int, ...] = ()
    latency: Latency = Latency()
    p50: float | None = None
    p99: float | None = None
    instances: tuple[InstanceTrafficInfo, ...] = ()


class Progress(msgspec.Struct, frozen=True):
    """How far a deployment is.

    Attributes:
        stage: what is done now.
        done: bytes uploaded, or instances ready.
        total: bytes of the artifact, or instances wanted.
        service: what the cluster shows; in the stage `rollout` only.

    """

    stage: Literal["packed", "upload", "accepted", "rollout"]
    done: int
    total: int
    service: ServiceDetail | None = None


OnProgress = Callable[[Progress], None]
