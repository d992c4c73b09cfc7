"""The news that an actor, or its node, is gone."""

from __future__ import annotations

from tucano.actors.kernel.message import Note


class Down(Note, frozen=True):
    """What a watcher is told, once, of whom it watches; between nodes only by a letter of its own kind.

    Attributes:
        who: address.
        why: stopped, crashed, gave_up, node_silent or not_found.
        detail: for a person.

    """

    who: str
    why: str
    detail: str = ""
