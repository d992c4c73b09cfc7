"""Notes to self: now, later, again and again; all of them end with their incarnation."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.contract.kit import FAST, Crash, Diary, Do, Part, Write, do, happened, info, parts, total
from tests.contract.world import RealWorld, VirtualWorld, World
from tucano.actors.kernel import Child, Refused


def test_a_note_comes_when_it_is_due_and_in_order(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("a", diary=diary))

    def plan(actor: Any) -> None:
        for delay, word in ((0.03, "third"), (0.01, "first"), (0.02, "second"), (-1.0, "at once"), (0.04, "last")):
            actor.after(delay, Write(word))

    do(here.ref("a"), plan)
    world.until(lambda: len(diary) == 6)
    assert diary[1:] == ["at once", "first", "second", "third", "last"]


def test_a_note_to_self_comes_now(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("a", diary=diary))
    do(here.ref("a"), lambda actor: (actor.note(Write("note")), actor.noting(Write)("noting")))
    total(here.ref("a"))
    assert diary == ["start a", "note", "noting"]


def test_a_cancelled_note_does_not_come(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("a", diary=diary))
    timers: list[Any] = []

    def plan(actor: Any) -> None:
        timers.append(actor.after(0.01, Write("cancelled")))
        timers.append(actor.every(0.01, Write("cancelled")))
        timers.append(actor.after(0.0, Write("before")))
        for timer in timers[:2]:
            timer.cancel()
        actor.after(0.03, Write("end"))

    do(here.ref("a"), plan)
    world.until(lambda: diary[-1] == "end")
    assert diary[1:] == ["before", "end"]
    for timer in timers:
        timer.cancel()  # harmless when it has gone off, or is cancelled already


def test_notes_end_with_the_incarnation_that_asked_for_them(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("a", diary=diary), law=FAST)

    def plan(actor: Any) -> None:
        actor.note(Crash())
        actor.note(Write("a note of the past"))
        actor.after(0.0, Write("a timer of the past"))
        actor.every(0.001, Write("a beat of the past"))

    do(here.ref("a"), plan)
    world.until(lambda: len(happened(here, "actor_started", "a")) == 2)
    seen: list[Any] = []
    do(here.ref("a"), lambda actor: actor.after(0.02, Do(seen.append)))
    world.until(lambda: seen)
    assert diary == ["start a", "crash a", "start a"]
    world.until(lambda: here.timers.pending() == 0)


class Eager(Part):
    def __init__(self, diary: Diary) -> None:
        super().__init__(diary)
        self.after(0.0, Write("construct"))

    def on_start(self) -> None:
        self.note(Write("start"))


def test_notes_may_be_made_in_construction_and_on_start(world: World) -> None:
    diary: Diary = []
    world.node(Child("a", Eager, {"diary": diary}))
    world.until(lambda: len(diary) == 2)
    assert set(diary) == {"construct", "start"}


def test_a_beat_comes_again_and_again_until_it_is_cancelled(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("a", diary=diary))
    beats: list[Any] = []
    do(here.ref("a"), lambda actor: beats.append(actor.every(0.002, Write("beat"))))
    world.until(lambda: diary.count("beat") >= 5)
    do(here.ref("a"), lambda _: beats[0].cancel())
    count = diary.count("beat")
    seen: list[Any] = []
    do(here.ref("a"), lambda actor: actor.after(0.02, Do(seen.append)))
    world.until(lambda: seen)
    assert diary.count("beat") <= count + 1, "one may have waited already"
    world.until(lambda: here.timers.pending() == 0)


def test_a_beat_is_left_out_while_the_last_waits(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("a", diary=diary), *parts("b"))
    do(here.ref("a"), lambda actor: actor.every(0.001, Write("beat")))
    world.until(lambda: "beat" in diary)
    world.block(here.ref("a"))
    later: list[Any] = []
    do(here.ref("b"), lambda actor: actor.after(0.05, Do(later.append)))
    world.until(lambda: later)
    assert info(here, "a").depth == 1
    world.unblock()
    world.until(lambda: diary.count("beat") >= 5)


def test_beats_go_on_after_one_that_was_not_understood_or_refused(world: World) -> None:
    here = world.node(*parts("a"))
    seen: list[Any] = []

    def refuse(actor: Any) -> None:
        seen.append(actor)
        raise Refused("no", "")

    do(here.ref("a"), lambda actor: (actor.every(0.001, Do(refuse)), actor.every(0.001, "what is that?")))
    world.until(lambda: len(seen) >= 5 and here.events()[-1].what == "message_refused")


@pytest.mark.parametrize("period", [0.0, -1.0, float("inf"), float("nan")])
def test_a_beat_without_a_period_is_refused(world: World, period: float) -> None:
    here = world.node(*parts("a"))

    def words(actor: Any) -> str:
        with pytest.raises(ValueError, match="period must be a number of seconds") as refused:
            actor.every(period, Write("beat"))
        return str(refused.value)

    assert repr(period) in do(here.ref("a"), words)


def test_a_note_comes_from_any_thread_that_the_actor_owns(real: RealWorld) -> None:
    diary: Diary = []
    here = real.node(*parts("a", diary=diary))

    def begin(actor: Any) -> list[threading.Thread]:
        noted = actor.noting(lambda number: Write(("noting", number)))
        owned = [
            threading.Thread(target=lambda: [actor.note(Write(("note", number))) for number in range(500)]),
            threading.Thread(target=lambda: [noted(number) for number in range(500)]),
        ]
        for thread in owned:
            thread.start()
        return owned

    for thread in do(here.ref("a"), begin):
        thread.join()
    total(here.ref("a"))
    for kind in ("note", "noting"):
        assert [entry for entry in diary if entry[0] == kind] == [(kind, number) for number in range(500)]


def test_virtual_beats_come_at_exact_moments(virtual: VirtualWorld) -> None:
    here = virtual.node(*parts("a"))
    moments: list[float] = []
    began = virtual.simulation.now()
    do(here.ref("a"), lambda actor: actor.every(2.5, Do(lambda it: moments.append(it.now()))))
    virtual.simulation.run(26.0)
    assert moments == pytest.approx([began + 2.5 * n for n in range(1, 11)], abs=0.001)


def test_beats_that_were_left_out_make_the_others_no_later(virtual: VirtualWorld) -> None:
    here = virtual.node(*parts("a"))
    moments: list[float] = []
    began = virtual.simulation.now()
    do(here.ref("a"), lambda actor: actor.every(1.0, Do(lambda it: moments.append(it.now()))))
    virtual.simulation.run(2.5)
    virtual.block(here.ref("a"))
    virtual.simulation.run(4.2)
    virtual.unblock()
    virtual.simulation.run(3.0)
    # the beat at 3 waited until 6.7; those at 4, 5 and 6 were left out
    assert moments == pytest.approx([began + moment for moment in (1, 2, 6.7, 7, 8, 9)], abs=0.001)
