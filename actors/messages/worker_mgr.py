"""The controller's worker manager: who is there, how they fare, what they report."""

from __future__ import annotations

from typing import Any

from tucano.actors.kernel import Message, Note
from tucano.actors.messages.model import Instance, Role
from tucano.transport.link import METRICS


class Hello(Message, frozen=True):
    """A worker (or a balancer) is there; asked again until the answer comes, and whenever the controller is a new one.

    Attributes:
        node: the worker's name.
        pid: of its process.
        address: of its bridge.
        cpus: processors.
        memory: bytes.
        instances: all that it runs.
        role: worker or balancer.

    """

    node: str
    pid: int
    address: str
    cpus: int
    memory: int
    instances: tuple[Instance, ...]
    role: Role = "worker"


class InstanceUsage(Message, frozen=True):
    """Averages of one instance's processes: `cpu` in processors, `memory` in bytes (resident)."""

    id: str
    cpu: float
    memory: int


class Metrics(Message, frozen=True):
    """A node's averages since its last report; `cpu` is 0 to 1 of the node's processors, `memory_used` in bytes."""

    LANE = METRICS

    node: str
    cpu: float
    memory_used: int
    instances: tuple[InstanceUsage, ...]


class InstanceChanged(Message, frozen=True):
    """An instance came into another state; told by its worker at once."""

    instance: Instance


class PatienceDue(Note, frozen=True):
    """Note to self: a silent worker has had its time to come back."""

    node: str
    silent_since: float


class Loaded(Note, frozen=True):
    """Note to self: the record's answer, or a `Refused`."""

    result: Any


class LoadDue(Note, frozen=True):
    """Note to self: ask the record again."""


class ShowMetrics(Message, frozen=True):
    """Answered with `AllMetrics`: the last metrics of each worker that is there."""


class AllMetrics(Message, frozen=True):
    """See `ShowMetrics`."""

    workers: tuple[Metrics, ...]
