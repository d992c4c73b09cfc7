"""What becomes of links in memory when nodes crash, restart and are cut off, in virtual time."""

from __future__ import annotations

import pytest

from tests.transport.box import tell
from tests.transport.world import World
from tucano.transport import wire
from tucano.transport.link import BULK, CONTROL, Kind, Letter


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


@pytest.mark.parametrize(("address", "within"), [("tcp://b:9", 0.3), ("", 1.3)], ids=["same address", "another"])
def test_a_restart_takes_over_from_its_dead_incarnation(world: World, address: str, within: float) -> None:
    a, box_a = world.node("a")
    b, _ = world.node("b", 1, "tcp://b:9")
    b.connect("a", a.address)
    world.time.advance(1.0)
    world.network.crash("b")
    c, box_c = world.node("b", 2, address)
    c.connect("a", a.address)
    world.time.advance(within)
    assert box_a.news == [("b", "up"), ("b", "replaced by a new incarnation"), ("b", "up")]
    assert a.send("b", tell("hello"))
    world.time.advance(0.0)
    assert box_c.tags() == ["hello"]


def test_a_second_node_of_a_name_is_told_so_until_the_first_has_gone(world: World) -> None:
    a, box_a, b, _ = world.pair()
    second, box = world.node("b", 2)
    second.connect("a", a.address)
    world.time.advance(30.0)
    second.send("a", tell("from the second"))
    b.send("a", tell("from the first"))
    a.send("b", tell("to the first"))
    world.time.advance(1.0)
    assert box_a.tags() == ["from the first"]
    assert box_a.news == [("b", "up")]
    assert [who for who, why in box.taken if "is taken" in why and b.address in why] == ["a"]
    assert not box.got
    assert not second.connected("a")
    b.close()
    world.time.advance(1.0)
    second.send("a", tell("now"))
    world.time.advance(1.0)
    assert box_a.tags() == ["from the first", "now"]


def test_a_node_whose_clock_went_back_while_it_restarted_comes_in_when_its_former_self_is_silent(world: World) -> None:
    a, box_a = world.node("a")
    b, _ = world.node("b", 9_000)
    b.connect("a", a.address)
    world.time.advance(20.0)
    world.network.crash("b")
    c, _ = world.node("b", 5_000, b.address)
    c.connect("a", a.address)
    world.time.advance(4.0)
    assert a.connected("b")
    assert [why[:6] for _, why in box_a.news] == ["up", "silent", "up"]
    c.send("a", tell("heard"))
    world.time.advance(0.1)
    assert box_a.tags() == ["heard"]


def test_bulk_from_a_peer_whose_beats_do_not_come_does_not_keep_it_up(world: World) -> None:
    a, box_a, b, _ = world.pair()
    world.time.advance(10.0)
    control = b._ways["a"][CONTROL]
    setattr(control, "_send", lambda _frame: False)  # noqa: B010 - the one connection hangs, the other does not
    for _ in range(20):
        b.send("a", tell("piece"), BULK)
        world.time.advance(0.25)
    assert not a.connected("b")
    assert [why[:6] for _, why in box_a.news] == ["up", "silent"]
    delattr(control, "_send")
    world.time.advance(0.5)
    assert a.connected("b")


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
