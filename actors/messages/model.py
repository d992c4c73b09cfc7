"""The nouns of a cluster: values that messages carry and that the record keeps.

None forbids unknown fields: a newer node's may have more, which an older one ignores. What a person or a client says is
checked for keys that nobody knows where it comes in (`tucano.spec`, `operations.parse`).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

NAME_PATTERN = r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?\Z"
"""A service's or node's name: a DNS label (RFC 1035), at most 40 characters, to stand in a `Host` header."""

SHA256_PATTERN = r"^[0-9a-f]{64}\Z"
TRACE_PATTERN = r"^[0-9a-f]{16}\Z"
PATH_PATTERN = r"^(/[!-~]*)?\Z"

HOST_PATTERN = (
    r"^(?=.{1,253}\Z)(\*\.)?[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\Z"
)
"""A host name in lower case, at most 253 characters in labels of 63 (RFC 1035), or `*.` before one."""

ROUTE_PATH_PATTERN = r"^/[A-Za-z0-9._~%!$&'()*+,;=:@/-]*\Z"
"""A path without a query (RFC 3986)."""

TOKEN_PATTERN = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}\Z"
"""The name of a header or cookie (RFC 9110)."""

MAX_REPLICAS = 1000
"""Replicas of one service, at most."""

Name = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Patience = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Host = Annotated[str, msgspec.Meta(pattern=HOST_PATTERN)]
Token = Annotated[str, msgspec.Meta(pattern=TOKEN_PATTERN)]
Sha256 = Annotated[str, msgspec.Meta(pattern=SHA256_PATTERN)]
TraceId = Annotated[str, msgspec.Meta(pattern=TRACE_PATTERN)]
Script = Annotated[str, msgspec.Meta(max_length=65_536)]


class Build(msgspec.Struct, frozen=True):
    """How a service is made runnable: a shell script, run once in a clean copy of the uploaded directory.

    Attributes:
        script: run by `/bin/sh -c`; empty means that nothing needs building.
        timeout: seconds after which the build is killed and has failed.

    """

    script: Script = ""
    timeout: Seconds = 600.0


class Run(msgspec.Struct, frozen=True):
    """How one instance is started and stopped.

    Attributes:
        script: run by `/bin/sh -c` in the built directory with `PORT` and `HOST` in its environment.
        env: further variables; values are strings.
        grace: seconds between SIGTERM and SIGKILL when the instance is stopped.

    """

    script: Annotated[str, msgspec.Meta(min_length=1, max_length=65_536)]
    env: dict[str, str] = msgspec.field(default_factory=dict)
    grace: Seconds = 10.0


class Health(msgspec.Struct, frozen=True):
    """When an instance may have users.

    Attributes:
        http: path that must answer 2xx or 3xx; empty means that accepting a TCP connection on `PORT` is enough.
        interval: seconds between checks of a ready instance.
        timeout: seconds that one check may take.
        deadline: seconds that a new instance has to become ready.

    """

    http: Annotated[str, msgspec.Meta(pattern=PATH_PATTERN, max_length=1024)] = ""
    interval: Seconds = 2.0
    timeout: Seconds = 2.0
    deadline: Seconds = 60.0


class Route(msgspec.Struct, frozen=True):
    """Which requests are the service's. Of services that could all take one, the most specific does.

    Attributes:
        hosts: what `Host` may say, in place of a name that begins with the service's own; `*.x.y` is any below `x.y`.
        path: what the path begins with, up to a `/` or its end.
        strip: cut `path` off before the request is sent on.
        headers: lines that the request must have, each with exactly this value.
        private: no user reaches it, only who asks at the inside port.
        protocol: http, at the users' port that all services share; tcp, at a port of its own; zmq, at the users'
            Majordomo port that all services share.
        port: where every balancer listens for a tcp service; None for the others.

    """

    hosts: Annotated[tuple[Host, ...], msgspec.Meta(max_length=64)] = ()
    path: Annotated[str, msgspec.Meta(pattern=ROUTE_PATH_PATTERN, max_length=1024)] = "/"
    strip: bool = False
    headers: Annotated[
        dict[Token, Annotated[str, msgspec.Meta(pattern=r"^[!-~]([ -~]{0,510}[!-~])?\Z")]], msgspec.Meta(max_length=16)
    ] = msgspec.field(default_factory=dict)
    private: bool = False
    protocol: Literal["http", "tcp", "zmq"] = "http"
    port: Annotated[int, msgspec.Meta(ge=1024, le=65_535)] | None = None


class Balance(msgspec.Struct, frozen=True):
    """Which instance takes a request, and how many it takes.

    Attributes:
        policy: two_choices (the less busy of two drawn by lot), round_robin, least_latency (the faster of two drawn by
            lot, by their recent answers and open requests) or hash (the same instance for the same `hash_by`).
        hash_by: `ip`, `path`, `header:NAME` or `cookie:NAME`; a request without it is balanced by two_choices.
        sticky: name of the cookie that binds a user to an instance as long as that serves; empty for none.
        max_in_flight: requests that an instance has open at once, at most, counted by each balancer; 0 for any number.
        queue: requests that wait at a balancer when all instances are full; more are answered 503.
        queue_wait: seconds that they wait at most, until they are answered 503.
        slow_start: seconds in which the share of an instance that joins others grows from a tenth to the whole.
        eject_after: failures in a row (no connection, one lost before an answer, no answer in time, 502, 503 or 504)
            after which an instance gets nothing for a second, doubled up to a minute while it goes on; 0 for never.
        repeat: a request of a zmq service whose instance died is sent to another one: doing it twice does no harm.

    """

    policy: Literal["two_choices", "round_robin", "least_latency", "hash"] = "two_choices"
    hash_by: Annotated[str, msgspec.Meta(pattern=r"^(ip|path|(header|cookie):[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64})\Z")] = (
        "ip"
    )
    sticky: Annotated[str, msgspec.Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{0,64}\Z")] = ""
    max_in_flight: Count = 0
    queue: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 128
    queue_wait: Seconds = 3.0
    slow_start: Patience = 0.0
    eject_after: Count = 5
    repeat: bool = False


class Timeouts(msgspec.Struct, frozen=True):
    """How long users' requests may take; what takes longer is answered 504, or cut if its answer has begun.

    Attributes:
        connect: seconds for an instance to accept a connection.
        first_byte: seconds until an answer begins, from when the whole request is there.
        idle: seconds in which nothing of a body comes, either way.
        tunnel: the same for connections that left HTTP, such as WebSocket.
        request: seconds for the whole, however it proceeds, unless it leaves HTTP; 0 for no limit.

    """

    connect: Seconds = 1.5
    first_byte: Seconds = 60.0
    idle: Seconds = 60.0
    tunnel: Seconds = 3600.0
    request: Patience = 0.0


class Spec(msgspec.Struct, frozen=True):
    """A service as its owner describes it in `tucano.toml`."""

    name: Name
    run: Run
    build: Build = Build()
    health: Health = Health()
    replicas: Annotated[int, msgspec.Meta(ge=1, le=MAX_REPLICAS)] = 1
    route: Route = Route()
    balance: Balance = Balance()
    timeouts: Timeouts = Timeouts()


State = Literal[
    "pending", "building", "starting", "ready", "unready", "draining", "stopping", "stopped", "failed", "lost"
]
"""One instance's life; `actors.instance` holds the table of what may follow what."""


class Instance(msgspec.Struct, frozen=True):
    """One running copy of a service.

    Attributes:
        id: `SERVICE-RANDOM`, never used again.
        service: name.
        revision: number of the service's revision that it runs.
        node: worker that it was placed on.
        state: see `State`.
        pid: process id on that node, 0 if it has none.
        host: where it listens.
        port: TCP port given to it, 0 before it is started.
        restarts: times that its process was started again.
        detail: why it is in this state, for a person; the tail of its output if it failed.
        since: when it came into this state, seconds since the epoch.
        served: whether it has ever been ready.

    """

    id: str
    service: str
    revision: int
    node: str
    state: State = "pending"
    pid: int = 0
    host: str = ""
    port: int = 0
    restarts: int = 0
    detail: str = ""
    since: float = 0.0
    served: bool = False


class Revision(msgspec.Struct, frozen=True):
    """What a service was told to be by one `deploy` or `restart`.

    Attributes:
        number: 1 for the first.
        spec: as checked by the client and again by the gateway.
        artifact: hash of the packed directory.
        size: bytes of the packed directory.
        created: seconds since the epoch.

    """

    number: int
    spec: Spec
    artifact: Sha256
    size: int
    created: float


Rollout = Literal["rolling", "done", "failed", "removing"]


class Service(msgspec.Struct, frozen=True):
    """A service as the record keeps it.

    Attributes:
        name: name.
        replicas: instances wanted.
        target: the revision wanted.
        previous: the revision that served before, kept until the target does; None on a first deployment.
        rollout: rolling (the target is not yet up), done, failed (the target failed and was taken back) or removing.
        detail: why it failed, for a person.
        last_number: highest revision number ever given.
        halted: no instance is wanted, since the first revision failed and there is none to go back to.
        unheard: why users do not reach its port: a balancer cannot listen there; empty if they do.
        heard: the port of a tcp service of which all balancers have said whether they listen there; 0 until they have.

    """

    name: str
    replicas: int
    target: Revision
    previous: Revision | None = None
    rollout: Rollout = "rolling"
    detail: str = ""
    last_number: int = 1
    halted: bool = False
    unheard: str = ""
    heard: int = 0

    @property
    def route(self) -> Route:
        """How users reach it now: by a new revision's route once that is up."""
        return (self.previous or self.target).spec.route


WorkerState = Literal["ready", "silent", "gone"]
Role = Literal["worker", "balancer"]


class Worker(msgspec.Struct, frozen=True):
    """A node that the controller looks after: a worker or a balancer.

    Attributes:
        name: node name.
        state: ready, silent (not heard; its instances are out of the rotation) or gone (its instances are replaced).
        since: seconds since the epoch.
        pid: of its process.
        address: of its bridge.
        cpus: processors.
        memory: bytes.
        role: worker or balancer.

    """

    name: str
    state: WorkerState
    since: float
    pid: int = 0
    address: str = ""
    cpus: int = 1
    memory: int = 0
    role: Role = "worker"


class Event(msgspec.Struct, frozen=True):
    """Something that happened, for people.

    Attributes:
        seq: counts up in the record, not always by one: no number is given twice; 0 before it is recorded.
        at: seconds since the epoch.
        kind: `instance_ready`, `worker_lost`, ...; past tense.
        subject: whom it concerns: a service, an instance or a node.
        text: one line.

    """

    seq: int
    at: float
    kind: str
    subject: str
    text: str
