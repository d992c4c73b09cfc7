from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tucano.actors.kernel import Span
from tucano.actors.pure.conversation import Conversation, assemble, until

TRACE = "5f0c" * 4


def said(span: str, parent: str = "", sent: float = 1.0, **more: Any) -> Span:
    """A sender's half."""
    known = {"trace": TRACE, "kind": "tell", "sender": "a/x", "to": "b/y", "what": "m.M/1"}
    return Span(span=span, parent=parent, sent=sent, **{**known, **more})


def heard(span: str, parent: str = "", begun: float = 1.0, **more: Any) -> Span:
    """A receiver's half."""
    return said(span, parent, 0.0, begun=begun, **{"outcome": "done", **more})


def names(conversation: Conversation) -> list[str]:
    return [line.span.span for line in conversation.lines]


def answers(conversation: Conversation) -> dict[str, str]:
    return {line.span.span: line.answers for line in conversation.lines if line.answers}


# Halves


def test_two_halves_make_one_message() -> None:
    [line] = assemble([heard("a.1", begun=1.5, took=0.25, outcome="crashed", to="b/y"), said("a.1", sent=1.0)]).lines
    assert line.span == said("a.1", sent=1.0, begun=1.5, took=0.25, outcome="crashed")


def test_each_half_alone_is_a_message_too() -> None:
    conversation = assemble([said("a.1", sent=1.0), heard("a.2", "a.1", begun=3.0, took=1.0)])
    assert [(line.span.sent, line.span.begun, line.at) for line in conversation.lines] == [(1, 0, 0), (0, 3, 2)]
    assert conversation.duration == 3.0


def test_the_senders_half_says_what_was_said_and_the_receivers_where_it_went() -> None:
    halves = [said("a.1", kind="answer", what="deployer.Accepted/1", to=""), heard("a.1", what="note", to="b/y")]
    [line] = assemble(halves).lines
    assert (line.span.what, line.span.to) == ("deployer.Accepted/1", "b/y")


def test_what_is_told_twice_counts_once() -> None:
    halves = [said("a.1"), heard("a.1"), said("a.1"), heard("a.1")]
    assert assemble(halves) == assemble(halves[:2])


def test_a_note_goes_to_whom_it_comes_from_whichever_end_is_known() -> None:
    conversation = assemble([said("a.1", kind="note", to=""), heard("a.2", "a.1", kind="timer", sender="", to="a/x")])
    assert {(line.span.sender, line.span.to) for line in conversation.lines} == {("a/x", "a/x")}


def test_nothing_makes_an_empty_conversation() -> None:
    assert assemble([]) == Conversation(0.0, 0.0, (), (), ())


def test_a_half_without_an_identifier_is_left_out() -> None:
    assert names(assemble([said(""), said("a.1")])) == ["a.1"]


# Order


def test_what_is_independent_is_ordered_by_time() -> None:
    assert names(assemble([said("a.3", sent=3), said("a.1", sent=1), heard("a.2", begun=2)])) == ["a.1", "a.2", "a.3"]


def test_at_the_same_time_it_is_ordered_as_it_arose() -> None:
    assert names(assemble([said("a.10"), said("a.9"), said("a.11", "a.10")])) == ["a.9", "a.10", "a.11"]


def test_what_a_node_with_a_slow_clock_does_stands_after_its_cause_and_in_its_own_order() -> None:
    conversation = assemble(
        [
            said("a.1", sent=100.0),
            heard("a.1", begun=90.0, took=0.5),  # b's clock is ten seconds behind
            said("b.2", "a.1", sent=90.2, sender="b/y", to="b/z"),
            said("b.1", "a.1", sent=90.1, sender="b/y", to="b/z"),
            said("b.3", "b.1", sent=90.15, sender="b/z", to="b/y"),
        ]
    )
    assert names(conversation) == ["a.1", "b.1", "b.3", "b.2"]
    assert [round(line.at, 3) for line in conversation.lines] == [0, 0.1, 0.15, 0.2]
    assert conversation.duration == pytest.approx(0.5)


def test_a_timer_stands_where_it_was_due_and_not_where_it_was_set() -> None:
    conversation = assemble(
        [
            said("a.1", sent=1, begun=1),
            said("a.2", "a.1", kind="timer", sent=1.1, begun=5, outcome="done"),
            said("a.3", "a.1", sent=1.2),
        ]
    )
    assert names(conversation) == ["a.1", "a.3", "a.2"]


def test_a_conversation_lasts_until_the_last_message_between_two_actors() -> None:
    halves = [
        said("a.1", sent=1.0), heard("a.1", begun=1.0, took=0.25), said("b.1", "a.1", 1.25, kind="timer", sender="b/y"),
        heard("b.1", "a.1", 61.0, kind="timer", sender="b/y", to="b/y", took=0.5),
    ]  # fmt: skip
    assert (assemble(halves).duration, until(halves)) == (0.25, 1.0)
    told = [*halves, said("b.2", "b.1", 61.5, sender="b/y", to="a/x"), heard("b.2", "b.1", 61.5, took=0.5)]
    assert (assemble(told).duration, until(told)) == (61.0, 61.5)  # what a timer leads others to is no reminder
    assert (assemble(halves[2:]).duration, until(halves[2:]), until([])) == (0.5, 61.0, 0.0)


def test_a_missing_parent_makes_a_beginning_of_its_own() -> None:
    conversation = assemble([said("a.2", "a.1", sent=2), said("a.3", sent=1)])
    assert names(conversation) == ["a.3", "a.2"]
    assert conversation.lines[1].span.parent == "a.1"  # what is known is not forgotten


def test_a_message_of_no_known_time_stands_after_its_cause() -> None:
    conversation = assemble([said("a.1", sent=50), said("a.2", "a.1", sent=0), said("a.3", sent=0)])
    assert [(line.span.span, line.at) for line in conversation.lines] == [("a.1", 0), ("a.3", 0), ("a.2", 0)]


def test_a_circle_is_cut_at_its_earliest_message() -> None:
    conversation = assemble(
        [
            said("a.1", "a.3", sent=3),
            said("a.2", "a.1", sent=1),
            said("a.3", "a.2", sent=2),
            said("a.4", "a.1", sent=0.5),
        ]
    )
    assert [(line.span.span, line.span.parent) for line in conversation.lines] == [
        ("a.2", ""), ("a.3", "a.2"), ("a.1", "a.3"), ("a.4", "a.1"),
    ]  # fmt: skip


def test_a_message_that_led_to_itself_is_a_beginning() -> None:
    assert assemble([said("a.1", "a.1")]).lines[0].span.parent == ""


def test_a_chain_of_thousands_needs_no_recursion() -> None:
    spans = [said(f"a.{n}", f"a.{n - 1}", sent=5000 - n) for n in range(5000)]
    random.Random(1).shuffle(spans)
    assert names(assemble(spans)) == [f"a.{n}" for n in range(5000)]


# Asks and answers


def test_an_answer_belongs_to_the_ask_that_led_to_it() -> None:
    conversation = assemble(
        [
            said("a.1", kind="ask"),
            said("b.1", "a.1", sent=2, kind="answer", sender="b/y", to="a/x"),
            said("a.2", "b.1", 3),
        ]
    )
    assert answers(conversation) == {"b.1": "a.1"}
    assert conversation.unanswered == ()


def test_a_late_answer_belongs_to_the_ask_before_last_and_not_to_the_one_that_was_answered() -> None:
    conversation = assemble(
        [
            said("a.1", kind="ask", sent=1),
            said("b.1", "a.1", kind="ask", sender="b/y", to="c/z", sent=2),
            said("c.1", "b.1", kind="answer", sender="c/z", to="b/y", sent=3),
            said("b.2", "c.1", kind="answer", sender="b/y", to="a/x", sent=4),
        ]
    )
    assert answers(conversation) == {"c.1": "b.1", "b.2": "a.1"}


def test_an_answer_that_something_else_led_to_belongs_to_the_first_open_ask_between_the_two() -> None:
    conversation = assemble(
        [
            said("a.1", kind="ask", sent=1),
            said("a.2", kind="ask", sent=2),
            said("b.1", "gone", kind="refusal", sender="b/y", to="a/x", sent=3),
            said("b.2", "gone", kind="answer", sender="b/y", to="a/x", sent=4),
            said("b.3", "gone", kind="answer", sender="b/y", to="a/x", sent=5),
        ]
    )
    assert answers(conversation) == {"b.1": "a.1", "b.2": "a.2"}


def test_an_ask_without_an_answer_is_named() -> None:
    conversation = assemble([said("a.1", kind="ask"), said("a.2", kind="tell"), said("a.3", kind="ask", to="c/z")])
    assert conversation.unanswered == ("a.1", "a.3")


def test_an_answer_of_somebody_else_is_none() -> None:
    conversation = assemble([said("a.1", kind="ask"), said("c.1", "a.1", 2, kind="answer", sender="c/z", to="a/x")])
    assert answers(conversation) == {}
    assert conversation.unanswered == ("a.1",)


def test_an_answer_learns_from_its_ask_whom_it_goes_to() -> None:
    conversation = assemble([said("a.1", kind="ask"), said("b.1", "a.1", 2, kind="answer", sender="b/y", to="")])
    assert conversation.lines[1].span.to == "a/x"


def test_participants_stand_in_the_order_in_which_they_appear() -> None:
    conversation = assemble([said("a.2", sent=2, sender="c/z"), said("a.1", sent=1, sender="", to="b/y")])
    assert conversation.participants == ("b/y", "c/z")


# Whatever comes

identifiers = st.builds(lambda node, number: f"{node}.{number}", st.sampled_from("abc"), st.integers(0, 12))
moments = st.one_of(st.just(0.0), st.floats(0, 10, allow_nan=False), st.floats(-5, 2e9, allow_nan=False))
addresses = st.sampled_from(["", "a/x", "b/y", "c/z", "c/w"])
halves = st.lists(
    st.builds(
        Span,
        trace=st.just(TRACE),
        span=identifiers,
        parent=st.one_of(st.just(""), identifiers),
        kind=st.sampled_from(["tell", "ask", "answer", "refusal", "note", "timer"]),
        sender=addresses,
        to=addresses,
        what=st.sampled_from(["m.A/1", "m.B/1", ""]),
        sent=moments,
        begun=moments,
        took=st.floats(0, 3, allow_nan=False),
        outcome=st.sampled_from(["", "done", "crashed"]),
    ),
    max_size=60,
)


@given(halves, st.randoms())
def test_whatever_comes_in_whatever_order_each_message_stands_once_and_after_its_cause(
    given_halves: list[Span], chance: random.Random
) -> None:
    conversation = assemble(given_halves)
    shuffled = given_halves * 2
    chance.shuffle(shuffled)
    assert assemble(shuffled) == conversation
    assert sorted(names(conversation)) == sorted({half.span for half in given_halves})
    place = {name: number for number, name in enumerate(names(conversation))}
    for line in conversation.lines:
        if line.span.parent in place:
            assert place[line.span.parent] < place[line.span.span]
            assert conversation.lines[place[line.span.parent]].at <= line.at
    assert [line.at for line in conversation.lines] == sorted(line.at for line in conversation.lines)
    assert all(line.at >= 0 for line in conversation.lines)
    assert all(
        line.at <= conversation.duration for line in conversation.lines if line.span.kind not in ("note", "timer")
    )


@given(halves)
def test_no_ask_has_two_answers_and_no_answer_comes_before_its_ask(given_halves: list[Span]) -> None:
    conversation = assemble(given_halves)
    place = {name: number for number, name in enumerate(names(conversation))}
    kinds = {line.span.span: line.span.kind for line in conversation.lines}
    pairs = answers(conversation)
    assert len(set(pairs.values())) == len(pairs)
    for answer, ask in pairs.items():
        assert place[ask] < place[answer]
        assert (kinds[ask], kinds[answer] in ("answer", "refusal")) == ("ask", True)
    asks = {name for name, kind in kinds.items() if kind == "ask"}
    assert set(conversation.unanswered) == asks - set(pairs.values())


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(2, 40), st.floats(-30, 30), st.floats(-30, 30))
def test_clocks_that_disagree_never_hide_what_led_to_what(seed: int, count: int, b: float, c: float) -> None:
    """A conversation that truly happened, seen by three clocks: what is told of it is complete and causal."""
    chance = random.Random(seed)
    clock = {"a": 1000.0, "b": 1000.0 + b, "c": 1000.0 + c}
    true, known, moment = [], [], 0.0
    handled: list[tuple[str, str]] = [("", "a")]  # message and the node that handles it
    for number in range(count):
        parent, node = chance.choice(handled)
        to = chance.choice("abc")
        moment += chance.random()
        name = f"{node}.{number}"
        true.append((name, parent))
        known.append(said(name, parent, moment + clock[node], sender=f"{node}/x", to=f"{to}/x"))
        known.append(heard(name, parent, moment + 0.01 + clock[to], sender=f"{node}/x", to=f"{to}/x"))
        handled.append((name, to))
    chance.shuffle(known)
    order = names(assemble(known))
    assert sorted(order) == sorted(name for name, _ in true)
    assert all(order.index(parent) < order.index(name) for name, parent in true if parent)


def test_spans_are_not_changed_by_their_way_through_messages() -> None:
    span = said("a.1", begun=2.0)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(span), type=Span) == span
