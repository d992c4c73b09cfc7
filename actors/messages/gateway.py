"""The controller's gateway: the door for administrators, scripts, and workers that fetch artifacts."""

from __future__ import annotations

from typing import Any

from tucano.actors.kernel import Message


class ReadArtifact(Message, frozen=True):
    """Answered with bytes (msgpack bin) of an artifact, at most 1 MiB; refused with `not_found`."""

    artifact: str
    offset: int
    limit: int = 1 << 20


class Request(Message, frozen=True):
    """From a client, checked for form only: who to answer, the client's own id, what it wants."""

    client: bytes
    id: int
    op: str
    args: dict[str, Any]


class Answered(Message, frozen=True):
    """Note to self: a component's answer (or a `Refused`) to a client's request has come."""

    client: bytes
    id: int
    op: str
    result: Any
