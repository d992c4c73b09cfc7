"""What happens to a node's actors, on one channel."""

from __future__ import annotations

from typing import Literal

from tucano.actors.kernel.message import Message

What = Literal[
    "actor_started", "actor_stopped", "actor_crashed", "actor_abandoned", "tree_gave_up", "message_refused",
    "dead_letter", "node_up", "node_down",
]  # fmt: skip


class Lifecycle(Message, frozen=True):
    """One event.

    Attributes:
        seq: counts a node's events.
        at: seconds since the epoch.
        what: see `What`.
        who: name of the actor, or of the other node.
        detail: for a person.

    """

    seq: int
    at: float
    what: What
    who: str
    detail: str
