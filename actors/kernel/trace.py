"""Conversations: what one command led to, through all actors and nodes.

A command begins a trace. Whatever an actor sends while it handles a traced message carries the trace on: by `tell`,
`ask`, `pipe`, timers and answers, also to other nodes. Every message is a *span*; the sending node knows when it was
sent and the receiving node what became of it, so that a conversation is put together from the halves of all nodes.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, cast, get_args

from tucano.actors.kernel.message import Message, Note

SpanKind = Literal["tell", "ask", "answer", "refusal", "note", "timer"]


class Span(Message, frozen=True):
    """One message of a conversation, as one node knows it.

    Attributes:
        trace: identifier of the conversation.
        span: identifier of the message, unique in the cluster: `node.start.number`.
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


class Start(Note, frozen=True):
    """What `on_start` handles, as a conversation shows it."""


class TraceInfo(Message, frozen=True):
    """One conversation in a list.

    Attributes:
        trace: identifier.
        at: seconds since the epoch of the first span that this node knows.
        what: the message that it began with, as far as this node knows.
        spans: messages of it that this node has handled, so that the counts of all nodes add up.
        until: seconds since the epoch of the latest span that this node knows; 0 if it is not said.

    """

    trace: str
    at: float
    what: str
    spans: int
    until: float = 0.0


class Context(NamedTuple):
    """What a message carries of its conversation; in a letter as text, its parts joined by `:`."""

    trace: str
    span: str
    parent: str
    kind: str


MAX_CONTEXT = 200
"""Characters of a context that comes from another node, at most."""

_KINDS = frozenset(get_args(SpanKind))


def read(text: str) -> Context | None:
    """The context in a message; None if it is none of ours."""
    parts = text.split(":")
    if len(text) > MAX_CONTEXT or len(parts) != 4 or parts[3] not in _KINDS:
        return None
    return Context(*parts)


class Tracer:
    """Remembers the latest conversations in which a node took part.

    Args:
        node: its name.
        wall: seconds since the epoch.
        keep: conversations to remember.
        most: spans of one conversation to remember; what comes later is not recorded.

    """

    BEATS = 3
    """Times that a timer of one kind carries a conversation on, for one actor: a timer that is set again and again is
    a heartbeat, not a consequence, and no conversation would ever end."""

    def __init__(self, node: str, wall: Callable[[], float], keep: int = 256, most: int = 2000) -> None:
        self._origin = f"{node}.{int(wall() * 1000):x}"  # a node that starts again counts from 1 again
        self._wall = wall
        self._keep = keep
        self._most = most
        self._traces: dict[str, list[Span]] = {}
        self._timers: dict[str, Counter[tuple[str, str]]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def begin(self, trace: str) -> str:
        """The context of a conversation's first message."""
        return ":".join((trace, self._fresh(), "", "tell"))

    def sent(self, cause: str, kind: SpanKind, sender: str, to: str, what: Any) -> str:
        """A message is sent because of another.

        Args:
            cause: context of the message that is being handled.
            kind: of the new message.
            sender: address.
            to: address.
            what: the message.

        Returns:
            The new message's context; empty if the cause has none, or the timer is a heartbeat.

        """
        context = read(cause)
        if context is None:
            return ""
        named = name_of(what)
        if kind == "timer" and self._is_beat(context.trace, sender, named):
            return ""
        span = self._fresh()
        self._record(Span(context.trace, span, context.span, kind, sender, to, named, sent=self._wall()))
        return ":".join((context.trace, span, context.span, kind))

    def handled(self, text: str, sender: str, to: str, what: Any, took: float, outcome: str) -> None:
        """A message has been handled, just now, in `took` seconds."""
        context = read(text)
        if context is None:
            return
        trace, span, parent, kind = context
        begun = self._wall() - took
        whole = Span(trace, span, parent, cast(SpanKind, kind), sender, to, name_of(what), 0.0, begun, took, outcome)
        self._record(whole)

    def spans(self, trace: str) -> tuple[Span, ...]:
        """What is known of a conversation."""
        with self._lock:
            return tuple(self._traces.get(trace, ()))

    def traces(self) -> tuple[TraceInfo, ...]:
        """The conversations that are remembered, oldest first."""
        with self._lock:
            return tuple(
                TraceInfo(
                    trace, _at(spans[0]), spans[0].what, sum(span.begun > 0 for span in spans), max(map(_at, spans))
                )
                for trace, spans in self._traces.items()
            )

    def _fresh(self) -> str:
        return f"{self._origin}.{next(self._numbers)}"

    def _is_beat(self, trace: str, actor: str, note: str) -> bool:
        with self._lock:
            timers = self._timers.setdefault(trace, Counter())
            timers[actor, note] += 1
            return timers[actor, note] > self.BEATS

    def _record(self, span: Span) -> None:
        with self._lock:
            spans = self._traces.get(span.trace)
            if spans is None:
                spans = self._traces[span.trace] = []
                while len(self._traces) > self._keep:
                    del self._traces[next(iter(self._traces))]
                while len(self._timers) > self._keep:
                    del self._timers[next(iter(self._timers))]
            if len(spans) < self._most:
                spans.append(span)


def _at(span: Span) -> float:
    return span.sent or span.begun


def name_of(message: Any) -> str:
    """A message's type: its tag, or the name of its class."""
    return message.TAG if isinstance(message, Message) else type(message).__name__
