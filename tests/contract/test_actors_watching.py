"""Who watches is told once, why, and only while it wants to know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.kit import FAST, PATIENCE, Crash, Diary, Write, do, grove, part, parts, total
from tests.contract.world import World
from tucano.actors.kernel import Down, Law, System
from tucano.testing import Probe


def watch(system: System, watcher: str, *whom: str) -> None:
    for name in whom:
        do(system.ref(watcher), lambda actor, name=name: actor.watch(actor.address(name)))  # type: ignore[misc]


def downs(diary: Diary) -> list[tuple[str, str]]:
    return [(entry.who, entry.why) for entry in diary if isinstance(entry, Down)]


def stop(here: System) -> None:
    here.ref("a").stop()


def crash(here: System) -> None:
    here.ref("a").tell(Crash())


def end_below(here: System) -> None:
    here.ref("b").tell(Crash())


@pytest.mark.parametrize(
    ("end", "whom", "why", "detail"),
    [
        (stop, "a", "stopped", ""),
        (crash, "a", "crashed", "ValueError('as told')"),
        (end_below, "t", "gave_up", "a crash below t; the last: b: ValueError"),
    ],
)
def test_a_watcher_is_told_why_an_actor_is_gone(
    world: World, end: Callable[[System], None], whom: str, why: str, detail: str
) -> None:
    diary: Diary = []
    tree = grove("t", *parts("b"), law=Law(intensity=0))
    here = world.node(*parts("w", diary=diary), *parts("a"), tree, law=FAST)
    watch(here, "w", whom)
    end(here)
    world.until(lambda: downs(diary))
    told = diary[1]
    assert (told.who, told.why) == (f"here/{whom}", why)
    assert detail in told.detail


def test_who_watches_nobody_is_told_at_once(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("w", diary=diary), *parts("a"))
    here.ref("a").stop()
    watch(here, "w", "nobody", "a")
    total(here.ref("w"))
    assert downs(diary) == [("here/nobody", "not_found"), ("here/a", "not_found")]


def test_who_watches_another_node_that_is_not_there_is_told_at_once(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("w", diary=diary))
    watch(here, "w", "nowhere/a")
    total(here.ref("w"))
    assert downs(diary) == [("nowhere/a", "node_silent")]


def test_each_watch_is_answered_once(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("w", diary=diary), *parts("a"), law=FAST)
    watch(here, "w", "a", "a", "a")
    here.ref("a").tell(Crash())
    world.until(lambda: downs(diary))
    here.ref("a").tell(Crash())
    assert total(here.ref("a")) == 0
    here.ref("a").stop()
    total(here.ref("w"))
    assert downs(diary) == [("here/a", "crashed")]
    assert here.watches.count() == 0


def test_a_watch_can_be_renewed(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("w", diary=diary), *parts("a"), law=FAST)
    for number in range(1, 4):
        watch(here, "w", "a")
        here.ref("a").tell(Crash())
        world.until(lambda number=number: len(downs(diary)) == number)  # type: ignore[misc]
        total(here.ref("a"))
    watch(here, "w", "a")
    here.ref("a").stop()
    world.until(lambda: len(downs(diary)) == 4)
    assert [why for _, why in downs(diary)] == ["crashed", "crashed", "crashed", "stopped"]


def test_all_watchers_are_told(world: World) -> None:
    diaries: list[Diary] = [[], [], []]
    here = world.node(*(part(f"w{n}", diary) for n, diary in enumerate(diaries)), *parts("a", "b"))
    for n in range(3):
        watch(here, f"w{n}", "a", "b")
    here.ref("a").stop()
    here.ref("b").stop()
    for n, diary in enumerate(diaries):
        total(here.ref(f"w{n}"))
        assert downs(diary) == [("here/a", "stopped"), ("here/b", "stopped")]


def test_who_watches_no_more_is_not_told(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("w", diary=diary), *parts("a"))
    watch(here, "w", "a")
    do(here.ref("w"), lambda actor: actor.unwatch(actor.address("a")))
    here.ref("a").stop()
    total(here.ref("w"))
    assert downs(diary) == []
    assert here.watches.count() == 0


def test_news_that_waits_is_taken_back_by_who_watches_no_more(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("w", diary=diary), *parts("a", "b"))
    kept: list[Any] = []
    do(here.ref("w"), kept.append)
    watch(here, "w", "a", "b")
    world.block(here.ref("w"))
    for name in "ab":
        here.ref(name).stop()
    kept[0].unwatch(here.ref("a"))
    world.unblock()
    total(here.ref("w"))
    assert downs(diary) == [("here/b", "stopped")]


def test_a_watch_ends_with_the_incarnation_that_asked_for_it(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("w", diary=diary), *parts("a", "b"), law=FAST)
    watch(here, "w", "a", "b")
    here.ref("w").tell(Crash())
    total(here.ref("w"))
    assert here.watches.count() == 0
    watch(here, "w", "b")
    for name in "ab":
        here.ref(name).stop()
    total(here.ref("w"))
    assert downs(diary) == [("here/b", "stopped")]


def test_news_for_an_incarnation_that_is_gone_is_dropped(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("w", diary=diary), *parts("a"), law=FAST)
    watch(here, "w", "a")
    world.block(here.ref("w"), ValueError("as told"))
    here.ref("a").stop()
    world.unblock()
    total(here.ref("w"))
    assert diary == ["start w", "crash w", "start w"]


def test_an_actor_may_watch_itself(world: World) -> None:
    here = world.node(*parts("w"), law=FAST)
    watch(here, "w", "w")
    here.ref("w").tell(Crash())
    assert total(here.ref("w")) == 0
    assert here.watches.count() == 0


def test_siblings_that_a_crash_takes_along_have_stopped(world: World) -> None:
    diary: Diary = []
    tree = grove("t", *parts("a", "b"), law=FAST, strategy="one_for_all")
    here = world.node(*parts("w", diary=diary), tree)
    watch(here, "w", "a", "b", "t")
    here.ref("a").tell(Crash())
    world.until(lambda: len(downs(diary)) == 2)
    here.ref("t").stop()
    world.until(lambda: len(downs(diary)) == 3)
    assert downs(diary) == [("here/a", "crashed"), ("here/b", "stopped"), ("here/t", "stopped")]


def test_the_children_of_a_tree_that_crashes_are_gone_for_their_watchers(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("w", diary=diary), grove("t", *parts("a", "b")), law=FAST)
    watch(here, "w", "a", "b")
    world.block(here.ref("t"), ValueError("as told"))
    world.unblock()
    world.until(lambda: len(downs(diary)) == 2)
    assert {who for who, _ in downs(diary)} == {"here/a", "here/b"}


def test_a_probe_watches_for_a_test(world: World) -> None:
    probe = Probe()
    here = world.node(probe.child("probe"), *parts("a"))
    probe.watch(here.ref("a"))
    here.ref("a").stop()
    assert probe.wait_for(Down, lambda down: down.who == "here/a", within=PATIENCE).why == "stopped"
    probe.tell(here.ref("probe"), Write("x"))
    assert probe.wait_for(Write).what == "x"
