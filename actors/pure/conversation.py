"""A conversation put together from what all nodes know of it. Pure.

Each message is known in two halves, by its sender's node and by its receiver's (see `kernel.trace`); either may be
missing, and the clocks of two nodes need not agree. What is said here holds for any halves whatever, also malformed
ones: each message once, a message after the one that led to it, and no answer without its ask.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from tucano.actors.kernel import Span

TO_ITSELF = ("note", "timer")
"""Kinds of messages that have one end only."""


@dataclass(frozen=True)
class Line:
    """One message of a conversation.

    Attributes:
        span: both halves in one, as far as they are known.
        at: seconds from the conversation's first message until this one was sent; never before what led to it.
        answers: span of the ask that it answers or refuses; empty if it is no answer, or its ask is not known.

    """

    span: Span
    at: float
    answers: str = ""


@dataclass(frozen=True)
class Conversation:
    """What one command led to.

    Attributes:
        began: seconds since the epoch of its first message.
        duration: seconds from there to the end of the last message that one actor sent to another. What actors only
            remind themselves of (a deadline that was met, a write that could wait) does not make it longer.
        participants: addresses, in the order in which they appear.
        lines: the messages in causal order: one that led to another stands before it, all else is ordered by time.
        unanswered: spans of asks that have no answer (yet, or none that is known).

    """

    began: float
    duration: float
    participants: tuple[str, ...]
    lines: tuple[Line, ...]
    unanswered: tuple[str, ...]


def assemble(halves: Iterable[Span]) -> Conversation:
    """A conversation from the halves of its spans, of all nodes and in any order; none gives an empty one."""
    spans = _without_cycles(_merged(halves))
    times = _times(spans)
    ordered = sorted(spans.values(), key=lambda span: (times[span.span].sent, times[span.span].depth, _key(span.span)))
    began = min((time.sent for time in times.values()), default=0.0)
    ended = max((times[span.span].begun + span.took for span in _between(ordered)), default=0.0)
    lines = _with_asks([Line(span, times[span.span].sent - began) for span in ordered])
    answered = {line.answers for line in lines}
    return Conversation(
        began=began,
        duration=max(ended - began, 0.0),
        participants=tuple(dict.fromkeys(who for line in lines for who in (line.span.sender, line.span.to) if who)),
        lines=tuple(lines),
        unanswered=tuple(
            line.span.span for line in lines if line.span.kind == "ask" and line.span.span not in answered
        ),
    )


def until(halves: Sequence[Span]) -> float:
    """When the last message that one actor sent to another was sent or begun, as one node knows it; 0 if none."""
    return max((half.sent or half.begun for half in _between(halves)), default=0.0)


def _between(spans: Sequence[Span]) -> Sequence[Span]:
    """The messages that somebody sent to somebody else; all, if there are no such."""
    return [span for span in spans if span.kind not in TO_ITSELF] or spans


# Two halves.


def _merged(halves: Iterable[Span]) -> dict[str, Span]:
    """Each span once, by its identifier; which of several halves came first makes no difference."""
    found: defaultdict[str, list[Span]] = defaultdict(list)
    for half in sorted(set(halves), key=msgspec.structs.astuple):
        found[half.span].append(half)
    return {identifier: _whole(of) for identifier, of in found.items() if identifier}


def _whole(halves: Sequence[Span]) -> Span:
    said = sorted(halves, key=lambda half: half.sent <= 0)  # the sender's first: it knows best what it said
    heard = max(halves, key=lambda half: (half.begun > 0, half.outcome != "", half.took))
    whole = msgspec.structs.replace(
        said[0],
        parent=_first(half.parent for half in said),
        sender=_first(half.sender for half in said),
        what=_first(half.what for half in said),
        to=heard.to or _first(half.to for half in said),
        sent=max(said[0].sent, 0.0),
        begun=max(heard.begun, 0.0),
        took=max(heard.took, 0.0),
        outcome=heard.outcome,
    )
    if whole.kind in TO_ITSELF:
        itself = whole.sender or whole.to
        return msgspec.structs.replace(whole, sender=itself, to=itself)
    return whole


def _first(values: Iterable[str]) -> str:
    return next((value for value in values if value), "")


# What led to what.


def _without_cycles(spans: dict[str, Span]) -> dict[str, Span]:
    """The same spans; where malformed ones lead to each other in a circle, the earliest of them begins it."""
    sound: set[str] = set()
    for start in spans:
        path: dict[str, None] = {}
        at = start
        while at in spans and at not in sound and at not in path:
            path[at] = None
            at = spans[at].parent
        if at in path:
            circle = list(path)[list(path).index(at) :]
            first = min(circle, key=lambda one: (_own(spans[one]), _key(one)))
            spans[first] = msgspec.structs.replace(spans[first], parent="")
        sound.update(path)
    return spans


@dataclass(frozen=True)
class _Time:
    """When a message was sent and begun, and how many messages led to it, one after the other.

    What came before its cause by its own node's clock is moved to its cause; `behind` is by how much the receiver's
    clock was found to be behind so far, by which all that the receiver does in consequence is moved, too.
    """

    sent: float
    begun: float
    behind: float
    depth: int


def _times(spans: Mapping[str, Span]) -> dict[str, _Time]:
    children: defaultdict[str, list[Span]] = defaultdict(list)
    for span in spans.values():
        children[span.parent if span.parent in spans else ""].append(span)
    earliest = min(filter(None, map(_own, spans.values())), default=0.0)
    times: dict[str, _Time] = {}
    waiting = list(children[""])
    while waiting:
        span = waiting.pop()
        times[span.span] = _time(span, times.get(span.parent), earliest)
        waiting += children[span.span]
    return times


def _time(span: Span, cause: _Time | None, earliest: float) -> _Time:
    own, behind = _own(span), 0.0
    if cause is None:
        sent, depth = own or earliest, 0
    else:
        if span.sent > 0 or span.kind in TO_ITSELF:
            behind = cause.behind  # who sent it has handled the cause: by the same clock
        sent, depth = max(own + behind, cause.begun), cause.depth + 1
    if _node(span.sender) != _node(span.to):
        behind = 0.0
    begun = max(span.begun + behind, sent)
    return _Time(sent, begun, begun - span.begun if span.begun else behind, depth)


def _own(span: Span) -> float:
    """When a message was sent, as far as it is known; a timer's note is sent when it is due, not when it is set."""
    return (span.begun or span.sent) if span.kind == "timer" else (span.sent or span.begun)


def _node(address: str) -> str:
    return address.partition("/")[0]


def _key(identifier: str) -> tuple[str, int, str]:
    """Orders what has the same time: by node, and there as it arose."""
    node, _, number = identifier.rpartition(".")
    return node, int(number) if number.isdecimal() and number.isascii() else 0, identifier


# Asks and answers.


def _with_asks(lines: Sequence[Line]) -> list[Line]:
    """The lines, each answer with its ask: the nearest that led to it, else the first that is open between the two."""
    parents = {line.span.span: line.span.parent for line in lines}
    pending: dict[str, Span] = {}
    matched = []
    for line in lines:
        span = line.span
        if span.kind == "ask":
            pending[span.span] = span
        elif span.kind in ("answer", "refusal") and pending:
            ask = next((pending[one] for one in _causes(span, parents) if _fits(span, pending.get(one))), None)
            ask = ask or next((one for one in pending.values() if span.sender and span.to and _fits(span, one)), None)
            if ask is not None:
                del pending[ask.span]
                ends = {"sender": span.sender or ask.to, "to": span.to or ask.sender}
                line = replace(line, span=msgspec.structs.replace(span, **ends), answers=ask.span)
        matched.append(line)
    return matched


def _causes(span: Span, parents: Mapping[str, str]) -> Iterator[str]:
    """What led to a message, the nearest first."""
    one = span.parent
    while one in parents:
        yield one
        one = parents[one]


def _fits(answer: Span, ask: Span | None) -> bool:
    """Whether an answer goes the way of an ask back, as far as both ends are known."""
    return ask is not None and all(
        not back or not there or back == there for back, there in ((answer.sender, ask.to), (answer.to, ask.sender))
    )
