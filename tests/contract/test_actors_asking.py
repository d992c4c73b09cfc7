"""What can be said to an actor, and what comes back: the same on threads and in the simulation."""

from __future__ import annotations

from typing import Any

import pykka
import pytest

from tests.contract.kit import (
    PATIENCE,
    Add,
    Answered,
    Do,
    Introduce,
    Stranger,
    Total,
    do,
    fail,
    info,
    notes,
    part,
    parts,
    total,
)
from tests.contract.world import World
from tucano.actors.kernel import Refused, TimedOut
from tucano.testing import Probe


def refusal(ask: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        ask()
    return refused.value


def test_tell_and_ask_reach_an_actor_by_name_and_by_address(world: World) -> None:
    here = world.node(*parts("a"))
    assert here.ref("a") == here.ref("here/a")
    assert here.ref("a").tell(Add(2))
    assert here.ref("here/a").tell(Add(3))
    assert here.ref("a").ask(Total(), timeout=PATIENCE) == 5


def test_ask_gives_a_future_when_it_is_not_to_wait(world: World) -> None:
    here = world.node(*parts("a", "b"))
    future = here.ref("a").ask(Total(), timeout=PATIENCE, block=False)
    assert isinstance(future, pykka.Future)
    other = here.ref("b").ask(Do(lambda _: 4), timeout=PATIENCE, block=False)
    assert future.map(lambda found: found + 1).join(other).get() == [1, 4]


def test_messages_of_one_sender_are_handled_in_order(world: World) -> None:
    here = world.node(*parts("a"))
    diary: list[int] = []
    for number in range(200):
        here.ref("a").tell(Do(notes(number, diary)))
    total(here.ref("a"))
    assert diary == list(range(200))


def test_a_refusal_that_is_raised_is_an_answer_and_no_crash(world: World) -> None:
    here = world.node(*parts("a"))
    refused = refusal(lambda: do(here.ref("a"), lambda _: fail(Refused("too_late", "come back tomorrow"))))
    assert (refused.code, str(refused)) == ("too_late", "come back tomorrow")
    assert here.ref("a").tell(Do(lambda _: fail(Refused("too_late", "nobody listens"))))
    assert total(here.ref("a")) == 0
    assert info(here, "a").restarts == 0


def test_an_ask_without_an_answer_times_out_as_pykkas_do(world: World) -> None:
    here = world.node(*parts("a"))
    world.block(here.ref("a"))
    with pytest.raises(pykka.Timeout) as silence:
        here.ref("a").ask(Total(), timeout=0.01)
    assert isinstance(silence.value, TimedOut)
    assert silence.value.code == "timeout"
    assert "here/a gave no answer in 0.01 s" in str(silence.value)


def test_a_future_can_be_read_again_after_a_shorter_wait(world: World) -> None:
    here = world.node(*parts("a"))
    world.block(here.ref("a"))
    future = here.ref("a").ask(Do(lambda _: "late"), timeout=PATIENCE, block=False)
    with pytest.raises(pykka.Timeout) as silence:
        future.get(timeout=0.01)
    assert not isinstance(silence.value, Refused)
    world.unblock()
    assert future.get(timeout=PATIENCE) == "late"
    assert future.get() == "late"


def test_what_nobody_is_called_refuses(world: World) -> None:
    here = world.node()
    nobody = here.ref("nobody")
    assert not nobody.is_alive()
    assert not nobody.tell(Total())
    assert refusal(lambda: nobody.ask(Total(), timeout=PATIENCE)).code == "not_found"
    assert here.dead_letters == 2
    assert refusal(lambda: here.ref("nowhere/a").ask(Total(), timeout=PATIENCE)).code == "unreachable"


def test_a_message_of_an_unknown_type_is_refused_and_never_seen(world: World) -> None:
    here = world.node(*parts("a"))
    assert here.ref("a").tell(Stranger())
    for wrong in (Stranger(), {"plain": 1}, None):
        assert refusal(lambda wrong=wrong: here.ref("a").ask(wrong, timeout=PATIENCE)).code == "not_understood"
    assert total(here.ref("a")) == 0
    assert info(here, "a").restarts == 0


def test_who_sent_a_message_can_be_seen(world: World) -> None:
    here = world.node(*parts("a", "b"))
    senders: list[str] = []
    here.ref("a").tell(Do(lambda actor: senders.append(actor.sender)))
    do(here.ref("b"), lambda b: b.address("a").tell(Do(lambda actor: senders.append(actor.sender))))
    do(here.ref("a"), lambda a: a.ref.tell(Do(lambda actor: senders.append(actor.sender))))
    world.until(lambda: len(senders) == 3)
    assert senders == ["", "here/b", "here/a"]


def test_pipe_brings_the_answer_without_waiting(world: World) -> None:
    here = world.node(*parts("a", "b"))
    here.ref("b").tell(Add(4))
    world.block(here.ref("b"))
    piped = here.ref("a").ask(Introduce(here.ref("b")), timeout=PATIENCE, block=False)
    here.ref("a").tell(Add(1))
    assert total(here.ref("a")) == 1
    world.unblock()
    assert piped.get() == 4


def test_pipe_brings_a_refusal(world: World) -> None:
    here = world.node(*parts("a"))
    nobody = here.ref("nobody")
    assert refusal(lambda: here.ref("a").ask(Introduce(nobody), timeout=PATIENCE)).code == "not_found"


def test_pipe_brings_a_timeout(world: World) -> None:
    here, probe = world.node(*parts("a")), Probe()
    here.spawn(probe.child("probe"))
    world.block(here.ref("a"))
    assert refusal(lambda: probe.ask(here.ref("a"), Total(), timeout=0.01)).code == "timeout"


@pytest.mark.parametrize(
    "wait",
    [
        lambda actor: actor.address("b").ask(Total(), timeout=PATIENCE),
        lambda actor: actor.address("b").ask(Total(), timeout=PATIENCE, block=False).get(),
        lambda actor: actor.address("b").ask(Total(), timeout=PATIENCE, block=False).map(str).get(),
        lambda actor: actor.address("b").stop(),
        lambda actor: actor.address("b").stop(block=False).get(),
    ],
    ids=["ask", "get", "map", "stop", "stop and get"],
)
def test_an_actor_that_would_wait_is_told_what_to_do_instead(world: World, wait: Any) -> None:
    here = world.node(*parts("a", "b"))
    world.block(here.ref("b"))

    def words(actor: Any) -> str:
        try:
            return f"it waited: {wait(actor)}"
        except RuntimeError as error:
            return str(error)

    assert "an actor may not wait for here/b" in do(here.ref("a"), words)


def test_an_actor_may_read_a_future_that_is_resolved(world: World) -> None:
    here = world.node(*parts("a", "b"))
    futures: list[pykka.Future[Any]] = []
    do(here.ref("a"), lambda actor: futures.append(actor.address("b").ask(Do(lambda _: 5), timeout=9, block=False)))
    total(here.ref("b"))
    assert do(here.ref("a"), lambda _: futures[0].get()) == 5


def test_an_answer_may_come_later_and_only_once(world: World) -> None:
    here = world.node(*parts("a"))
    kept: list[Any] = []

    def take_over(actor: Any) -> str:
        kept.append(actor.reply_later())
        kept.append(actor.reply_later())  # there is nothing left to take over
        return "too early"

    asked = here.ref("a").ask(Do(take_over), timeout=PATIENCE, block=False)
    world.until(lambda: len(kept) == 2)
    for reply, result in ((kept[1], "nobody's"), (kept[0], "in time"), (kept[0], "too late")):
        here.ref("a").tell(Answered(reply, result))
    assert total(here.ref("a")) == 0
    assert asked.get() == "in time"


def test_a_ref_survives_restarts_and_travels_in_messages(world: World) -> None:
    here = world.node(*parts("a", "b"))
    a, b = here.ref("a"), here.ref("b")
    here.ref("b").tell(Add(9))
    assert a.ask(Introduce(b), timeout=PATIENCE) == 9
    assert refusal(lambda: do(b, lambda _: fail(ValueError()))).code == "crashed"
    b.tell(Add(1))
    assert a.ask(Introduce(b), timeout=PATIENCE) == 1
    assert info(here, "b").restarts == 1
    assert b.is_alive()


def test_an_actor_is_started_by_a_tree_only(world: World) -> None:
    made = world.node().spawn(part("a"))
    assert total(made) == 0
    with pytest.raises(TypeError, match="as a child of a tree"):
        part("a").actor.start()
