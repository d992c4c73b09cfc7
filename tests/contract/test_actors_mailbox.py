"""What waits in a mailbox: how much, in which order, and what becomes of it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.contract.kit import (
    FAST,
    PATIENCE,
    Add,
    Crash,
    Do,
    Stranger,
    Total,
    Write,
    do,
    gives,
    grove,
    info,
    part,
    parts,
    total,
)
from tests.contract.world import World
from tucano.actors.kernel import Down, Refused, StopChild
from tucano.testing import Probe

MANY = 1000


def code(future: Any) -> str:
    """How an ask ended."""
    try:
        future.get()
    except Refused as refused:
        return refused.code
    return "answered"


def test_a_full_mailbox_refuses_and_counts(world: World) -> None:
    here = world.node(part("a", mailbox=2))
    world.block(here.ref("a"))
    assert [here.ref("a").tell(Add(1)) for _ in range(4)] == [True, True, False, False]
    assert code(here.ref("a").ask(Total(), timeout=PATIENCE, block=False)) == "mailbox_full"
    assert (info(here, "a").refused, info(here, "a").depth, info(here, "a").high_water) == (3, 2, 2)
    assert here.dead_letters == 3
    world.unblock()
    world.until(lambda: info(here, "a").depth == 0)
    assert total(here.ref("a")) == 2


def test_answers_and_notes_find_room_in_a_full_mailbox(world: World) -> None:
    diary: list[Any] = []
    kept: list[Any] = []
    here = world.node(part("a", diary, mailbox=1), *parts("b"))

    def ask(actor: Any) -> None:
        kept.append(actor.noting(Write))
        actor.pipe(actor.address("b"), Do(lambda b: kept.append(b.reply_later())), PATIENCE, Write)

    do(here.ref("a"), ask)
    world.until(lambda: len(kept) == 2)
    world.block(here.ref("a"))
    assert [here.ref("a").tell(Add(1)) for _ in range(2)] == [True, False]
    kept[1].answer("answer")
    kept[0]("note")
    assert info(here, "a").depth == 3
    world.unblock()
    world.until(lambda: diary[1:] == ["answer", "note"])


def test_the_order_to_stop_overtakes_what_waits_and_that_is_refused(world: World) -> None:
    here = world.node(*parts("a"))
    world.block(here.ref("a"))
    asks = [here.ref("a").ask(Add(1), timeout=PATIENCE, block=False) for _ in range(MANY)]
    for _ in range(MANY):
        here.ref("a").tell(Add(1))
    stopped = here.ref("a").stop(block=False)
    world.until(lambda: info(here, "a").phase == "stopping")
    world.unblock()
    assert stopped.get() is True
    assert {code(ask) for ask in asks} == {"stopped"}
    assert here.dead_letters == 2 * MANY


def test_the_news_of_an_end_overtakes_what_waits(world: World) -> None:
    diary: list[Any] = []
    here = world.node(*parts("w", diary=diary), *parts("a"))
    do(here.ref("w"), lambda w: w.watch(w.address("a")))
    world.block(here.ref("w"))
    for number in range(MANY):
        here.ref("w").tell(Write(number))
    here.ref("a").stop()
    world.unblock()
    total(here.ref("w"))
    assert diary[1:] == [Down("here/a", "stopped", ""), *range(MANY)]


def test_what_a_tree_must_know_overtakes_what_waits(world: World) -> None:
    here = world.node(grove("t", *parts("a", "b")))
    world.block(here.ref("t"))
    first = here.ref("t").ask(Do(lambda _: [it for it in here.snapshot() if it.name == "a"]), timeout=9, block=False)
    for _ in range(MANY):
        here.ref("t").tell(StopChild("nobody"))
    stopped = here.ref("a").stop(block=False)
    world.unblock()
    assert stopped.get() is True
    assert all(it.phase == "stopping" for it in first.get())


def test_what_waits_outlives_a_crash_and_the_message_that_crashed_is_dropped(world: World) -> None:
    here = world.node(*parts("a"), law=FAST)
    world.block(here.ref("a"))
    for _ in range(3):
        here.ref("a").tell(Add(1))
    crashing = here.ref("a").ask(Crash(), timeout=PATIENCE, block=False)
    for _ in range(4):
        here.ref("a").tell(Add(10))
    world.unblock()
    assert code(crashing) == "crashed"
    assert total(here.ref("a")) == 40
    assert info(here, "a").restarts == 1
    assert here.dead_letters == 0


def test_a_message_that_crashes_again_and_again_does_not_block_the_others(world: World) -> None:
    probe = Probe()
    here = world.node(*parts("a"), probe.child("probe"), law=FAST)
    world.block(here.ref("a"))
    crashing, good = [], []
    for number in range(20):
        crashing.append(here.ref("a").ask(Crash(), timeout=PATIENCE, block=False))
        good.append(here.ref("a").ask(Do(gives(number)), timeout=PATIENCE, block=False))
    world.unblock()
    assert [future.get() for future in good] == list(range(20))
    assert [code(future) for future in crashing] == ["crashed"] * 20
    assert info(here, "a").restarts == 20


def test_what_nobody_understands_costs_the_others_nothing(world: World) -> None:
    here = world.node(*parts("a"))
    world.block(here.ref("a"))
    for _ in range(50):
        here.ref("a").tell(Stranger())
        here.ref("a").tell(Add(1))
    world.unblock()
    assert total(here.ref("a")) == 50


@pytest.mark.parametrize("error", [ValueError(), Refused("no", "")], ids=["crash", "refusal"])
def test_a_message_is_handled_once_however_it_ends(world: World, error: Exception) -> None:
    here = world.node(*parts("a"), law=FAST)
    seen: list[int] = []

    def note_and_fail(number: int, actor: Any) -> None:
        seen.append(number)
        raise error

    for number in range(5):
        here.ref("a").tell(Do(partial(note_and_fail, number)))
    assert total(here.ref("a")) == 0
    assert seen == [0, 1, 2, 3, 4]
