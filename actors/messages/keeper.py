"""The parent's keepers: one looks after one node's process."""

from __future__ import annotations

from tucano.actors.kernel import Message, Note

SERVES, LEAVES = b"s", b"l"
"""What a process says to its keeper: that it serves; that it wants to end, and goes on until its successor serves."""

SUCCEEDED, ALONE = b"1", b"0"
"""The keeper's answer to one that leaves: its successor serves; nobody comes after it."""


class StopNode(Message, frozen=True):
    """Stop the process (SIGTERM) and do not start it again; answered when it has ended.

    Attributes:
        grace: seconds until SIGKILL.

    """

    grace: float


class NodeEnded(Note, frozen=True):
    """Note to self: a process has ended.

    Attributes:
        pid: which, 0 if it could not be started.
        status: minus a signal's number if a signal killed it, None if nobody knows.

    """

    pid: int
    status: int | None


class NodeSaid(Note, frozen=True):
    """Note to self: the process `pid` said `SERVES` or `LEAVES`."""

    pid: int
    what: bytes


class StartDue(Note, frozen=True):
    """Note to self: the backoff is over."""
