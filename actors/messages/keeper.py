"""The parent's keepers: one looks after one node's process."""

from __future__ import annotations

from tucano.actors.kernel import Message

SUCCEEDED = b"1"
"""The keeper's answer to a process that leaves: its successor is started."""

ALONE = b"0"
"""The same: nobody comes after it."""


class StopNode(Message, frozen=True):
    """Stop the process (SIGTERM) and do not start it again; answered when it has ended.

    Attributes:
        grace: seconds until SIGKILL.

    """

    grace: float


class NodeEnded(Message, frozen=True):
    """Note to self: a process has ended.

    Attributes:
        pid: which, 0 if it could not be started.
        status: minus a signal's number if a signal killed it, None if nobody knows.

    """

    pid: int
    status: int | None


class NodeLeaves(Message, frozen=True):
    """Note to self: the process `pid` takes no new work, and ends when it has done what it has."""

    pid: int


class StartDue(Message, frozen=True):
    """Note to self: the backoff is over."""
