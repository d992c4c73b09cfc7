"""What happens when, to the millisecond: virtual time lets a test ask."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pykka
import pytest

from tests.contract.kit import Crash, Part, Total, Write, blow, do, happened, info, part, total
from tests.contract.world import VirtualWorld
from tucano.actors.kernel import Child, Law

A_MOMENT = 0.001


@pytest.fixture
def world() -> Iterator[VirtualWorld]:
    made = VirtualWorld()
    yield made
    made.close()


class Restless(Part):
    """Writes down when it is constructed, and crashes in its start as often as it is told."""

    def __init__(self, moments: list[float], crashes: int) -> None:
        super().__init__(faults={"start": [blow("ValueError")] if len(moments) < crashes else []})
        moments.append(self.now())


def pauses(world: VirtualWorld, law: Law, crashes: int) -> list[float]:
    """Seconds between the starts of an actor that crashes in each."""
    moments: list[float] = []
    world.node(Child("a", Restless, {"moments": moments, "crashes": crashes}), law=law)
    world.until(lambda: len(moments) == crashes + 1)
    return [later - earlier for earlier, later in itertools.pairwise(moments)]


def test_each_restart_waits_longer_up_to_the_ceiling(world: VirtualWorld) -> None:
    law = Law(intensity=10, period=1000.0, first=0.0, base=0.5, factor=2.0, ceiling=3.0, jitter=0.0)
    assert pauses(world, law, 6) == pytest.approx([0.0, 0.5, 1.0, 2.0, 3.0, 3.0], abs=A_MOMENT)


def test_chance_spreads_the_restarts(world: VirtualWorld) -> None:
    law = Law(intensity=30, period=1000.0, first=1.0, base=1.0, factor=1.0, ceiling=3.0, jitter=0.2)
    found = pauses(world, law, 20)
    assert found[0] == pytest.approx(1.0, abs=0.2)
    assert all(0.8 <= pause <= 1.2 + A_MOMENT for pause in found)
    assert len({round(pause, 3) for pause in found[1:]}) > 10


def test_calm_for_a_period_forgets_the_crashes(world: VirtualWorld) -> None:
    law = Law(intensity=2, period=60.0, first=0.0, base=5.0, jitter=0.0)
    here = world.node(part("a"), law=law)
    for _ in range(3):
        for pause in (0.0, 5.0):
            before = world.simulation.now()
            here.ref("a").tell(Crash())
            world.until(lambda: info(here, "a").phase == "down")
            total(here.ref("a"))
            assert world.simulation.now() - before == pytest.approx(pause, abs=A_MOMENT)
        world.simulation.run(61.0)
    assert not here.ended.is_set()
    assert info(here, "a").restarts == 6


@pytest.mark.parametrize(("every", "ends"), [(29.0, True), (31.0, False)])
def test_crashes_count_for_a_period_only(world: VirtualWorld, every: float, ends: bool) -> None:
    here = world.node(part("a"), law=Law(intensity=2, period=60.0, base=0.1))
    for _ in range(20):
        here.ref("a").tell(Crash())
        world.simulation.run(every)
    assert here.ended.is_set() is ends


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_a_crash_on_the_way_down_has_a_wait_of_its_own(world: VirtualWorld, strategy: str) -> None:
    law = Law(intensity=5, first=5.0, base=100.0, ceiling=1000.0, jitter=0.0)
    here = world.node(part("a"), part("b", faults={"stop": [blow("ValueError")]}), law=law, strategy=strategy)
    before = world.simulation.now()
    here.ref("a").tell(Crash())
    world.until(lambda: len(happened(here, "actor_started", "b")) == 2, "b is up again")
    assert world.simulation.now() - before == pytest.approx(100.0, abs=A_MOMENT)


def test_a_new_child_of_an_old_name_does_not_inherit_the_wait(world: VirtualWorld) -> None:
    law = Law(intensity=5, first=10.0, base=10.0, factor=1.0, ceiling=1000.0, jitter=0.0)
    here = world.node(part("a"), law=law)
    here.ref("a").tell(Crash())
    world.until(lambda: info(here, "a").phase == "down")
    here.ref("a").stop()
    world.simulation.run(6.0)
    here.spawn(part("a"))
    before = world.simulation.now()
    here.ref("a").tell(Crash())
    world.until(lambda: len(happened(here, "actor_started", "a")) == 3)
    assert world.simulation.now() - before == pytest.approx(10.0, abs=A_MOMENT)


def test_an_ask_waits_as_long_as_it_says(world: VirtualWorld) -> None:
    here = world.node(part("a"))
    world.block(here.ref("a"))
    before = world.simulation.now()
    with pytest.raises(pykka.Timeout):
        here.ref("a").ask(Total(), timeout=7.0)
    assert world.simulation.now() - before == pytest.approx(7.0, abs=A_MOMENT)


def test_a_pipe_waits_as_long_as_it_says(world: VirtualWorld) -> None:
    diary: list[Any] = []
    here = world.node(part("a", diary), part("b"))
    world.block(here.ref("b"))
    before = world.simulation.now()
    do(here.ref("a"), lambda actor: actor.pipe(actor.address("b"), Total(), 7.0, Write))
    world.until(lambda: len(diary) == 2)
    assert world.simulation.now() - before == pytest.approx(7.0, abs=A_MOMENT)


def test_a_node_in_trouble_still_stops_when_it_is_told_to(world: VirtualWorld) -> None:
    here = world.node(part("a"), part("b", shutdown=2.0), law=Law(first=500.0, ceiling=1000.0))
    here.ref("a").tell(Crash())
    world.block(here.ref("b"))
    before = world.simulation.now()
    assert here.stop(60.0)
    assert world.simulation.now() - before == pytest.approx(2.0, abs=A_MOMENT)
