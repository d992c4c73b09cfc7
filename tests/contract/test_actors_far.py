"""What holds near holds far: two nodes, over real sockets and over the network in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pykka
import pytest

from tests.contract.kit import (
    FAST,
    PATIENCE,
    Add,
    Crash,
    Diary,
    Do,
    Introduce,
    Stranger,
    Total,
    Write,
    do,
    happened,
    info,
    part,
    parts,
    total,
)
from tests.contract.world import World
from tucano.actors.kernel import Actor, Child, Down, Refused
from tucano.testing import Probe

ANSWERS: dict[str, Any] = {"function": print, "huge": 2**70, "set": {1}, "tuple": (1, 2), "map": {"a": [None]}}


class Teller(Actor):
    """Answers a word with what it stands for, which may not be able to travel; "who" with who asks."""

    def receive(self, message: Any) -> Any:
        if message in ("mine", "not mine"):
            self.insist("here" if message == "mine" else "nobody")
        said = {"who": self.sender, "where": self.origin}
        return said.get(message, ANSWERS.get(message, message))


def code(ask: Callable[[], Any]) -> str:
    with pytest.raises(Refused) as refused:
        ask()
    return refused.value.code


def test_tell_and_ask_cross_nodes(world: World) -> None:
    here, there = world.pair([], parts("a"))
    assert here.ref("there/a").tell(Add(2))
    assert here.ref("there/a").ask(Total(), timeout=PATIENCE) == 2
    assert here.ref("there/a").ask(Total(), timeout=PATIENCE, block=False).map(lambda found: found + 1).get() == 3
    assert there.ref("a").ask(Total(), timeout=PATIENCE) == 2
    assert here.ref("there/a").is_alive()
    assert not here.ref("nowhere/a").is_alive()


def test_an_actor_knows_which_node_it_is_told_by_and_who_may_speak_for_whom(world: World) -> None:
    here, there = world.pair([Child("a", Teller)], [Child("a", Teller)])
    assert here.ref("there/a").ask("where", timeout=PATIENCE) == "here"
    assert there.ref("a").ask("where", timeout=PATIENCE) == "there"
    assert here.ref("there/a").ask("mine", timeout=PATIENCE) == "mine"
    assert there.ref("a").ask("mine", timeout=PATIENCE) == "mine", "its own node passes on what it has checked"
    assert code(lambda: there.ref("here/a").ask("not mine", timeout=PATIENCE)) == "forbidden"
    assert [event.who for event in here.events() if event.what == "message_refused"] == ["a"]


def test_messages_of_one_sender_are_handled_in_order_far_too(world: World) -> None:
    diary: Diary = []
    here, _ = world.pair([], parts("a", diary=diary))
    for number in range(500):
        assert here.ref("there/a").tell(Write(number))
    total(here.ref("there/a"))
    assert diary[1:] == list(range(500))


def test_who_sent_it_and_pipes_cross_nodes(world: World) -> None:
    probe = Probe()
    here, there = world.pair([probe.child("p")], [*parts("a"), Child("t", Teller)])
    there.ref("a").tell(Add(7))
    assert probe.ask(here.ref("there/a"), Total()) == 7
    assert probe.ask(here.ref("there/t"), "who") == "here/p"
    assert here.ref("there/t").ask("who", timeout=PATIENCE) == ""


def test_refs_travel_in_messages_both_ways(world: World) -> None:
    here, there = world.pair(parts("a", "b"), parts("c"))
    here.ref("b").tell(Add(9))
    assert here.ref("there/c").ask(Introduce(here.ref("b")), timeout=PATIENCE) == 9
    there.ref("c").tell(Add(4))
    assert there.ref("here/a").ask(Introduce(there.ref("c")), timeout=PATIENCE) == 4


@pytest.mark.parametrize(
    ("to", "message", "expected"),
    [
        ("there/nobody", Total(), "not_found"),
        ("there/a", Stranger(), "not_understood"),
        ("there/a", {"plain": 1}, "not_understood"),
        ("there/a", Crash(), "crashed"),
        ("there/a", Crash("SystemExit"), "crashed"),
        ("nowhere/a", Total(), "unreachable"),
    ],
)
def test_refusals_are_the_same_far_as_near(world: World, to: str, message: Any, expected: str) -> None:
    here, there = world.pair([], parts("a"), law=FAST)
    assert code(lambda: here.ref(to).ask(message, timeout=PATIENCE)) == expected
    assert total(there.ref("a")) == 0


def test_a_full_mailbox_refuses_far_too(world: World) -> None:
    here, there = world.pair([], [part("a", mailbox=1)])
    world.block(there.ref("a"))
    assert there.ref("a").tell(Add(1))
    assert here.ref("there/a").tell(Add(1)), "it left; what became of it is seen there"
    assert code(lambda: here.ref("there/a").ask(Total(), timeout=PATIENCE)) == "mailbox_full"
    assert (there.dead_letters, here.dead_letters) == (2, 0)


def test_a_far_ask_without_an_answer_times_out(world: World) -> None:
    here, there = world.pair([], parts("a"))
    world.block(there.ref("a"))
    with pytest.raises(pykka.Timeout, match=r"there/a gave no answer in 0\.05 s"):
        here.ref("there/a").ask(Total(), timeout=0.05)


def test_an_actor_that_would_wait_for_another_node_is_told_what_to_do_instead(world: World) -> None:
    here, _ = world.pair(parts("a"), parts("b"))

    def words(actor: Any) -> str:
        with pytest.raises(RuntimeError) as refused:
            actor.address("there/b").ask(Total(), timeout=1.0)
        return str(refused.value)

    assert "use pipe()" in do(here.ref("a"), words)


def test_a_message_that_cannot_travel_is_the_senders_own_mistake(world: World) -> None:
    here, there = world.pair(parts("a"), parts("b"))
    with pytest.raises(TypeError, match="cannot travel in a message"):
        here.ref("there/b").tell(Do(print))
    with pytest.raises(TypeError, match="cannot travel in a message"):
        here.ref("there/b").ask(Write(object()), timeout=PATIENCE)

    def pipe(actor: Any) -> str:
        with pytest.raises(TypeError) as refused:
            actor.pipe(actor.address("there/b"), Do(print), PATIENCE, Write)
        return str(refused.value)

    assert "cannot travel" in do(here.ref("a"), pipe)
    assert info(here, "a").waits == ()
    assert total(there.ref("b")) == 0


@pytest.mark.parametrize("what", ["function", "huge"])
def test_an_answer_that_cannot_travel_is_refused_and_harms_nobody(world: World, what: str) -> None:
    here, there = world.pair([], [Child("a", Teller)])
    with pytest.raises(Refused, match="there/a gave an answer that cannot travel") as refused:
        here.ref("there/a").ask(what, timeout=PATIENCE)
    assert refused.value.code == "crashed"
    assert here.ref("there/a").ask("so", timeout=PATIENCE) == "so"
    assert info(there, "a").restarts == 0


@pytest.mark.parametrize(("what", "arrives"), [("tuple", [1, 2]), ("set", [1]), ("map", {"a": [None]})])
def test_plain_answers_arrive_as_plain_values(world: World, what: str, arrives: Any) -> None:
    here, _ = world.pair([], [Child("a", Teller)])
    assert here.ref("there/a").ask(what, timeout=PATIENCE) == arrives


def test_an_actor_is_stopped_from_another_node(world: World) -> None:
    diary: Diary = []
    here, there = world.pair([], [*parts("a", diary=diary), *parts("b")])
    world.block(there.ref("a"))
    for _ in range(100):
        here.ref("there/a").tell(Write("too late"))
    total(here.ref("there/b"))
    stopped = here.ref("there/a").stop(block=False)
    world.until(lambda: info(there, "a").phase == "stopping")
    world.unblock()
    assert stopped.get() is True
    assert diary == ["start a", "stop a"]
    assert not there.ref("a").is_alive()
    assert here.ref("there/a").stop() is False
    assert code(lambda: here.ref("nowhere/a").stop()) == "unreachable"


def test_a_far_watcher_is_told_once_and_why(world: World) -> None:
    diary: Diary = []
    here, there = world.pair(parts("w", diary=diary), parts("a", "b"), law=FAST)
    for name in ("a", "a", "b", "nobody"):
        do(here.ref("w"), lambda actor, name=name: actor.watch(actor.address(f"there/{name}")))  # type: ignore[misc]
    world.until(lambda: there.watches.count() == 2)
    there.ref("a").tell(Crash())
    assert total(there.ref("a")) == 0
    there.ref("a").stop()
    there.ref("b").stop()
    world.until(lambda: len(diary) == 4)
    assert [(down.who, down.why) for down in diary[1:]] == [
        ("there/nobody", "not_found"), ("there/a", "crashed"), ("there/b", "stopped"),
    ]  # fmt: skip
    assert here.watches.count() == there.watches.count() == 0


def test_a_far_watch_ends_with_its_watcher(world: World) -> None:
    diary: Diary = []
    here, there = world.pair(parts("w", "v", diary=diary), parts("a"), law=FAST)
    for name in "wv":
        do(here.ref(name), lambda actor: actor.watch(actor.address("there/a")))
    world.until(lambda: there.watches.count() == 2)
    do(here.ref("v"), lambda actor: actor.unwatch(actor.address("there/a")))
    here.ref("w").tell(Crash())
    world.until(lambda: there.watches.count() == 0)
    there.ref("a").stop()
    assert code(lambda: here.ref("there/a").ask(Total(), timeout=PATIENCE)) == "not_found"
    total(here.ref("w"))
    assert [entry for entry in diary if isinstance(entry, Down)] == []


def test_a_node_that_is_gone_is_the_end_of_its_actors_and_of_open_asks(world: World) -> None:
    diary: Diary = []
    here, there = world.pair(parts("w", diary=diary), parts("a", "b"))
    for name in "ab":
        do(here.ref("w"), lambda actor, name=name: actor.watch(actor.address(f"there/{name}")))  # type: ignore[misc]
    world.until(lambda: there.watches.count() == 2)
    world.block(there.ref("a"))
    asked = here.ref("there/a").ask(Total(), timeout=PATIENCE, block=False)
    world.vanish(there)
    world.until(lambda: len(diary) == 3)
    assert [(down.who, down.why) for down in diary[1:]] == [("there/a", "node_silent"), ("there/b", "node_silent")]
    assert code(asked.get) == "unreachable"
    world.until(lambda: not here.ref("there/a").is_alive())
    assert len(happened(here, "node_down", "there")) == 1
    assert here.watches.count() == 0
    do(here.ref("w"), lambda actor: actor.watch(actor.address("there/a")))
    world.until(lambda: len(diary) == 4)
    assert diary[3].why == "node_silent"


def test_watchers_on_a_node_that_is_gone_are_forgotten(world: World) -> None:
    here, there = world.pair(parts("w"), parts("a"))
    do(here.ref("w"), lambda actor: actor.watch(actor.address("there/a")))
    world.until(lambda: there.watches.count() == 1)
    world.vanish(here)
    world.until(lambda: there.watches.count() == 0)


def test_a_node_that_stops_tells_who_watches_its_actors(world: World) -> None:
    diary: Diary = []
    here, there = world.pair(parts("w", diary=diary), parts("a"))
    do(here.ref("w"), lambda actor: actor.watch(actor.address("there/a")))
    world.until(lambda: there.watches.count() == 1)
    assert there.stop(PATIENCE)
    world.until(lambda: len(diary) == 2)
    assert diary[1].who == "there/a"
    assert diary[1].why in ("stopped", "node_silent")
