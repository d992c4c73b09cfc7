"""Who does not stop in time is given up: a thread cannot be killed, but nothing that it says is believed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.kit import (
    FAST,
    PATIENCE,
    Add,
    Crash,
    Diary,
    Do,
    Grove,
    Part,
    Total,
    Write,
    do,
    grove,
    happened,
    info,
    part,
    parts,
    total,
)
from tests.contract.world import RealWorld, World
from tucano.actors.kernel import Child, Down, Refused, StartChild, System
from tucano.testing import Probe


def abandoned(world: World, diary: Diary, **spec: Any) -> tuple[System, Any]:
    """A node with `a`, whose first incarnation (also returned) was abandoned, hangs, and has a successor."""
    here = world.node(part("a", diary, shutdown=0.01, **spec), *parts("b", "z"), law=FAST, strategy="one_for_all")
    former: list[Any] = []
    do(here.ref("a"), former.append)
    world.block(here.ref("a"))
    here.ref("z").tell(Crash())
    world.until(lambda: len(happened(here, "actor_started", "a")) == 2)
    total(here.ref("a"))
    return here, former[0]


def test_who_does_not_stop_in_time_is_abandoned_and_counted(world: World) -> None:
    diary: Diary = []
    here, former = abandoned(world, diary)
    assert diary == ["start a", "start a"]
    assert former.fenced
    assert info(here, "a").abandoned == 1
    assert len(happened(here, "actor_abandoned", "a")) == 1
    assert not happened(here, "actor_stopped", "a")
    world.unblock()
    here.ref("a").tell(Add(1))
    assert total(here.ref("a")) == 1
    world.until(lambda: len(diary) == 3)
    assert diary == ["start a", "start a", "crash a"], "it lets go of what it holds, and no more"
    assert info(here, "a").restarts == 1


def test_what_an_abandoned_actor_noted_is_dropped(world: World) -> None:
    diary: Diary = []
    here, former = abandoned(world, diary)
    noted = former.noting(Write)
    noted("noting")
    former.note(Write("note"))
    former.after(0.0, Write("after"))
    former.every(0.001, Write("every"))
    seen: list[Any] = []
    do(here.ref("a"), lambda actor: actor.after(0.02, Do(seen.append)))
    world.until(lambda: seen)
    assert diary == ["start a", "start a"]


def test_timers_of_an_abandoned_actor_that_is_gone_end(world: World) -> None:
    here = world.node(part("a", shutdown=0.01), *parts("b"))
    former: list[Any] = []
    do(here.ref("a"), former.append)
    world.block(here.ref("a"))
    assert here.ref("a").stop() is True
    former[0].every(0.001, Write("every")).cancel()
    former[0].every(0.001, Write("every"))
    former[0].after(0.001, Write("after"))
    world.until(lambda: here.timers.pending() == 0)


def test_what_an_abandoned_actor_answers_later_is_refused(world: World) -> None:
    here = world.node(part("a", shutdown=0.01), *parts("b", "z"), law=FAST, strategy="one_for_all")
    kept: list[Any] = []
    asked = here.ref("a").ask(Do(lambda actor: kept.append(actor.reply_later())), timeout=PATIENCE, block=False)
    total(here.ref("a"))
    world.block(here.ref("a"))
    here.ref("z").tell(Crash())
    world.until(lambda: info(here, "a").abandoned == 1)
    kept[0].answer("believe me")
    with pytest.raises(Refused, match="did not stop in time") as refused:
        asked.get()
    assert refused.value.code == "stopped"


def test_what_an_abandoned_actor_watched_is_no_news_for_the_next(world: World) -> None:
    diary: Diary = []
    here = world.node(part("a", diary, shutdown=0.01), *parts("z"), law=FAST, strategy="one_for_all")
    here.spawn(part("w", restart="temporary"))
    do(here.ref("a"), lambda actor: actor.watch(actor.address("w")))
    world.block(here.ref("a"))
    here.ref("z").tell(Crash())
    world.until(lambda: len(happened(here, "actor_started", "a")) == 2)
    world.unblock()
    total(here.ref("a"))
    assert [entry for entry in diary if isinstance(entry, Down)] == []
    assert here.watches.count() == 0


def test_what_is_asked_of_an_actor_that_is_abandoned_is_refused_at_once(real: RealWorld) -> None:
    here = real.node(part("a", shutdown=0.01), *parts("b"))
    entered, gate = threading.Event(), threading.Event()

    def hang(_: object) -> None:
        entered.set()
        gate.wait(PATIENCE)

    held = here.ref("a").ask(Do(hang), timeout=PATIENCE, block=False)
    assert entered.wait(PATIENCE)
    waiting = here.ref("a").ask(Total(), timeout=PATIENCE, block=False)
    assert here.ref("a").stop() is True
    for asked in (held, waiting):
        with pytest.raises(Refused) as refused:
            asked.get()
        assert refused.value.code == "stopped"
    gate.set()


@pytest.mark.parametrize(
    "speak",
    [
        lambda actor: actor.address("b").tell(Add(1)),
        lambda actor: actor.address("b").ask(Add(1), timeout=1.0, block=False),
        lambda actor: actor.pipe(actor.address("b"), Add(1), 1.0, Write),
        lambda actor: actor.address("b").stop(block=False),
        lambda actor: actor.watch(actor.address("b")),
        lambda actor: actor.unwatch(actor.address("b")),
        lambda actor: actor.subscribe(),
    ],
    ids=["tell", "ask", "pipe", "stop", "watch", "unwatch", "subscribe"],
)
def test_an_abandoned_actor_may_not_speak(real: RealWorld, speak: Callable[[Any], object]) -> None:
    diary: Diary = []
    here = real.node(part("a", diary, shutdown=0.01), part("b", restart="transient"), law=FAST)
    entered, gate, done = threading.Event(), threading.Event(), threading.Event()
    heard: list[BaseException] = []

    def hang_and_speak(actor: Any) -> None:
        entered.set()
        gate.wait(PATIENCE)
        try:
            speak(actor)
        except BaseException as error:
            heard.append(error)
            raise
        finally:
            done.set()

    here.ref("a").tell(Do(hang_and_speak))
    assert entered.wait(PATIENCE)
    here.ref("a").stop()
    do(here.spawn(part("a", diary)), lambda actor: actor.watch(actor.address("b")))
    gate.set()
    assert done.wait(PATIENCE)
    assert [str(error) for error in heard] == ["here/a was abandoned: it may not speak any more"]
    assert total(here.ref("b")) == 0
    assert here.ref("b").stop() is True
    total(here.ref("a"))
    assert [entry for entry in diary if isinstance(entry, Down)] == [Down("here/b", "stopped", "")]


def test_an_actor_that_hangs_in_its_start_is_abandoned_and_its_late_start_means_nothing(real: RealWorld) -> None:
    gates = [threading.Event(), threading.Event()]
    entered: list[int] = []

    class Slow(Part):
        def on_start(self) -> None:
            mine = len(entered)
            entered.append(mine)
            gates[mine].wait(PATIENCE)

    here = real.node(grove("t"))
    child = Child("x", Slow, shutdown=0.01)
    tree = here.ref("t")
    late = [tree.ask(StartChild(child), timeout=PATIENCE, block=False)]
    real.until(lambda: entered == [0])
    assert here.ref("x").stop() is True
    late.append(tree.ask(StartChild(child), timeout=PATIENCE, block=False))
    real.until(lambda: entered == [0, 1])
    gates[0].set()
    real.until(lambda: not [t for t in threading.enumerate() if t.name.startswith("Slow")][1:])
    assert do(tree, lambda _: info(here, "x").phase) == "starting"
    gates[1].set()
    real.until(lambda: info(here, "x").phase == "up")


def test_an_actor_whose_construction_hangs_never_starts_once_it_is_abandoned(real: RealWorld) -> None:
    diary: Diary = []
    entered, gate = threading.Event(), threading.Event()

    class Slow(Part):
        def __init__(self) -> None:
            entered.set()
            gate.wait(PATIENCE)
            super().__init__(diary)

    here = real.node(Child("t", Grove, shutdown=0.01))
    here.ref("t").tell(StartChild(Child("x", Slow)))
    assert entered.wait(PATIENCE)
    assert here.ref("t").stop() is True
    before = threading.active_count()
    gate.set()
    real.until(lambda: threading.active_count() < before, "the tree's thread ends")
    assert diary == []


def test_a_tree_that_was_abandoned_leaves_the_children_of_the_next_alone(real: RealWorld) -> None:
    tree = Child("t", Grove, {"children": parts("x")}, shutdown=0.01)
    here = real.node(tree, *parts("z"), law=FAST, strategy="one_for_all")
    real.block(here.ref("t"), ValueError("as told"))
    here.ref("z").tell(Crash())
    real.until(lambda: len(happened(here, "actor_started", "t")) == 2)
    here.ref("x").tell(Add(1))
    assert total(here.ref("x")) == 1
    before = threading.active_count()
    real.unblock()
    real.until(lambda: threading.active_count() < before, "the former tree's thread ends")
    assert total(here.ref("x")) == 1


def test_a_tree_with_a_deadline_leaves_no_child_behind(world: World) -> None:
    probe = Probe()
    tree = Child("t", Grove, {"children": parts("a", "b")}, shutdown=0.01)
    here = world.node(probe.child("w"), tree)
    probe.watch(here.ref("a"))
    world.block(here.ref("t"))
    assert here.ref("t").stop() is True
    assert probe.wait_for(Down).who == "here/a"
    assert [actor.name for actor in here.snapshot()] == ["root", "w"]
    world.unblock()
