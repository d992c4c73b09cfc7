"""Conversations of actors: a list of them, and one as a tree. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tucano.client.insight import Conversation, ConversationInfo, SpanInfo
from tucano.render.repeats import Beat, beats
from tucano.render.text import duration, moment, plural, table

DEEPEST = 12
"""Levels of the tree that are set to the right; deeper ones stand below the last."""

_VERSION = re.compile(r"/\d+\Z")


def conversations(found: Sequence[ConversationInfo]) -> str:
    """The conversations that are remembered, a line each."""
    if not found:
        return "no conversations are remembered: each command that changes something begins one"
    return table(
        ("TRACE", "WHEN", "BEGAN WITH", ">MESSAGES", ">DURATION"),
        (
            (one.trace, moment(one.at), type_name(one.what), one.spans, duration(one.duration))
            for one in found
        ),
    )  # fmt: skip


def conversation(found: Conversation) -> str:
    """One conversation: what led to what, when, and what became of it.

    What led to one message stands above it. Of several, the last goes on below, and the others are branches of their
    own, set to the right. What repeats is shown once.
    """
    count = f"{plural(len(found.spans), 'message')} between {plural(len(found.participants), 'actor')}"
    head = f"conversation {found.trace}, {moment(found.began)}: {count}, {duration(found.duration)}"
    if found.unanswered:
        head += f"; {plural(len(found.unanswered), 'ask')} without an answer"
    unanswered = frozenset(found.unanswered)
    rows = (row for beat in beats(list(_branches(found.spans)), _key) for row in _rows(beat, unanswered))
    return f"{head}\n\n" + table((">MS", "WHO TO WHOM", "KIND", "WHAT", ">TOOK", "OUTCOME"), rows)


def type_name(what: str) -> str:
    """A message's type without the version that its tag bears."""
    return _VERSION.sub("", what)


def message(span: SpanInfo, *, unanswered: bool) -> str:
    """What was said, and what became of it if that is not simply that it was done."""
    end = outcome(span, unanswered=unanswered)
    return (type_name(span.what) or span.kind) + (f" ({end})" if end not in ("", "done") else "")


def outcome(span: SpanInfo, *, unanswered: bool) -> str:
    """What became of a message; empty if that is not known."""
    if unanswered:
        return "no answer"
    return "not due" if span.kind == "timer" and not span.begun else span.outcome


class _Branch(NamedTuple):
    """A message, and the lines that lead to it from what led to it."""

    guide: str
    span: SpanInfo | None


def _branches(spans: Sequence[SpanInfo]) -> Iterator[_Branch]:
    """All messages, each below what led to it; the spans come in causal order."""
    known: set[str] = set()
    children: defaultdict[str, list[SpanInfo]] = defaultdict(list)
    for span in spans:
        children[span.parent if span.parent in known else ""].append(span)
        known.add(span.span)
    for number, first in enumerate(children[""]):
        if number:
            yield _Branch("", None)
        waiting = [("", "", first)]
        while waiting:
            guide, own, span = waiting.pop()
            yield _Branch(own, span)
            inner = guide + "│ " if len(guide) < 2 * DEEPEST else guide
            below = [(inner, guide + "├ ", child) for child in children[span.span]]
            waiting += reversed([*below[:-1], *((guide, guide, child) for _, _, child in below[-1:])])


def _key(branch: _Branch) -> tuple[str, ...]:
    guide, span = branch
    return (guide,) if span is None else (guide, span.kind, span.sender, span.to, span.what, span.outcome)


def _rows(beat: Beat[_Branch], unanswered: frozenset[str]) -> Iterator[Sequence[object]]:
    for branch in beat.once:
        yield _row(branch, unanswered)
    if beat.times > 1:
        lines = "this line" if beat.period == 1 else f"these {beat.period} lines"
        last = beat.items[-1].span
        until = f", the last at {1000 * last.at:.1f}" if last else ""
        yield "", f"{beat.once[0].guide}({lines} {plural(beat.times - 1, 'time')} more{until})", "", "", "", ""


def _row(branch: _Branch, unanswered: frozenset[str]) -> Sequence[object]:
    guide, span = branch
    if span is None:
        return "", "", "", "", "", ""
    end = outcome(span, unanswered=span.span in unanswered) or "-"
    took = duration(span.took) if span.begun else "-"
    return f"{1000 * span.at:.1f}", guide + _ends(span), span.kind, type_name(span.what), took, end


def _ends(span: SpanInfo) -> str:
    """Who to whom; on the same node the receiver by its name only."""
    if span.kind in ("note", "timer"):
        return span.sender or span.to
    node, _, name = span.to.partition("/")
    near = node == span.sender.partition("/")[0]
    return f"{span.sender or 'outside'} -> {(name if near else span.to) or 'unknown'}"
