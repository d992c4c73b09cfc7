"""A crash is a crash, wherever it happens and whatever is raised: its tree starts the next incarnation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.kit import FAST, PATIENCE, Add, Crash, Do, Total, blow, do, fail, happened, info, part, parts, total
from tests.contract.world import World
from tucano.actors.kernel import Actor, Child, Ref, Refused

ERRORS = ["ValueError", "SystemExit", "KeyboardInterrupt", "GeneratorExit"]


def tell(a: Ref, how: str) -> None:
    a.tell(Crash(how))


def ask(a: Ref, how: str) -> None:
    with pytest.raises(Refused, match=f"a crashed on Crash: {how}") as refused:
        a.ask(Crash(how), timeout=PATIENCE)
    assert refused.value.code == "crashed"


def note(a: Ref, how: str) -> None:
    do(a, lambda actor: actor.note(Crash(how)))


def timer(a: Ref, how: str) -> None:
    do(a, lambda actor: actor.after(0.001, Crash(how)))


def beat(a: Ref, how: str) -> None:
    do(a, lambda actor: actor.every(0.001, Crash(how)))


def into(a: Ref, how: str) -> None:
    do(a, lambda actor: actor.pipe(actor.address("b"), Total(), PATIENCE, lambda _: fail(blow(how))))


def into_of_a_timeout(a: Ref, how: str) -> None:
    silent = Do(lambda b: b.diary.append(b.reply_later()))
    do(a, lambda actor: actor.pipe(actor.address("b"), silent, 0.001, lambda _: fail(blow(how))))


@pytest.mark.parametrize("how", ERRORS)
@pytest.mark.parametrize("crash", [tell, ask, note, timer, beat, into, into_of_a_timeout], ids=lambda it: it.__name__)
def test_a_crash_in_a_turn_brings_the_next_incarnation(world: World, crash: Callable[..., None], how: str) -> None:
    diary: list[Any] = []
    here = world.node(part("a", diary), *parts("b"), law=FAST)
    crash(here.ref("a"), how)
    world.until(lambda: info(here, "a").restarts == 1 and info(here, "a").phase == "up")
    assert total(here.ref("a")) == total(here.ref("b")) == 0
    assert diary == ["start a", "crash a", "start a"]
    assert how in info(here, "a").last_crash
    assert "Traceback" in info(here, "a").last_crash
    assert len(happened(here, "actor_crashed")) == 1
    assert info(here, "b").restarts == 0
    done: list[Any] = []
    do(here.ref("a"), lambda actor: actor.after(0.0, Do(done.append)))  # and timers go on
    world.until(lambda: done)


@pytest.mark.parametrize("how", ERRORS)
@pytest.mark.parametrize("hook", ["construct", "start"])
def test_a_crash_before_the_first_message_is_counted_and_tried_again(world: World, hook: str, how: str) -> None:
    faults = {hook: [blow(how), blow(how)]}
    here = world.node(part("a", faults=faults), law=FAST)
    assert total(here.ref("a")) == 0
    assert info(here, "a").restarts == 2
    assert how in info(here, "a").last_crash
    assert len(happened(here, "actor_started", "a")) == 1


@pytest.mark.parametrize("how", ERRORS)
def test_a_crash_in_on_stop_is_counted_and_stops_nobody_else(world: World, how: str) -> None:
    diary: list[Any] = []
    here = world.node(*parts("a"), part("b", diary, {"stop": [blow(how)]}), law=FAST, strategy="one_for_all")
    here.ref("a").tell(Crash())
    world.until(lambda: len(happened(here, "actor_started", "b")) == 2 and info(here, "a").phase == "up")
    assert total(here.ref("a")) == total(here.ref("b")) == 0
    assert diary == ["start b", "stop b", "crash b", "start b"]
    assert how in info(here, "b").last_crash


@pytest.mark.parametrize("how", ERRORS)
def test_a_crash_in_on_crash_is_a_crash_all_the_same(world: World, how: str) -> None:
    here = world.node(part("a", faults={"crash": [blow(how)]}), law=FAST)
    here.ref("a").tell(Crash())
    assert total(here.ref("a")) == 0
    assert info(here, "a").restarts == 1


@pytest.mark.parametrize("how", ERRORS)
def test_who_stops_for_good_may_crash_in_it(world: World, how: str) -> None:
    here = world.node(part("a", faults={"stop": [blow(how)]}), *parts("b"))
    assert here.ref("a").stop() is True
    assert not here.ref("a").is_alive()
    assert total(here.ref("b")) == 0


def test_two_broken_pipes_crash_one_incarnation(world: World) -> None:
    kept: list[Any] = []
    here = world.node(*parts("a", "b"), law=FAST)

    def pipe_twice(actor: Any) -> None:
        for _ in range(2):
            asks = Do(lambda b: kept.append(b.reply_later()))
            actor.pipe(actor.address("b"), asks, PATIENCE, lambda _: fail(ValueError("as told")))

    do(here.ref("a"), pipe_twice)
    world.until(lambda: len(kept) == 2)
    world.block(here.ref("a"))
    for reply in kept:
        reply.answer(None)
    world.unblock()
    world.until(lambda: len(happened(here, "actor_started", "a")) == 2)
    assert total(here.ref("a")) == 0
    assert len(happened(here, "actor_crashed")) == 1


class Shy(Exception):
    """An exception that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("do not look")

    __str__ = __repr__


@pytest.mark.parametrize("hook", ["construct", "start", "stop", "crash", "receive", "ask"])
def test_an_exception_that_cannot_be_shown_is_a_crash_like_any_other(world: World, hook: str) -> None:
    here = world.node(*parts("a"), part("b", faults={hook: [Shy()]}), law=FAST, strategy="one_for_all")
    if hook == "ask":
        with pytest.raises(Refused, match="crashed"):
            do(here.ref("b"), lambda _: fail(Shy()))
    elif hook != "construct" and hook != "start":
        here.ref("a" if hook == "stop" else "b").tell(Do(lambda _: fail(Shy())))
    world.until(lambda: len(happened(here, "actor_crashed")) >= 1 and info(here, "b").phase == "up")
    assert total(here.ref("a")) == total(here.ref("b")) == 0
    assert "Shy" in "".join(info(here, name).last_crash for name in "ab")


def test_what_was_to_be_answered_later_by_who_crashed_times_out(world: World) -> None:
    here = world.node(*parts("a"), law=FAST)
    asked = here.ref("a").ask(Do(lambda actor: actor.reply_later()), timeout=0.2, block=False)
    here.ref("a").tell(Crash())
    with pytest.raises(Refused) as refused:
        asked.get()
    assert refused.value.code == "timeout"


def test_the_next_incarnation_begins_anew(world: World) -> None:
    here = world.node(*parts("a"), law=FAST)
    here.ref("a").tell(Add(5))
    assert total(here.ref("a")) == 5
    here.ref("a").tell(Crash())
    here.ref("a").tell(Add(1))
    assert total(here.ref("a")) == 1


def test_a_crash_touches_nobody_beside_it(world: World) -> None:
    here = world.node(*parts("a", "b", "c"), law=FAST)
    here.ref("a").tell(Add(1))
    here.ref("c").tell(Add(3))
    for _ in range(5):
        here.ref("b").tell(Crash())
    assert total(here.ref("b")) == 0
    assert (total(here.ref("a")), total(here.ref("c"))) == (1, 3)
    assert [info(here, name).restarts for name in "abc"] == [0, 5, 0]


def test_an_actor_without_receive_crashes_on_what_it_is_told(world: World) -> None:
    here = world.node(Child("a", Actor), law=FAST)
    with pytest.raises(Refused, match="Actor has no receive"):
        here.ref("a").ask(1, timeout=PATIENCE)
