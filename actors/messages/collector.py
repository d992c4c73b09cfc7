"""The worker's collector: measures."""

from __future__ import annotations

from tucano.actors.kernel import Message


class Measure(Message, frozen=True):
    """Answered with `worker_mgr.Metrics`: averages since the last time it was asked."""


class Track(Message, frozen=True):
    """The supervisor's processes, `(instance id, pid)`, from now on."""

    processes: tuple[tuple[str, int], ...]
