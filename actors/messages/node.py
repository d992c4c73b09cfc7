"""What any node answers about itself, by its `node` actor."""

from __future__ import annotations

from tucano.actors.kernel import ActorInfo, Message


class Snapshot(Message, frozen=True):
    """Answered with `Actors`."""


class Actors(Message, frozen=True):
    """All actors of a node, parents before children."""

    node: str
    pid: int
    actors: tuple[ActorInfo, ...]
