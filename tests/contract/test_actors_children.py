"""Children that come and go, and trees below trees."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.kit import (
    FAST,
    PATIENCE,
    STRICT,
    Crash,
    Diary,
    Part,
    Write,
    blow,
    do,
    grove,
    happened,
    info,
    part,
    parts,
    total,
)
from tests.contract.world import VirtualWorld, World
from tucano.actors.kernel import Child, Law, Ref, Refused, StartChild, StopChild


def start(tree: Ref, child: Child) -> Any:
    return tree.ask(StartChild(child), timeout=PATIENCE)


def stop(tree: Ref, name: str) -> Any:
    return tree.ask(StopChild(name), timeout=PATIENCE)


def test_a_further_child_is_up_when_the_answer_comes(world: World) -> None:
    diary: Diary = []
    here = world.node(grove("t"))
    assert start(here.ref("t"), part("x", diary)) is None
    assert diary == ["start x"]
    assert (info(here, "x").phase, info(here, "x").parent) == ("up", "t")


def test_a_further_tree_is_up_when_its_children_are(world: World) -> None:
    diary: Diary = []
    here = world.node()
    spawned = here.spawn(grove("t", part("x", diary), grove("u", part("y", diary)), part("z", diary)))
    assert diary == ["start x", "start y", "start z"]
    assert [actor.phase for actor in here.snapshot()] == ["up"] * 6
    assert spawned.address == "here/t"


@pytest.mark.parametrize("hook", ["construct", "start"])
@pytest.mark.parametrize("restart", ["permanent", "temporary"])
def test_a_child_that_crashes_in_its_start_is_refused_and_treated_by_its_spec(
    world: World, restart: Any, hook: str
) -> None:
    here = world.node(grove("t", law=FAST))
    with pytest.raises(Refused, match=r"here/x did not start: it crashed \(ValueError\('as told'\)\)") as refused:
        start(here.ref("t"), part("x", faults={hook: [blow("ValueError")]}, restart=restart))
    assert refused.value.code == "crashed"
    if restart == "permanent":
        assert total(here.ref("x")) == 0
    else:
        world.until(lambda: not here.ref("x").is_alive())


def test_a_child_is_gone_when_the_answer_comes(world: World) -> None:
    diary: Diary = []
    here = world.node(grove("t", *parts("a", "x", "b", diary=diary)))
    assert stop(here.ref("t"), "x") is True
    assert diary[3:] == ["stop x"]
    assert not here.ref("x").is_alive()
    assert stop(here.ref("t"), "x") is False
    assert start(here.ref("t"), part("x", diary)) is None
    assert diary[4:] == ["start x"]
    assert here.stop(PATIENCE)
    assert diary[5:] == ["stop x", "stop b", "stop a"]


def test_a_name_that_is_taken_is_refused(world: World) -> None:
    here = world.node(*parts("a"), grove("t", *parts("b")), grove("u"))
    for tree, name in (("t", "b"), ("u", "b"), ("t", "a"), ("u", "t"), ("u", "root")):
        with pytest.raises(Refused, match=name) as refused:
            start(here.ref(tree), part(name))
        assert refused.value.code == "name_taken"
    assert total(here.ref("a")) == total(here.ref("b")) == 0
    assert [info(here, tree).restarts for tree in "tu"] == [0, 0]


def test_a_tree_whose_childrens_names_are_taken_gives_all_of_them_back(world: World) -> None:
    here = world.node(*parts("a"), law=FAST)
    with pytest.raises(Refused, match="name_taken"):
        here.spawn(grove("t", *parts("x", "a", "y"), restart="temporary"))
    assert total(here.spawn(part("x"))) == total(here.spawn(part("y"))) == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", ""), ("name", "a/b"), ("restart", "often"), ("shutdown", -1.0), ("mailbox", 0)],
)
def test_a_spec_without_meaning_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"a child cannot have {field}="):
        Child(**{"name": "a", "actor": Part, field: value})


def test_a_tree_stops_when_its_children_have(world: World) -> None:
    diary: Diary = []
    here = world.node(grove("t", part("a", diary), grove("u", *parts("b", "c", diary=diary))), part("d", diary))
    world.block(here.ref("c"))
    stopped = here.ref("t").stop(block=False)
    world.until(lambda: info(here, "c").phase == "stopping")
    assert [info(here, name).phase for name in "tuab"] == ["stopping", "stopping", "up", "up"]
    world.unblock()
    assert stopped.get() is True
    assert diary[4:] == ["stop c", "stop b", "stop a"]
    assert [actor.name for actor in here.snapshot()] == ["root", "d"]


def test_what_is_to_start_is_refused_if_the_tree_stops_first(world: World) -> None:
    here = world.node(grove("t", *parts("a")))
    world.block(here.ref("a"))
    stopped = here.ref("t").stop(block=False)
    world.until(lambda: info(here, "a").phase == "stopping")
    late = here.ref("t").ask(StartChild(part("x")), timeout=PATIENCE, block=False)
    world.unblock()
    assert stopped.get() is True
    with pytest.raises(Refused) as refused:
        late.get()
    assert refused.value.code == "stopped"
    assert not here.ref("x").is_alive()


def test_a_child_that_waits_for_its_restart_is_stopped_at_once(virtual: VirtualWorld) -> None:
    slow = Law(first=1000.0, ceiling=2000.0)
    here = virtual.node(grove("t", *parts("a", "b"), law=slow))
    here.ref("a").tell(Crash())
    virtual.until(lambda: info(here, "a").phase == "down")
    here.ref("a").tell(Write("this waits, and is lost"))
    assert here.ref("a").is_alive()
    assert here.ref("a").stop() is True
    assert not here.ref("a").is_alive()
    assert here.dead_letters == 1
    assert virtual.simulation.now() < 1.0
    virtual.simulation.run(3000.0)
    assert not here.ref("a").is_alive()


def test_a_child_that_waits_for_its_restart_holds_nobody_up(virtual: VirtualWorld) -> None:
    diary: Diary = []
    slow = Law(first=1000.0, ceiling=2000.0)
    bad = part("a", diary, {"start": [blow("ValueError")]})
    here = virtual.node(bad, part("b", diary), law=slow)
    assert diary[:3] == ["start a", "crash a", "start b"]
    assert info(here, "a").phase == "down"


def test_children_of_children_are_restarted_with_their_tree(world: World) -> None:
    diary: Diary = []
    inner = grove("u", *parts("b", "c", diary=diary), law=Law(intensity=0))
    here = world.node(grove("t", part("a", diary), inner, law=Law(intensity=0)), law=STRICT)
    here.ref("b").tell(Crash())
    world.until(lambda: len(happened(here, "actor_started", "t")) == 2)
    assert diary[3:] == ["crash b", "stop c", "stop a", "start a", "start b", "start c"]
    assert [total(here.ref(name)) for name in "abc"] == [0, 0, 0]
    assert do(here.ref("t"), lambda tree: tree.ref.address) == "here/t"
