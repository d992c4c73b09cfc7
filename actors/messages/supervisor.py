"""The worker's supervisor: runs instances."""

from __future__ import annotations

from typing import Any

from tucano.actors.kernel import Message, Note
from tucano.actors.messages.model import Instance, Spec
from tucano.transport.link import BULK


class Run(Message, frozen=True):
    """Build (if not built yet), start and look after an instance; answered with None, harmless when it runs already.

    Attributes:
        id: the instance.
        spec: what to run.
        revision: number.
        artifact: hash to build from.
        size: its bytes.

    """

    id: str
    spec: Spec
    revision: int
    artifact: str
    size: int


class Stop(Message, frozen=True):
    """Stop an instance (SIGTERM, grace, SIGKILL, the whole session of processes) and forget it; harmless if unknown."""

    id: str


class StopAll(Message, frozen=True):
    """Stop every instance at once; answered with how many, when none is left."""


class ReadLog(Message, frozen=True):
    """Answered with `LogChunk`: an instance's (or with `build`, its build's) output.

    Attributes:
        id: the instance.
        offset: byte to begin at; negative counts from the end.
        limit: bytes at most.
        build: the build's output instead of the instance's.

    """

    LANE = BULK

    id: str
    offset: int = -65_536
    limit: int = 65_536
    build: bool = False


class LogChunk(Message, frozen=True):
    """A piece of a log, and the offset where the next piece begins."""

    data: bytes
    next: int


class Inventory(Message, frozen=True):
    """All instances that a worker has, whatever their state: told to worker_mgr at each (re)connection and beat."""

    node: str
    instances: tuple[Instance, ...]


class InventoryDue(Note, frozen=True):
    """Note to self: tell the controller all."""


class RunnerReported(Message, frozen=True):
    """A runner's word on its instance, at each change; `stopped` is its last."""

    instance: Instance


class RunnerStarted(Note, frozen=True):
    """Note to self: the tree's answer to the start of a runner, or a `Refused`."""

    id: str
    result: Any


class BuildDue(Note, frozen=True):
    """Note to self: ask the builder (again)."""

    id: str


class BuildAnswered(Note, frozen=True):
    """Note to self: `builder.Made`, or a `Refused`."""

    id: str
    result: Any


class HelloDue(Note, frozen=True):
    """Note to self: say hello to the controller (again)."""


class HelloAnswered(Note, frozen=True):
    """Note to self: the controller's answer, or a `Refused`."""

    result: Any
