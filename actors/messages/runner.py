"""The supervisor's runners: each looks after the process of one instance."""

from __future__ import annotations

from tucano.actors.kernel import Message, Note


class Stop(Message, frozen=True):
    """Stop the process (SIGTERM, grace, SIGKILL, its whole session); then the runner reports `stopped`, its last."""


class Report(Message, frozen=True):
    """Tell the supervisor how the instance is."""


class ProcessEnded(Note, frozen=True):
    """Note to self: the process and its session have ended; `serial` counts this runner's processes."""

    serial: int
    status: int | None


class HealthChecked(Note, frozen=True):
    """Note to self: the process has answered its health check, or has not; `said` is for a person."""

    serial: int
    healthy: bool
    said: str


class StartDue(Note, frozen=True):
    """Note to self: the backoff before the next start is over."""

    serial: int


class CheckDue(Note, frozen=True):
    """Note to self: time to check the health of a process that has been ready."""

    serial: int


class DeadlineDue(Note, frozen=True):
    """Note to self: the process has had its time to become ready."""

    serial: int


class UpkeepDue(Note, frozen=True):
    """Note to self: look after the size of the output, and write a record that could not be written."""
