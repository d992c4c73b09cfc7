"""The parent's keepers: one looks after one node's process."""

from __future__ import annotations

from tucano.actors.kernel import Message, Note


class StopNode(Message, frozen=True):
    """Stop the process (SIGTERM) and do not start it again; answered when it has ended.

    Attributes:
        grace: seconds until SIGKILL.

    """

    grace: float


class NodeEnded(Note, frozen=True):
    """Note to self: the process has ended; minus a signal's number if a signal killed it, None if nobody knows."""

    status: int | None


class StartDue(Note, frozen=True):
    """Note to self: the backoff is over."""
