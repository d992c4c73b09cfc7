"""A conversation as a sequence diagram, in Mermaid's language. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tucano.client.insight import Conversation, SpanInfo
from tucano.render.conversation import message
from tucano.render.repeats import beats

LIMIT = 45_000
"""Characters of one diagram, at most: viewers refuse more than 50,000."""

OUTSIDE = "outside"
UNKNOWN = "unknown"

_PLAIN = frozenset(" ./_-+(),")


def sequence(found: Conversation) -> str:
    """The diagram: asks with their answers, tells, and notes of actors to themselves; what repeats is shown once."""
    shown, left_out = _within(LIMIT, _steps(found))
    ids = {who: f"p{number}" for number, who in enumerate(_participants(shown))}
    paired = _paired(shown)
    lines = [_line(step, ids, paired=number in paired) for number, step in enumerate(shown)]
    if left_out:
        lines.append(f"Note over p0: {left_out} more messages are left out")
    return "\n".join(["sequenceDiagram", *_boxes(ids), *(f"    {line}" for line in lines)])


def escape(text: str) -> str:
    """A text that is nothing but text to Mermaid, whatever is in it."""
    words = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return "".join(one if one.isalnum() or one in _PLAIN else f"#{ord(one)};" for one in words) or "?"


class _Step(NamedTuple):
    """One line of the diagram: a message, or the begin or end of what comes several times.

    Attributes:
        span: the message.
        text: what stands at it, or the whole line if there is no message.
        messages: how many it stands for.

    """

    span: SpanInfo | None
    text: str
    messages: int = 0


def _steps(found: Conversation) -> Iterator[list[_Step]]:
    """The lines, in groups that only make sense together."""
    open_asks = frozenset(found.unanswered)

    def key(one: SpanInfo) -> tuple[str, str, str, str]:
        return one.kind, _from(one), _to(one), text(one)

    def text(one: SpanInfo) -> str:
        return escape(message(one, unanswered=one.span in open_asks))

    def in_a_row(spans: Sequence[SpanInfo], times: int = 1) -> Iterator[_Step]:
        for beat in beats(spans, key, longest=1):
            said = text(beat.once[0]) + (f" ({beat.times} times)" if beat.times > 1 else "")
            yield _Step(beat.once[0], said, beat.times * times)

    for beat in beats(found.spans, key):
        if beat.period == 1:
            yield list(in_a_row(beat.items))
        else:
            yield [_Step(None, f"loop {beat.times} times"), *in_a_row(beat.once, beat.times), _Step(None, "end")]


def _within(room: int, groups: Iterable[list[_Step]]) -> tuple[list[_Step], int]:
    """The first groups, as many as have room, and the number of messages in all others."""
    shown: list[_Step] = []
    declared: set[str] = set()
    left_out = 0
    for group in groups:
        people = _participants(group)
        fresh = {*people, *map(_node, people)} - declared  # each has a line, and each node a box
        declared |= fresh
        room -= sum(len(step.text) + 22 for step in group) + sum(len(escape(name)) + 36 for name in fresh)
        if room > 0 or not shown:
            shown += group
        else:
            left_out += sum(step.messages for step in group)
    return shown, left_out


def _paired(shown: Sequence[_Step]) -> set[int]:
    """Numbers of the lines that are an ask whose answer is shown, or that answer; each ask has one at most."""
    asks: dict[str, tuple[int, str]] = {}
    found: set[int] = set()
    for number, span in ((number, step.span) for number, step in enumerate(shown) if step.span is not None):
        if span.kind == "ask":
            asks[span.span] = number, _to(span)
        elif span.answers in asks and span.kind in ("answer", "refusal") and asks[span.answers][1] == _from(span):
            found |= {asks.pop(span.answers)[0], number}
    return found


def _line(step: _Step, ids: dict[str, str], *, paired: bool) -> str:
    """One line; a receiver is active from an ask to its answer."""
    span = step.span
    if span is None:
        return step.text
    sender, to = ids[_from(span)], ids[_to(span)]
    match span.kind:
        case "note" | "timer":
            return f"Note over {sender}: {step.text}"
        case "answer" | "refusal":
            arrow = "-->>" if span.kind == "answer" else "--x"
            return f"{sender}{arrow}{'-' if paired else ''}{to}: {step.text}"
        case _:
            return f"{sender}->>{'+' if paired else ''}{to}: {step.text}"


def _participants(steps: Sequence[_Step]) -> list[str]:
    """Who speaks and hears, a node after the other, both as they appear."""
    spans = [step.span for step in steps if step.span is not None]
    everybody = dict.fromkeys(who for span in spans for who in (_from(span), _to(span)))
    nodes = dict.fromkeys(map(_node, everybody))
    return [who for node in nodes for who in everybody if _node(who) == node]


def _boxes(ids: dict[str, str]) -> Iterator[str]:
    """The participants, those of one node in a box."""
    for node in dict.fromkeys(map(_node, ids)):
        mine = [(who, identifier) for who, identifier in ids.items() if _node(who) == node]
        if node:
            yield f"    box transparent {escape(node)}"
            yield from (f"        participant {identifier} as {escape(who)}" for who, identifier in mine)
            yield "    end"
        else:
            yield from (f"    actor {identifier} as {escape(who)}" for who, identifier in mine)


def _from(span: SpanInfo) -> str:
    return span.sender or OUTSIDE


def _to(span: SpanInfo) -> str:
    return span.to or UNKNOWN


def _node(who: str) -> str:
    node, slash, _ = who.partition("/")
    return node if slash else ""
