"""The controller's deployer: makes what is wanted and what is agree."""

from __future__ import annotations

from typing import Any

from tucano.actors.kernel import Message, Note
from tucano.actors.messages.model import Instance, Spec


class Deploy(Message, frozen=True):
    """Roll out a new revision; answered with `Accepted` once that is durable.

    Attributes:
        spec: the service.
        artifact: hash; the gateway has it already.
        size: its bytes.

    """

    spec: Spec
    artifact: str
    size: int


class Accepted(Message, frozen=True):
    """Attributes: service: name; revision: the number given."""

    service: str
    revision: int


class Scale(Message, frozen=True):
    """Want so many replicas; answered with `Accepted`."""

    service: str
    replicas: int


class Restart(Message, frozen=True):
    """Replace all instances by new ones of the same content, as a rollout; answered with `Accepted`."""

    service: str


class Undeploy(Message, frozen=True):
    """Stop all instances, after their open requests, and forget the service; answered with `Accepted`."""

    service: str


class InstanceReported(Message, frozen=True):
    """A worker's word on one instance, passed on by worker_mgr."""

    instance: Instance


class InventoryReported(Message, frozen=True):
    """A worker's word on all that it has: what the record knows on that node and is not in it does not exist."""

    node: str
    instances: tuple[Instance, ...]


class Drained(Message, frozen=True):
    """A balancer sends these instances nothing any more and has no open request of theirs.

    Attributes:
        ids: all of which this is so now.
        balancer: name of its node.
        pid: of its process, as in its `worker_mgr.Hello`.

    """

    ids: tuple[str, ...]
    balancer: str = ""
    pid: int = 0


class ListeningReported(Message, frozen=True):
    """A balancer's word on the ports of tcp services.

    Attributes:
        balancer: name of its node.
        unheard: by port, why it cannot listen there; empty if it listens. What it has not tried yet is missing.

    """

    balancer: str
    unheard: dict[str, str]


class ReconcileDue(Note, frozen=True):
    """Note to self: compare wanted and actual, change or no change."""


class Written(Note, frozen=True):
    """Note to self: the record's answer to a write, or a `Refused`."""

    key: str
    result: Any


class Loaded(Note, frozen=True):
    """Note to self: the record's answer to the watch, or a `Refused`."""

    result: Any
