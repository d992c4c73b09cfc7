"""What a network in memory does to frames, in virtual time."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.transport.box import tell
from tests.transport.world import Seen, World, numbers, say
from tucano.transport import wire
from tucano.transport.link import QUEUE, Kind, Letter

ROOT = Path(__file__).parents[2]


@pytest.fixture
def world() -> World:
    return World()


def eventful(seed: int) -> tuple[list[Seen], list[tuple[str, str]], list[str]]:
    """Three nodes through everything that can go wrong."""
    world = World(seed)
    a, box_a, b, box_b = world.pair()
    c, _ = world.node("c")
    c.connect("a", a.address)
    world.network.latency(0.001, 0.05)
    world.network.latency(0.0, 0.4, between=("c", "a"))
    world.network.disturb(loss=0.1, duplication=0.1, reordering=0.1)
    say(world, a, "b", 200)
    world.network.slow("b", 0.1, rate=5000)
    say(world, b, "a", 100)
    world.network.partition(["a"], ["b", "c"])
    say(world, c, "a", 100, pause=0.05)
    world.network.heal()
    world.network.crash("b")
    world.node("b", 2, b.address)
    world.time.advance(5.0)
    return world.seen, box_a.news, box_a.tags() + box_b.tags()


def test_the_same_seed_gives_the_same_frames_at_the_same_moments() -> None:
    assert eventful(7) == eventful(7)
    assert {seen[3] for seen in eventful(7)[0]} == {"sent", "delivered", "lost", "duplicated", "late", "cut"}


def test_the_order_of_things_does_not_hang_on_how_python_hashes() -> None:
    script = "from tests.transport.test_network import eventful; print(eventful(7))"
    printed = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1]
    assert len(printed[0]) > 10_000


def test_another_seed_gives_others() -> None:
    assert eventful(7)[0] != eventful(8)[0]


def test_every_copy_has_one_end() -> None:
    world = World()
    a, _, _, _ = world.pair()
    world.network.latency(0.0, 0.2)
    world.network.disturb(loss=0.2, duplication=0.2, reordering=0.2)
    say(world, a, "b", 500)
    world.network.crash("a")
    world.network.crash("b")
    world.time.advance(10.0)
    ends = world.count("delivered") + world.count("lost") + world.count("late") + world.count("cut")
    assert world.count("sent") + world.count("duplicated") == ends


def test_without_faults_letters_arrive_at_once_but_never_within_send(world: World) -> None:
    a, _, _, box_b = world.pair()
    a.send("b", tell("x"))
    assert not box_b.got
    world.time.advance(0.0)
    assert box_b.tags() == ["x"]


def test_frames_are_the_bytes_of_the_wire(world: World) -> None:
    a, _, _, _ = world.pair()
    world.seen.clear()
    a.send("b", tell("x"))
    world.time.advance(0.0)
    frame = wire.encode([tell("x")])
    assert world.seen == [(1.0, "a", "b", "sent", frame), (1.0, "a", "b", "delivered", frame)]


def test_latency_keeps_the_order(world: World) -> None:
    a, _, _, box_b = world.pair()
    world.network.latency(0.0, 1.0)
    say(world, a, "b", 300)
    world.time.advance(1.0)
    assert numbers(box_b) == list(range(300))
    assert world.count("late") == 0


def test_latency_between_two_nodes_is_theirs_alone(world: World) -> None:
    a, _, _, box_b = world.pair()
    c, box_c = world.node("c")
    a.connect("c", c.address)
    world.network.latency(0.1, 0.1)
    world.network.latency(2.0, 2.0, between=("c", "a"))
    for to in ("b", "c"):
        a.send(to, tell("x"))
    world.time.advance(0.1)
    assert (box_b.tags(), box_c.tags()) == (["x"], [])
    world.time.advance(1.9)
    assert box_c.tags() == ["x"]


def test_what_is_lost_stays_lost_and_the_others_keep_their_order(world: World) -> None:
    a, _, _, box_b = world.pair()
    world.network.disturb(loss=0.3)
    say(world, a, "b", 1000)
    got = numbers(box_b)
    assert 600 < len(got) < 800
    assert got == sorted(set(got))
    assert a.connected("b")


def test_a_frame_that_comes_twice_is_heard_once(world: World) -> None:
    a, _, _, box_b = world.pair()
    world.network.disturb(duplication=1.0)
    say(world, a, "b", 200)
    world.time.advance(1.0)
    assert numbers(box_b) == list(range(200))
    assert world.count("late") >= 200


def test_a_frame_that_was_overtaken_is_dropped(world: World) -> None:
    a, _, _, box_b = world.pair()
    world.network.disturb(reordering=0.3)
    say(world, a, "b", 500)
    world.time.advance(1.0)
    got = numbers(box_b)
    assert got == sorted(set(got))
    assert 300 < len(got) < 500
    assert world.count("late") >= 500 - len(got) > 0
    assert world.count("lost") == 0


def test_a_slow_node_hears_later_and_is_heard_later(world: World) -> None:
    a, box_a, b, box_b = world.pair()
    world.network.slow("b", 0.3)
    a.send("b", tell("to"))
    b.send("a", tell("from"))
    world.time.advance(0.29)
    assert not box_a.got + box_b.got
    world.time.advance(0.02)
    assert (box_b.tags(), box_a.tags()) == (["to"], ["from"])
    world.network.slow("b")
    world.time.advance(0.3)  # nothing overtakes the beats that are on their way
    a.send("b", tell("fast again"))
    world.time.advance(0.0)
    assert box_b.tags() == ["to", "fast again"]


def test_letters_queue_up_behind_a_large_one_on_a_thin_line(world: World) -> None:
    a, _, _, box_b = world.pair()
    world.network.slow("a", rate=1_000_000)
    a.send("b", Letter(Kind.TELL, tag="large", body=msgspec.Raw(msgspec.msgpack.encode(b"x" * 1_000_000))))
    a.send("b", tell("behind"))
    world.time.advance(0.99)
    assert not box_b.got
    world.time.advance(0.02)
    assert box_b.tags() == ["large", "behind"]


def test_a_line_that_is_too_thin_refuses_instead_of_growing(world: World) -> None:
    a, _, _, box_b = world.pair()
    world.network.slow("b", rate=100)
    taken = sum(a.send("b", tell(str(number))) for number in range(QUEUE + 100))
    assert taken == QUEUE + 1  # one is on its way
    assert world.count("sent") < 100
    world.network.slow("b")
    world.time.advance(1.0)
    assert numbers(box_b) == list(range(taken))


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("disturb", {"loss": 1.1}), ("disturb", {"duplication": -0.1}), ("disturb", {"stray": math.inf}),
        ("latency", {"low": 2.0, "high": 1.0}), ("latency", {"low": -1.0, "high": 1.0}),
        ("slow", {"node": "a", "rate": 0.0}), ("slow", {"node": "a", "seconds": -1.0}),
    ],
)  # fmt: skip
def test_impossible_faults_are_refused(world: World, method: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no such"):
        getattr(world.network, method)(**arguments)
