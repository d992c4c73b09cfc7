"""What a cluster answers about its actors: who they are, how they fare, and what they said to each other.

Fields that a newer cluster adds are ignored, those that an older one does not know have a default.
"""

from __future__ import annotations

import msgspec

from tucano.transport.link import PeerInfo


class WaitInfo(msgspec.Struct, frozen=True):
    """An answer that an actor waits for.

    Attributes:
        on: address of who owes it.
        what: type of the message that was asked.
        seconds: since it was asked.

    """

    on: str
    what: str = ""
    seconds: float = 0.0


class ActorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One actor; the fields are those of `actors.kernel.ActorInfo`, `p50` and `p99` None before the first message."""

    name: str
    parent: str = ""
    kind: str = ""
    phase: str = ""
    depth: int = 0
    high_water: int = 0
    handled: int = 0
    refused: int = 0
    restarts: int = 0
    busy: float = 0.0
    last_crash: str = ""
    p50: float | None = None
    p99: float | None = None
    abandoned: int = 0
    waits: list[WaitInfo] = []


class LifecycleInfo(msgspec.Struct, frozen=True):
    """What happened to an actor of a node, or to another node that it sees.

    Attributes:
        seq: counts the node's events.
        at: seconds since the epoch.
        what: such as actor_crashed or dead_letter; see `actors.kernel.events`.
        who: name of the actor, or of the other node.
        detail: for a person.

    """

    seq: int
    at: float
    what: str
    who: str = ""
    detail: str = ""


class NodeActors(msgspec.Struct, frozen=True):
    """The actors of one node.

    Attributes:
        node: its name.
        pid: its process.
        actors: parents before children; none if it did not answer.
        events: what lately happened to them, oldest first.
        dead_letters: messages that found no receiver, ever.
        links: the other nodes.
        state: ready if it answered; else silent or gone.
        since: when it came into this state, seconds since the epoch; None if not known.

    """

    node: str
    pid: int = 0
    actors: list[ActorInfo] = []
    events: list[LifecycleInfo] = []
    dead_letters: int = 0
    links: tuple[PeerInfo, ...] = ()
    state: str = "ready"
    since: float | None = None


class SpanInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a conversation.

    Attributes:
        span: identifier.
        parent: span of the message that was being handled when this one was sent; empty if there was none.
        answers: span of the ask that it answers or refuses; empty otherwise.
        kind: tell, ask, answer, refusal, note (to oneself) or timer (a note that was due later).
        sender: address, `node/name`; empty if it came from outside all actors.
        to: address of the receiver; empty if it is not known.
        what: type of the message.
        at: seconds from the conversation's beginning until it was sent; never before its parent.
        sent: seconds since the epoch, by the sender's clock; 0 if not known.
        begun: seconds since the epoch when its handling began, by the receiver's clock; 0 if not known.
        took: seconds that its handling took.
        outcome: done, crashed, or the code of a refusal; empty if not known.

    """

    span: str
    parent: str = ""
    answers: str = ""
    kind: str = "tell"
    sender: str = ""
    to: str = ""
    what: str = ""
    at: float = 0.0
    sent: float = 0.0
    begun: float = 0.0
    took: float = 0.0
    outcome: str = ""


class Conversation(msgspec.Struct, frozen=True):
    """What one command led to, through all actors and nodes.

    Attributes:
        trace: its identifier.
        began: seconds since the epoch of its first message.
        duration: seconds until the end of the last message between two actors: what they only remind themselves of,
            such as a deadline that is met, does not count.
        participants: addresses, in the order in which they appear.
        unanswered: spans of asks without an answer.
        spans: the messages in causal order, each after the one that led to it.

    """

    trace: str
    began: float = 0.0
    duration: float = 0.0
    participants: list[str] = []
    unanswered: list[str] = []
    spans: list[SpanInfo] = []


class ConversationInfo(msgspec.Struct, frozen=True):
    """One conversation in a list.

    Attributes:
        trace: its identifier.
        at: seconds since the epoch of its first message.
        what: type of the message that it began with.
        spans: messages that were handled.
        duration: seconds until the last message between two actors began; None if not known.

    """

    trace: str
    at: float = 0.0
    what: str = ""
    spans: int = 0
    duration: float | None = None
