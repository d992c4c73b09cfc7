"""Stopping in order, and what becomes of who does not stop."""

from __future__ import annotations

import math
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
from tests.contract.world import RealWorld, VirtualWorld, World
from tucano.actors.kernel import Child, Down, Refused, StartChild, System
from tucano.testing import Probe


def test_a_ref_stops_an_actor_for_good(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("a", "b", diary=diary), law=FAST)
    assert here.ref("a").stop() is True
    assert diary == ["start a", "start b", "stop a"]
    assert not here.ref("a").is_alive()
    assert not here.ref("a").tell(Add(1))
    assert here.ref("a").stop() is False
    assert total(here.ref("b")) == 0


def test_an_actor_stops_another_without_waiting(world: World) -> None:
    here = world.node(*parts("a", "b"))
    stopping: list[Any] = []
    do(here.ref("a"), lambda actor: stopping.append(actor.address("b").stop(block=False)))
    assert stopping[0].get() is True
    assert not here.ref("b").is_alive()


def test_an_actor_stops_itself_for_good(world: World) -> None:
    here = world.node(*parts("a"), law=FAST)
    here.ref("a").tell(Do(lambda actor: actor.ref.stop(block=False)))
    world.until(lambda: not here.ref("a").is_alive())


def test_stopping_the_root_ends_the_node(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("a", "b", diary=diary))
    assert here.ref("root").stop() is True
    world.until(here.ended.is_set)
    assert diary[2:] == ["stop b", "stop a"]
    assert here.gave_up is None
    assert here.stop(PATIENCE)


def test_a_node_that_does_not_stop_in_time_says_so(world: World) -> None:
    here = world.node(part("a", shutdown=math.inf))
    world.block(here.ref("a"))
    assert here.stop(0.01) is False
    world.unblock()
    world.until(here.ended.is_set)


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
    assert diary == ["start a", "start a"], "it neither stops nor crashes any more"
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
    assert diary == ["start a", "start a"]
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


def test_each_child_has_its_own_time_to_stop_in(virtual: VirtualWorld) -> None:
    here = virtual.node(part("a", shutdown=2.0), *parts("b"), part("c", shutdown=3.0), part("d"))
    for name in "acd":
        virtual.block(here.ref(name))
    before = virtual.simulation.now()
    assert here.stop(60.0)
    assert virtual.simulation.now() - before == pytest.approx(2.0 + 3.0 + 5.0, abs=0.001)
    assert [event.who for event in here.events() if event.what == "actor_abandoned"] == ["d", "c", "a"]
    assert [event.who for event in here.events() if event.what == "actor_stopped"] == ["b", "root"]


def test_a_deadline_is_for_the_stop_that_set_it(virtual: VirtualWorld) -> None:
    here = virtual.node(grove("t", part("a", shutdown=5.0)))
    assert here.ref("a").stop() is True
    here.ref("t").ask(StartChild(part("a", shutdown=5.0)), timeout=PATIENCE)
    virtual.simulation.run(4.0)
    virtual.block(here.ref("a"))
    stopped = here.ref("a").stop(block=False)
    virtual.simulation.run(4.0)
    assert not happened(here, "actor_abandoned")
    virtual.unblock()
    assert stopped.get() is True
    assert not happened(here, "actor_abandoned")


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
