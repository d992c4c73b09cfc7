"""A conversation carries its trace through all that it leads to, and no further."""

from __future__ import annotations

import threading
from typing import Any

from tests.contract.kit import PATIENCE, Add, Crash, Do, Introduce, Total, Write, do, fail, info, part, parts, total
from tests.contract.world import RealWorld, World
from tucano.actors.kernel import Refused, Span, StartChild, System


def sent(system: System, trace: str) -> list[Span]:
    """The senders' halves."""
    return [span for span in system.spans(trace) if span.sent]


def handled(system: System, trace: str) -> dict[str, Span]:
    """The receivers' halves, by their number."""
    return {span.span: span for span in system.spans(trace) if span.begun}


def say(span: Span) -> str:
    return f"{span.kind} {span.what.rpartition('.')[2]} {span.sender.partition('/')[2]}->{span.to.partition('/')[2]}"


def outline(spans: list[Span], parent: str, depth: int = 0) -> list[str]:
    """Who said what because of what: an indented line for each."""
    lines = []
    for span in spans:
        if span.parent == parent:
            lines += [". " * depth + say(span), *outline(spans, span.span, depth + 1)]
    return lines


def test_one_trace_runs_through_all_ways_of_saying_something(world: World) -> None:
    here = world.node(*parts("a", "b", "c", "d"))

    def begin(actor: Any) -> None:
        actor.address("b").tell(Do(lambda b: b.address("c").tell(Add(1))))
        actor.pipe(actor.address("c"), Introduce(actor.address("d")), PATIENCE, Write)
        actor.note(Write("note"))
        actor.after(0.0, Do(lambda it: it.address("d").tell(Add(1))))
        actor.pipe(actor.address("nobody"), Total(), PATIENCE, Write)

    with here.trace() as trace:
        here.ref("a").tell(Do(begin))
    world.until(lambda: info(here, "a").handled == 5 and info(here, "d").handled == 2)
    world.until(lambda: len(handled(here, trace)) == 11)
    spans = sent(here, trace)
    assert sorted(outline(spans, spans[0].parent)) == sorted([
        "tell Do/1 ->a",
        ". tell Do/1 a->b",
        ". . tell Add/1 b->c",
        ". ask Introduce/1 a->c",
        ". . ask Total/1 c->d",
        ". . . answer int d->c",
        ". . . . answer int c->a",
        ". note Write/1 a->a",
        ". timer Do/1 a->a",
        ". . tell Add/1 a->d",
        ". ask Total/1 a->nobody",
        ". refusal Refused nobody->a",
    ])  # fmt: skip
    assert {span.span for span in spans} - set(handled(here, trace)) == {
        span.span for span in spans if span.to == "here/nobody"
    }


def test_both_halves_of_a_span_are_of_one_message(world: World) -> None:
    here = world.node(*parts("a", "b"))
    with here.trace() as trace:
        do(here.ref("a"), lambda actor: actor.address("b").tell(Add(1)) and None)
    total(here.ref("b"))
    for half in (half for half in sent(here, trace) if half.kind in ("ask", "tell")):
        other = handled(here, trace)[half.span]
        same = ("trace", "span", "parent", "kind", "sender", "to", "what")
        assert [getattr(half, name) for name in same] == [getattr(other, name) for name in same]
        assert (half.begun, half.took, half.outcome, other.sent, other.outcome) == (0.0, 0.0, "", 0.0, "done")
        assert half.trace == trace
        assert half.sent <= other.begun + 0.001
        assert other.took >= 0.0


def test_a_span_says_how_its_message_ended(world: World) -> None:
    here = world.node(*parts("a"))
    with here.trace() as trace:
        here.ref("a").tell(Do(lambda _: fail(Refused("too_late", ""))))
        here.ref("a").tell(Crash())
        here.ref("a").tell(Add(1))
        assert total(here.ref("a")) == 1
    world.until(lambda: len(handled(here, trace)) == 4)
    assert [span.outcome for span in handled(here, trace).values()] == ["too_late", "crashed", "done", "done"]


def test_an_actor_begins_a_conversation_of_its_own(world: World) -> None:
    here = world.node(*parts("a", "b"))
    traces: list[str] = []

    def begin(actor: Any) -> None:
        actor.address("b").tell(Add(1))
        traces.append(actor.begin_trace())
        actor.address("b").tell(Add(2))

    do(here.ref("a"), begin)
    total(here.ref("b"))
    world.until(lambda: len(here.spans(traces[0])) == 3)
    assert [say(span) for span in sent(here, traces[0])] == ["tell Add/1 a->b"]
    assert {say(span) for span in handled(here, traces[0]).values()} == {"tell Do/1 ->a", "tell Add/1 a->b"}
    assert [known.trace for known in here.traces()] == traces


def test_conversations_do_not_mix(world: World) -> None:
    here = world.node(*parts("a", "b"))
    traces = []
    for _ in range(3):
        with here.trace() as trace:
            do(here.ref("a"), lambda actor: actor.address("b").tell(Add(1)) and None)
        traces.append(trace)
        do(here.ref("a"), lambda actor: actor.address("b").tell(Add(1)) and None)
    total(here.ref("b"))
    assert len(set(traces)) == 3
    assert [known.trace for known in here.traces()] == traces
    for trace in traces:
        assert [say(span) for span in sent(here, trace)] == ["ask Do/1 ->a", "tell Add/1 a->b"]


def test_what_belongs_to_no_conversation_leaves_no_trace(world: World) -> None:
    here = world.node(*parts("a", "b"))
    assert here.ref("a").ask(Introduce(here.ref("b")), timeout=PATIENCE) == 0
    assert here.traces() == ()
    assert here.spans("0123456789abcdef") == ()


def test_a_child_that_is_ordered_in_a_conversation_starts_in_it(world: World) -> None:
    here = world.node(*parts("b"))
    child = part("a", faults={})
    with here.trace() as trace:
        here.ref("root").ask(StartChild(child), timeout=PATIENCE)
    world.until(lambda: [span for span in handled(here, trace).values() if span.what == "trace.Start/1"])
    here.ref("a").tell(Crash())
    total(here.ref("a"))
    starts = [span for span in here.spans(trace) if span.what == "trace.Start/1" and span.begun]
    assert [(span.to, span.outcome) for span in starts] == [("here/a", "done")]


def test_a_timer_that_is_set_again_and_again_does_not_carry_a_conversation_for_ever(world: World) -> None:
    here = world.node(*parts("a"))
    ticks: list[Any] = []

    def tick(actor: Any) -> None:
        ticks.append(actor)
        if len(ticks) < 50:
            actor.after(0.0, Do(tick))

    with here.trace() as trace:
        here.ref("a").tell(Do(tick))
    world.until(lambda: len(ticks) == 50)
    assert [span.kind for span in sent(here, trace)] == ["tell", "timer", "timer", "timer"]


def test_beats_belong_to_no_conversation(world: World) -> None:
    here = world.node(*parts("a"))
    beats: list[Any] = []
    with here.trace() as trace:
        do(here.ref("a"), lambda actor: actor.every(0.001, Do(beats.append)) and None)
    world.until(lambda: len(beats) >= 3)
    assert [span.kind for span in sent(here, trace)] == ["ask"]


def test_an_actors_threads_note_in_the_conversation_that_they_serve(real: RealWorld) -> None:
    here = real.node(*parts("a"))

    def begin(actor: Any) -> threading.Thread:
        thread = threading.Thread(target=actor.noting(Write), args=("from a thread",))
        thread.start()
        return thread

    with here.trace() as trace:
        do(here.ref("a"), begin).join()
    real.until(lambda: len(handled(here, trace)) == 2)
    assert [say(span) for span in sent(here, trace)] == ["ask Do/1 ->a", "note Write/1 a->a"]
    assert here.spans(trace)[1].parent == here.spans(trace)[0].span


def test_a_conversation_crosses_nodes_and_each_knows_its_part(world: World) -> None:
    here, there = world.pair(parts("a", "b"), parts("c"))
    there.ref("c").tell(Add(5))
    with here.trace() as trace:
        here.ref("there/c").tell(Add(1))
        assert here.ref("a").ask(Introduce(here.ref("there/c")), timeout=PATIENCE) == 6
    world.until(lambda: len(handled(here, trace)) == len(handled(there, trace)) == 2)
    whole = [*sent(here, trace), *sent(there, trace)]
    root = whole[0].parent
    assert outline(whole, root) == [
        "tell Add/1 ->c",
        "ask Introduce/1 ->a",
        ". ask Total/1 a->c",
        ". . answer int c->",
    ]
    assert [say(span) for span in handled(there, trace).values()] == ["tell Add/1 ->c", "ask Total/1 a->c"]
    assert {span.span for span in whole} == {*handled(here, trace), *handled(there, trace)}
    assert [(known.trace, known.spans) for known in there.traces()] == [(trace, 2)]
