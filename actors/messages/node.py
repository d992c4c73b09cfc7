"""What any node answers about itself, by its `node` actor."""

from __future__ import annotations

from tucano.actors.kernel import ActorInfo, Lifecycle, Message, Span, TraceInfo
from tucano.transport.link import PeerInfo


class Snapshot(Message, frozen=True):
    """Answered with `Actors`."""


class Actors(Message, frozen=True):
    """All actors of a node, parents before children, and what lately happened to them.

    Attributes:
        node: its name.
        pid: its process.
        actors: parents before children.
        events: the latest, oldest first.
        dead_letters: messages that found no receiver or were refused, ever.
        links: the other nodes, and what has passed between them and this one on each lane, and what waits.

    """

    node: str
    pid: int
    actors: tuple[ActorInfo, ...]
    events: tuple[Lifecycle, ...] = ()
    dead_letters: int = 0
    links: tuple[PeerInfo, ...] = ()


class ReadTrace(Message, frozen=True):
    """Answered with `Traced`: what this node knows of a conversation."""

    trace: str


class Traced(Message, frozen=True):
    """A node's halves of a conversation's spans, in the order in which they arose; none if it took no part."""

    node: str
    spans: tuple[Span, ...]


class ReadTraces(Message, frozen=True):
    """Answered with `Traces`."""


class Traces(Message, frozen=True):
    """The conversations that this node remembers, oldest first."""

    node: str
    traces: tuple[TraceInfo, ...]
