"""What an administrator or a script can ask for: the same by ZeroMQ, HTTP and the command line.

A request names an operation by its class's name in lower case; its arguments are the fields, checked by their types.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

import msgspec

from tucano.actors.messages.model import (
    MAX_REPLICAS,
    NAME_PATTERN,
    PATH_PATTERN,
    SHA256_PATTERN,
    TRACE_PATTERN,
    Name,
    Sha256,
    Spec,
    TraceId,
)
from tucano.transport.security import Guest, Role

MAX_ARTIFACT = 256 * 1024 * 1024
"""Bytes of a packed directory, at most."""

CHUNK = 512 * 1024
"""Bytes of one upload, at most."""

LOG = 64 * 1024
"""Bytes of a piece of a log, where nothing else is said."""

MAX_LOG = 1024 * 1024
"""Bytes of such a piece, at most."""

ADMINS: frozenset[Role] = frozenset(("admin",))
READERS: frozenset[Role] = frozenset(("admin", "reader"))
ALL: frozenset[Role] = frozenset(("admin", "reader", "node"))
"""Who may ask: those who change things, those who look as well, or nodes, too, who look for themselves."""


class Operation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all operations; unless one says otherwise, only administrators may ask for it."""

    ROLES: ClassVar[frozenset[Role]] = ADMINS


class Ping(Operation, frozen=True, forbid_unknown_fields=True):
    """Nothing but an answer; keeps a follower's stream alive."""

    ROLES = ALL


class Status(Operation, frozen=True, forbid_unknown_fields=True):
    """The cluster at a glance."""

    ROLES = READERS


class Nodes(Operation, frozen=True, forbid_unknown_fields=True):
    """Controller, balancers and workers."""

    ROLES = ALL


class Services(Operation, frozen=True, forbid_unknown_fields=True):
    """All services, a line each."""

    ROLES = READERS


class Show(Operation, frozen=True, forbid_unknown_fields=True):
    """One service with its instances."""

    ROLES = READERS

    name: str


class Artifact(Operation, frozen=True, forbid_unknown_fields=True):
    """Whether the cluster has a packed directory already, and how much of it."""

    ROLES = READERS

    artifact: Sha256


class Upload(Operation, frozen=True, forbid_unknown_fields=True):
    """The next piece of a packed directory, in order."""

    artifact: Sha256
    size: Annotated[int, msgspec.Meta(gt=0, le=MAX_ARTIFACT)]
    offset: Annotated[int, msgspec.Meta(ge=0)]
    data: Annotated[bytes, msgspec.Meta(max_length=CHUNK)]


class Deploy(Operation, frozen=True, forbid_unknown_fields=True):
    """Roll out a new revision of a service whose packed directory has been uploaded."""

    spec: Spec
    artifact: Sha256
    size: Annotated[int, msgspec.Meta(gt=0, le=MAX_ARTIFACT)]


class Scale(Operation, frozen=True, forbid_unknown_fields=True):
    """Want so many replicas."""

    name: str
    replicas: Annotated[int, msgspec.Meta(ge=1, le=MAX_REPLICAS)]


class Restart(Operation, frozen=True, forbid_unknown_fields=True):
    """Replace all instances of a service, without interruption."""

    name: str


class Undeploy(Operation, frozen=True, forbid_unknown_fields=True):
    """Stop and forget a service."""

    name: str


class Events(Operation, frozen=True, forbid_unknown_fields=True):
    """What happened after event `since` (negative: the last so many); with `follow`, what happens from now on too."""

    ROLES = READERS

    since: int = -50
    follow: bool = False


class Cancel(Operation, frozen=True, forbid_unknown_fields=True):
    """End the stream that the request `id` began."""

    ROLES = READERS

    id: int


class Logs(Operation, frozen=True, forbid_unknown_fields=True):
    """A piece of an instance's output, or with `build` of its build's; a negative offset counts from the end."""

    ROLES = READERS

    id: str
    offset: int = -LOG
    limit: Annotated[int, msgspec.Meta(gt=0, le=MAX_LOG)] = LOG
    build: bool = False


class Ps(Operation, frozen=True, forbid_unknown_fields=True):
    """The actors of one node, or of all."""

    ROLES = READERS

    node: Name | None = None


class Trace(Operation, frozen=True, forbid_unknown_fields=True):
    """What was said between all actors in one conversation, such as the one that a command began."""

    ROLES = READERS

    id: TraceId


class Traces(Operation, frozen=True, forbid_unknown_fields=True):
    """The conversations that the nodes remember."""

    ROLES = READERS


class Traffic(Operation, frozen=True, forbid_unknown_fields=True):
    """Requests by service, as the balancers count them; of one service, by instance, too."""

    ROLES = READERS

    service: str = ""


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A client's frame: version of this protocol, the client's number for its answer, what it wants."""

    v: Annotated[int, msgspec.Meta(ge=1, le=1)]
    id: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    op: Annotated[str, msgspec.Meta(max_length=40)]
    args: dict[str, Any] = msgspec.field(default_factory=dict)


OPERATIONS: dict[str, type[Operation]] = {kind.__name__.lower(): kind for kind in Operation.__subclasses__()}


_IN_WORDS = {
    NAME_PATTERN: "a name (a-z, 0-9 and -, beginning with a letter, at most 40 characters)",
    TRACE_PATTERN: "the id of a conversation: 16 lower-case hexadecimal digits, as `traces` lists them",
    SHA256_PATTERN: "a SHA-256 in 64 lower-case hexadecimal digits",
    PATH_PATTERN: "a path that begins with / and has no spaces",
}


def objection(operation: type[Operation], guest: Guest) -> str:
    """Why somebody may not ask for this, with what to do about it; empty if they may."""
    if guest.revoked:
        return f"the key of {guest.name} has been revoked: ask for a new token (`tucano key add NAME --role ROLE`)"
    if guest.role in operation.ROLES:
        return ""
    op, wanted = operation.__name__.lower(), " or ".join(sorted(operation.ROLES))
    return (
        f"{op} needs the role {wanted}, and the key of {guest.name} has the role {guest.role}: ask for a token of that"
        f" role (`tucano key add NAME --role {min(operation.ROLES)}` where the controller runs)"
    )


class BadRequest(ValueError):
    """A request that names no operation or whose arguments are wrong.

    Attributes:
        code: bad_request or unknown_op.

    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def parse(op: str, args: dict[str, Any]) -> Operation:
    """The operation that a request means.

    Raises:
        BadRequest: it says which argument is wrong and what is allowed.

    """
    kind = OPERATIONS.get(op)
    if kind is None:
        raise BadRequest("unknown_op", f"no operation is called {op!r}; there are: {', '.join(sorted(OPERATIONS))}")
    try:
        operation = msgspec.convert(args, kind)
    except msgspec.ValidationError as error:
        text = re.sub(r"^Expected (.*) - at `\$\.(.+)`\Z", r"`\2` is to be \1", str(error), flags=re.DOTALL)
        for pattern, words in _IN_WORDS.items():
            text = text.replace(f"`str` matching regex {pattern!r}", words)
        raise BadRequest("bad_request", f"{op}: {text}") from error
    if key := unknown(args, msgspec.to_builtins(operation, builtin_types=(bytes,))):
        raise BadRequest("bad_request", f"{op}: `{key}` is not known here: leave it out, or upgrade the cluster")
    return operation


def unknown(given: object, understood: object) -> str:
    """The first key, with those that lead to it, that was given and not understood; empty if there is none."""
    if isinstance(given, dict) and isinstance(understood, dict):
        for key, value in given.items():
            if key not in understood:
                return str(key)[:80]
            if found := unknown(value, understood[key]):
                return f"{key}.{found}"
    return ""
