"""What becomes of links in memory when nodes crash, restart and are cut off, in virtual time."""

from __future__ import annotations

import pytest

from tests.transport.box import tell
from tests.transport.world import World
from tucano.transport import wire
from tucano.transport.link import Kind, Letter


@pytest.fixture
def world() -> World:
    return World()


def test_whoever_says_nothing_beats(world: World) -> None:
    world.pair()
    world.seen.clear()
    world.time.advance(10.0)
    beats = [seen for seen in world.seen if seen[3] == "delivered" and seen[1] == "a"]
    assert len(beats) == 40
    assert {seen[4] for seen in beats} == {wire.encode([Letter(Kind.BEAT)])}


def test_a_partition_is_noticed_on_both_sides_and_heals(world: World) -> None:
    a, box_a, b, box_b = world.pair()
    c, _ = world.node("c")
    c.connect("a", a.address)
    world.time.advance(10.0)
    world.network.partition(["b"])
    assert a.send("b", tell("into the void"))
    world.time.advance(4.0)
    assert not a.connected("b")
    assert not b.connected("a")
    assert a.connected("c")
    world.network.heal()
    world.time.advance(0.5)
    assert a.connected("b")
    assert b.connected("a")
    assert a.send("b", tell("again"))
    world.time.advance(0.1)
    assert box_b.tags() == ["again"]
    assert [why[:6] for node, why in box_a.news if node == "b"] == ["up", "silent", "up"]
    assert [why[:6] for _, why in box_b.news] == ["up", "silent", "up"]


def test_a_partition_cuts_what_is_on_its_way(world: World) -> None:
    a, _, _, box_b = world.pair()
    world.network.latency(1.0, 1.0)
    a.send("b", tell("x"))
    world.time.advance(0.5)
    world.network.partition(["a"], ["b"])
    world.time.advance(1.0)
    assert not box_b.got
    assert world.count("cut") > 0


def test_a_crash_is_silent_and_takes_what_was_on_its_way(world: World) -> None:
    a, box_a, b, box_b = world.pair()
    world.time.advance(10.0)
    world.network.latency(0.1, 0.1)
    a.send("b", tell("to"))
    b.send("a", tell("from"))
    world.network.crash("b")
    world.time.advance(0.2)
    assert not box_a.got + box_b.got
    assert box_a.news == [("b", "up")]
    assert box_b.news == [("a", "up")]
    world.time.advance(4.0)
    assert [why[:6] for _, why in box_a.news] == ["up", "silent"]
    assert box_b.news == [("a", "up")]  # who has crashed notices nothing
    b.close()
    world.time.advance(1.0)
    assert not box_a.got
    assert len(box_a.news) == 2


@pytest.mark.parametrize("address", ["", "tcp://b:9"])
def test_a_restart_is_a_new_incarnation_at_the_same_address_or_another(world: World, address: str) -> None:
    a, box_a = world.node("a")
    b, _ = world.node("b", 1, "tcp://b:9")
    b.connect("a", a.address)
    world.time.advance(1.0)
    world.network.crash("b")
    c, box_c = world.node("b", 2, address)
    c.connect("a", a.address)
    world.time.advance(0.5)
    assert box_a.news == [("b", "up"), ("b", "replaced by a new incarnation"), ("b", "up")]
    assert a.send("b", tell("hello"))
    world.time.advance(0.0)
    assert box_c.tags() == ["hello"]


def test_what_was_sent_to_one_incarnation_does_not_reach_the_next(world: World) -> None:
    a, _, b, _ = world.pair()
    world.network.latency(0.1, 0.1)
    a.send("b", tell("for the first"))
    world.network.crash("b")
    _, box = world.node("b", 2, b.address)
    world.time.advance(1.0)
    assert "for the first" not in box.tags()


def test_who_leaves_is_heard_to_the_last_letter(world: World) -> None:
    a, _, _, box_b = world.pair()
    world.network.latency(0.1, 0.1)
    a.send("b", tell("last"))
    a.close()
    world.time.advance(0.2)
    assert box_b.tags() == ["last"]
    assert box_b.news == [("a", "up"), ("a", "left")]


def test_an_address_has_one_receiver(world: World) -> None:
    a, _ = world.node("a")
    with pytest.raises(ValueError, match="already"):
        world.node("b", 1, a.address)
    a.close()
    world.node("b", 1, a.address)
