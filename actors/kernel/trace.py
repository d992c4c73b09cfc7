"""Conversations: what one command led to, through all actors and nodes.

A command begins a trace. Whatever an actor sends while it handles a traced message carries the trace on: by `tell`,
`ask`, `pipe`, timers and answers, also to other nodes. Every message is a *span*; the sending node knows when it was
sent and the receiving node what became of it, so that a conversation is put together from the halves of all nodes.
"""

from __future__ import annotations

from typing import Literal

from tucano.actors.kernel.message import Message

SpanKind = Literal["tell", "ask", "answer", "refusal", "note", "timer"]


class Span(Message, frozen=True):
    """One message of a conversation, as one node knows it.

    Attributes:
        trace: identifier of the conversation.
        span: identifier of the message, unique in the cluster: `node.number`.
        parent: span of the message that was being handled when this one was sent; empty for the first.
        kind: tell, ask, answer, refusal, note (to oneself), timer (a note that was due later).
        sender: address, `node/name`, of who sent it; empty if it came from outside all actors.
        to: address of the receiver; empty where only the other half knows it.
        what: the message's type: its tag, or the name of its class.
        sent: seconds since the epoch, by the sender's clock; 0 in the receiver's half.
        begun: seconds since the epoch when its handling began, by the receiver's clock; 0 in the sender's half.
        took: seconds that its handling took.
        outcome: done, crashed, or the code of a refusal; empty in the sender's half or if it was not handled.

    """

    trace: str
    span: str
    parent: str
    kind: SpanKind
    sender: str
    to: str
    what: str
    sent: float = 0.0
    begun: float = 0.0
    took: float = 0.0
    outcome: str = ""


class TraceInfo(Message, frozen=True):
    """One conversation in a list.

    Attributes:
        trace: identifier.
        at: seconds since the epoch of the first span that this node knows.
        what: the message that it began with, as far as this node knows.
        spans: spans that this node knows.
        until: seconds since the epoch of the latest of them; 0 if it is not said.

    """

    trace: str
    at: float
    what: str
    spans: int
    until: float = 0.0
