"""Whom a tree starts, restarts and gives up, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.kit import (
    FAST,
    PATIENCE,
    STRICT,
    Add,
    Crash,
    Diary,
    blow,
    do,
    fail,
    grove,
    happened,
    info,
    part,
    parts,
    total,
)
from tests.contract.world import World
from tucano.actors.kernel import Child, Law, Refused, StartChild, System, Tree
from tucano.actors.kernel.tree import AwaitUp


def settled(world: World, system: System, *names: str, starts: int) -> None:
    """Wait until these have been started so often, and are up."""
    for name in names:
        world.until(lambda name=name: len(happened(system, "actor_started", name)) >= starts)  # type: ignore[misc]
        total(system.ref(name))


def test_children_start_in_order_and_stop_in_reverse(world: World) -> None:
    diary: Diary = []
    inner = grove("t", part("c", diary), part("d", diary))
    here = world.node(part("a", diary), part("b", diary), inner, part("e", diary))
    assert diary == [f"start {name}" for name in "abcde"]
    assert here.stop(PATIENCE)
    assert diary[5:] == [f"stop {name}" for name in "edcba"]
    assert here.snapshot() == []
    assert here.gave_up is None


def test_a_child_starts_when_those_before_it_are_up(world: World) -> None:
    diary: Diary = []
    bad = part("a", diary, {"start": [blow("ValueError")] * 2})
    world.node(bad, *parts("b", diary=diary), law=FAST, strategy="rest_for_one")
    assert diary == ["start a", "crash a", "start a", "crash a", "start a", "start b"]


@pytest.mark.parametrize(
    ("strategy", "what_happens", "totals"),
    [
        ("one_for_one", "crash b, start b", [1, 0, 1]),
        ("rest_for_one", "crash b, stop c, start b, start c", [1, 0, 0]),
        ("one_for_all", "crash b, stop c, stop a, start a, start b, start c", [0, 0, 0]),
    ],
)
def test_each_strategy_restarts_whom_it_names(
    world: World, strategy: str, what_happens: str, totals: list[int]
) -> None:
    diary: Diary = []
    here = world.node(*parts("a", "b", "c", diary=diary), strategy=strategy, law=FAST)
    for name in "abc":
        here.ref(name).tell(Add(1))
        assert total(here.ref(name)) == 1
    del diary[:]
    here.ref("b").tell(Crash())
    world.until(lambda: len(diary) == what_happens.count(",") + 1, str(diary))
    assert ", ".join(diary) == what_happens
    assert [total(here.ref(name)) for name in "abc"] == totals
    assert [info(here, name).restarts for name in "abc"] == [1 - count for count in totals]


def test_no_other_strategy_is_known(world: World) -> None:
    here = world.node(strategy="one_for_nobody", law=FAST)
    assert here.ended.is_set()
    assert "no strategy is called 'one_for_nobody'" in str(here.gave_up)


@pytest.mark.parametrize("end", ["crash", "stop"])
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_who_is_started_again_after_which_end(world: World, restart: Any, end: str) -> None:
    diary: Diary = []
    here = world.node(part("a", diary, restart=restart), law=FAST)
    do(here.ref("a"), lambda actor: actor.stop() if end == "stop" else actor.note(Crash()))
    world.until(lambda: f"{end} a" in diary)
    if restart == "permanent" or (restart, end) == ("transient", "crash"):
        settled(world, here, "a", starts=2)
        assert diary == ["start a", f"{end} a", "start a"]
    else:
        world.until(lambda: not here.ref("a").is_alive())
        assert diary == ["start a", f"{end} a"]


def test_a_temporary_child_is_not_started_again_for_its_sibling(world: World) -> None:
    diary: Diary = []
    here = world.node(
        part("a", diary), part("b", diary, restart="transient"), part("c", diary, restart="temporary"),
        law=FAST, strategy="one_for_all",
    )  # fmt: skip
    here.ref("a").tell(Crash())
    settled(world, here, "a", "b", starts=2)
    assert diary[3:] == ["crash a", "stop c", "stop b", "start a", "start b"]
    assert not here.ref("c").is_alive()


def test_more_crashes_than_the_law_bears_end_the_node(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("a", "b", "c", diary=diary), law=STRICT)
    for starts in (2, 3):
        here.ref("b").tell(Crash())
        settled(world, here, "b", starts=starts)
    here.ref("b").tell(Crash())
    world.until(here.ended.is_set)
    assert diary == [
        "start a", "start b", "start c", "crash b", "start b", "crash b", "start b", "crash b", "stop c", "stop a",
    ]  # fmt: skip
    assert "3 crashes within" in str(here.gave_up)
    assert happened(here, "tree_gave_up", "root") == ["last: b: ValueError('as told')"]
    assert not here.ref("a").is_alive()


def test_the_crashes_of_all_children_count_together(world: World) -> None:
    here = world.node(*parts("a", "b"), law=STRICT)
    for name in "ab":
        here.ref(name).tell(Crash())
        settled(world, here, name, starts=2)
    here.ref("a").tell(Crash())
    world.until(here.ended.is_set)


def test_a_tree_that_gives_up_is_a_crash_for_its_own_tree(world: World) -> None:
    diary: Diary = []
    once = Law(intensity=0)
    here = world.node(*parts("a", diary=diary), grove("t", *parts("b", "c", diary=diary), law=once), law=STRICT)
    here.ref("a").tell(Add(1))
    for starts in (2, 3):
        here.ref("b").tell(Crash())
        settled(world, here, "b", "c", starts=starts)
    assert diary[3:] == ["crash b", "stop c", "start b", "start c"] * 2
    assert total(here.ref("a")) == 1
    assert info(here, "t").restarts == 2
    here.ref("b").tell(Crash())
    world.until(here.ended.is_set)
    assert diary[-3:] == ["crash b", "stop c", "stop a"]
    assert [len(happened(here, "tree_gave_up", name)) for name in ("t", "root")] == [3, 1]


def test_who_waits_for_a_tree_that_gives_up_is_refused(world: World) -> None:
    here = world.node(grove("t", restart="temporary", law=STRICT))
    never = part("never", faults={"start": [blow("ValueError")] * 9})
    world.block(here.ref("t"))
    here.ref("t").tell(StartChild(never))
    waiting = here.ref("t").ask(AwaitUp(), timeout=PATIENCE, block=False)
    world.unblock()
    with pytest.raises(Refused) as refused:
        waiting.get()
    assert refused.value.code == "stopped"


def test_a_node_whose_children_cannot_start_says_so(world: World) -> None:
    here = world.node(Child("a", Tree, {"nonsense": 1}), law=STRICT)
    world.until(here.ended.is_set)
    assert "unexpected keyword argument 'nonsense'" in happened(here, "actor_crashed", "a")[0]
    with pytest.raises(Refused) as refused:
        here.wait_until_up(PATIENCE)
    assert refused.value.code == "gave_up"
    assert "unexpected keyword argument" in refused.value.detail


def test_a_tree_that_crashes_leaves_no_child_behind(world: World) -> None:
    here = world.node(grove("t", *parts("a", "b")), law=FAST)
    here.ref("a").tell(Add(1))
    assert total(here.ref("a")) == 1
    with pytest.raises(Refused):
        do(here.ref("t"), lambda _: fail(ValueError()))
    settled(world, here, "a", "b", starts=2)
    assert total(here.ref("a")) == 0
    assert [actor.name for actor in here.snapshot()] == ["root", "t", "a", "b"]


def test_news_of_a_trees_former_children_are_no_news_of_its_present_ones(world: World) -> None:
    here = world.node(grove("t", *parts("a", "b")), law=FAST)
    world.block(here.ref("t"), ValueError("as told"))
    here.ref("a").tell(Crash())
    world.until(lambda: happened(here, "actor_crashed", "a"))
    world.unblock()
    settled(world, here, "a", "b", starts=2)
    assert len(happened(here, "actor_started", "a")) == 2
    assert info(here, "a").restarts == 0


def test_an_order_to_stop_is_for_one_incarnation_only(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("a", "b", diary=diary), law=FAST, strategy="one_for_all")
    world.block(here.ref("b"), ValueError("as told"))
    here.ref("a").tell(Crash())
    world.until(lambda: info(here, "b").phase == "stopping")
    world.unblock()
    settled(world, here, "a", "b", starts=2)
    here.ref("b").tell(Add(1))
    assert total(here.ref("b")) == 1
    assert "stop b" not in diary


def test_who_was_abandoned_for_its_sibling_is_started_again(world: World) -> None:
    diary: Diary = []
    slow = part("b", diary, restart="transient", shutdown=0.01)
    here = world.node(*parts("a", diary=diary), slow, law=FAST, strategy="one_for_all")
    world.block(here.ref("b"))
    here.ref("b").tell(Add(1))
    here.ref("a").tell(Crash())
    settled(world, here, "a", "b", starts=2)
    assert total(here.ref("b")) == 1, "what waited is kept"
    assert "stop b" not in diary
    assert info(here, "b").abandoned == 1
