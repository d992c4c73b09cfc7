"""The news that an actor, or its node, is gone."""

from __future__ import annotations

from tucano.actors.kernel.message import Message


class Down(Message, frozen=True):
    """What a watcher is told, once, of whom it watches.

    Attributes:
        who: address.
        why: stopped, crashed, gave_up, node_silent or not_found.
        detail: for a person.

    """

    who: str
    why: str
    detail: str = ""
