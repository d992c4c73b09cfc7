"""Stopping in order, and what becomes of who does not stop."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.contract.kit import (
    FAST,
    PATIENCE,
    Add,
    Diary,
    Do,
    do,
    grove,
    happened,
    part,
    parts,
    total,
)
from tests.contract.world import VirtualWorld, World
from tucano.actors.kernel import StartChild


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
