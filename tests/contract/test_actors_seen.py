"""What can be seen of the actors: events as they happen, and how things stand."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.contract.kit import (
    FAST,
    PATIENCE,
    STRICT,
    Add,
    Crash,
    Diary,
    Do,
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
from tests.contract.world import World
from tucano.actors.kernel import Lifecycle, StartChild, System, Wait


def story(system: System, *names: str) -> list[tuple[str, str]]:
    """What happened to these, in order."""
    return [(event.what, event.who) for event in system.events() if event.who in names]


def test_an_actors_life_can_be_read_from_the_events(world: World) -> None:
    here = world.node(*parts("a"), law=FAST)
    here.ref("a").tell(Crash())
    total(here.ref("a"))
    here.ref("a").stop()
    assert story(here, "a") == [
        ("actor_started", "a"), ("actor_crashed", "a"), ("actor_started", "a"), ("actor_stopped", "a"),
    ]  # fmt: skip
    assert happened(here, "actor_crashed") == ["ValueError('as told')"]
    assert happened(here, "actor_started", "a") == ["incarnation 1", "incarnation 2"]


def test_events_are_numbered_and_dated_by_the_nodes_clock(world: World) -> None:
    here = world.node(*parts("a", "b"))
    events = here.events()
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert events[-1].at == pytest.approx(here.clock.wall(), abs=60.0)


def test_a_tree_that_gives_up_says_so_before_its_children_go(world: World) -> None:
    here = world.node(grove("t", *parts("a", "b"), law=STRICT, restart="temporary"))
    for starts in (2, 3, 4):
        here.ref("a").tell(Crash())
        world.until(lambda starts=starts: starts == 4 or len(happened(here, "actor_started", "a")) == starts)  # type: ignore[misc]
    world.until(lambda: not here.ref("t").is_alive())
    assert story(here, "t", "a", "b")[-4:] == [
        ("actor_crashed", "a"), ("tree_gave_up", "t"), ("actor_stopped", "b"), ("actor_crashed", "t"),
    ]  # fmt: skip


def test_dead_letters_are_counted_and_told_at_powers_of_two(world: World) -> None:
    here = world.node(part("a", mailbox=1))
    for _ in range(9):
        here.ref("nobody").tell(Total())
    world.block(here.ref("a"))
    for _ in range(3):
        here.ref("a").tell(Total())
    assert happened(here, "dead_letter", "nobody") == [
        "no actor has that name", *(f"no actor has that name ({times} times)" for times in (2, 4, 8)),
    ]  # fmt: skip
    assert happened(here, "dead_letter", "a") == ["its mailbox is full", "its mailbox is full (2 times)"]
    assert here.dead_letters == 9 + 2


def test_what_was_not_understood_is_told_at_powers_of_two(world: World) -> None:
    here = world.node(*parts("a"))
    for _ in range(5):
        here.ref("a").tell("what?")
    total(here.ref("a"))
    assert happened(here, "message_refused", "a") == [
        "here/a takes no str", "here/a takes no str (2 times)", "here/a takes no str (4 times)",
    ]  # fmt: skip
    assert here.dead_letters == 0


def test_a_subscriber_is_told_of_all_that_happens_to_the_others(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("s", diary=diary), grove("t", law=FAST))
    do(here.ref("s"), lambda actor: actor.subscribe())
    here.ref("t").ask(StartChild(part("a")), timeout=PATIENCE)
    here.ref("a").tell(Crash())
    total(here.ref("a"))
    here.ref("a").stop()
    here.ref("nobody").tell(Total())
    total(here.ref("s"))
    told = [entry for entry in diary if isinstance(entry, Lifecycle)]
    assert [(event.what, event.who) for event in told] == [
        ("actor_started", "a"), ("actor_crashed", "a"), ("actor_started", "a"), ("actor_stopped", "a"),
        ("dead_letter", "nobody"),
    ]  # fmt: skip
    assert tuple(told) == here.events()[-5:]


def test_a_subscription_outlives_the_subscribers_crash(world: World) -> None:
    diary: Diary = []
    here = world.node(*parts("s", diary=diary), law=FAST)
    do(here.ref("s"), lambda actor: actor.subscribe())
    here.ref("s").tell(Crash())
    world.until(lambda: len([entry for entry in diary if isinstance(entry, Lifecycle)]) == 2)


def test_a_subscriber_that_does_not_understand_or_is_full_or_gone_harms_nobody(world: World) -> None:
    here = world.node(grove("deaf"), part("full", mailbox=1), *parts("a"), law=FAST)
    for name in ("deaf", "full", "gone"):
        here.channel.subscribe(name)
    world.block(here.ref("full"))
    for _ in range(20):
        here.ref("a").tell(Crash())
    assert total(here.ref("a")) == 0
    assert info(here, "a").restarts == 20
    assert info(here, "deaf").restarts == 0
    world.unblock()
    world.until(lambda: info(here, "full").depth == 0)
    assert total(here.ref("full")) == 0


def test_a_crash_reaches_the_log_with_its_traceback(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tucano.kernel")
    here = world.node(*parts("a"), law=FAST)
    here.ref("a").tell(Crash())
    total(here.ref("a"))
    levels = {record.levelname for record in caplog.records if "actor_crashed here/a: ValueError" in record.message}
    assert levels == {"WARNING"}
    assert "raise blow(how)" in caplog.text


def test_the_snapshot_shows_the_tree_parents_first(world: World) -> None:
    here = world.node(*parts("a"), grove("t", *parts("b")), *parts("c"))
    assert [(actor.name, actor.parent, actor.kind, actor.phase) for actor in here.snapshot()] == [
        ("root", "", "Tree", "up"), ("a", "root", "Part", "up"), ("t", "root", "Grove", "up"),
        ("c", "root", "Part", "up"), ("b", "t", "Part", "up"),
    ]  # fmt: skip


def test_the_snapshot_counts(world: World) -> None:
    here = world.node(*parts("a"), law=FAST)
    assert (info(here, "a").handled, info(here, "a").p50, info(here, "a").p99) == (0, 0.0, 0.0)
    for _ in range(100):
        here.ref("a").tell(Add(1))
    assert total(here.ref("a")) == 100
    world.until(lambda: info(here, "a").handled == 101)
    seen = info(here, "a")
    assert (seen.refused, seen.restarts, seen.abandoned, seen.last_crash, seen.depth) == (0, 0, 0, "", 0)
    assert 0.0 < seen.p50 <= seen.p99 if world.real else seen.p50 == seen.p99 == 0.0
    here.ref("a").tell(Crash())
    total(here.ref("a"))
    seen = info(here, "a")
    assert (seen.handled, seen.restarts) == (103, 1)
    assert seen.last_crash.startswith("Traceback (most recent call last)")
    assert seen.last_crash.endswith("ValueError: as told\n")


def test_the_snapshot_shows_what_waits_and_the_most_that_ever_did(world: World) -> None:
    here = world.node(*parts("a"))
    world.block(here.ref("a"))
    for _ in range(7):
        here.ref("a").tell(Add(1))
    assert (info(here, "a").depth, info(here, "a").high_water) == (7, 7)
    assert info(here, "a").busy > 0.0 if world.real else info(here, "a").busy == 0.0
    world.unblock()
    assert total(here.ref("a")) == 7
    world.until(lambda: info(here, "a").busy == 0.0)
    assert info(here, "a").depth == 0
    assert info(here, "a").high_water >= 7


def test_the_snapshot_shows_who_waits_on_whom(world: World) -> None:
    here = world.node(*parts("a", "b", "c"))
    kept: list[Any] = []

    def ask_both(actor: Any) -> None:
        for name in "bc":
            actor.pipe(actor.address(name), Do(lambda it: kept.append(it.reply_later())), PATIENCE, Write)

    do(here.ref("a"), ask_both)
    world.until(lambda: len(kept) == 2)
    waits = info(here, "a").waits
    assert [(wait.on, wait.what) for wait in waits] == [
        ("here/b", "tests.contract.kit.Do/1"),
        ("here/c", "tests.contract.kit.Do/1"),
    ]
    assert all(0.0 <= wait.seconds < PATIENCE for wait in waits)
    kept[0].answer(None)
    assert [type(wait) for wait in info(here, "a").waits] == [Wait]
    kept[1].answer(None)
    assert info(here, "a").waits == ()


def test_what_an_incarnation_waited_for_ends_with_it(world: World) -> None:
    here = world.node(*parts("a", "b"), law=FAST)
    asks = Do(lambda it: it.diary.append(it.reply_later()))
    do(here.ref("a"), lambda actor: actor.pipe(actor.address("b"), asks, PATIENCE, Write))
    assert len(info(here, "a").waits) == 1
    here.ref("a").tell(Crash())
    assert total(here.ref("a")) == 0
    assert info(here, "a").waits == ()
    world.until(lambda: here.timers.pending() == 0)


def test_identifiers_and_luck_come_from_the_chance_that_is_handed_in(world: World) -> None:
    def draw(actor: Any) -> tuple[Any, ...]:
        return actor.fresh_id(), actor.fresh_id(64), actor.chance.random(), actor.begin_trace()

    drawn = do(world.node(*parts("a"), name="one").ref("a"), draw)
    other = do(world.node(*parts("a"), name="two").ref("a"), draw)
    assert [len(text) for text in (drawn[0], drawn[1], drawn[3])] == [8, 16, 16]
    assert drawn != other
    again = type(world)()
    try:
        assert do(again.node(*parts("a"), name="one").ref("a"), draw) == drawn
    finally:
        again.close()


def test_the_clock_is_the_nodes(world: World) -> None:
    here = world.node(*parts("a"))
    before = here.clock.now()
    now, wall = do(here.ref("a"), lambda actor: (actor.now(), actor.wall()))
    assert before <= now <= here.clock.now()
    assert wall == pytest.approx(here.clock.wall(), abs=60.0)
