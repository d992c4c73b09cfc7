"""What other nodes send is checked at the door, and travels on the lane of its kind."""

from __future__ import annotations

import threading

import msgspec
import pytest

from tests.contract.kit import PATIENCE, Add, Diary, Do, Total, info, parts
from tests.contract.world import RealWorld
from tests.helpers import eventually
from tucano.actors.kernel import Actor, Child, Down, Message, Note, Refused, System
from tucano.actors.kernel.message import Codec
from tucano.actors.kernel.watches import WATCHERS
from tucano.actors.messages import deployer  # noqa: F401 - so that its tags are known
from tucano.transport.link import BULK, CONTROL, METRICS, Kind, Letter


def test_malformed_letters_harm_nobody(real: RealWorld) -> None:
    here, there = real.pair([], parts("a"))
    for kind in {*Kind, 99} - {Kind.STOP}:
        for body in (b"\xc1", b"\x01", b"\x92\x01\x02"):
            for sender in ("", "here/w", "there/a", "/"):
                tag = "kernel.Nonsense/9" if body == b"\x01" else ""
                there.far.letters("here", [Letter(kind, "a", sender, 999_999, 0, tag, msgspec.Raw(body))])
    assert here.ref("there/a").ask(Total(), timeout=PATIENCE) == 0


@pytest.mark.parametrize(
    ("letter", "why"),
    [
        (Letter(Kind.TELL, "a", "other/a"), "says to be from 'other/a'"),
        (Letter(Kind.TELL, "a", "hereafter/a"), "says to be from 'hereafter/a'"),
        (Letter(Kind.WATCH, "a"), "says to be from ''"),
        (Letter(Kind.WATCH, "a", "other/a"), "says to be from 'other/a'"),
        (Letter(Kind.UNWATCH, "a"), "says to be from ''"),
        (Letter(Kind.DOWN, "a"), "says to be from ''"),
        (Letter(Kind.TELL, "a", "here/w", tag="kit.Add/2"), "no message is called 'kit.Add/2'"),
        (Letter(Kind.TELL, "a", "here/w", tag="deployer.Scale/2"), "upgrade this node"),
        (Letter(11, "a", "here/w"), "letters of kind 11 are not known"),
    ],
)
def test_what_a_node_may_not_say_is_refused_counted_and_an_event(real: RealWorld, letter: Letter, why: str) -> None:
    _, there = real.pair([], parts("a"))
    for _ in range(2):
        there.far.letters("here", [letter])
    told = [event.detail for event in there.events() if event.what == "message_refused"]
    assert len(told) == 2
    assert all(why in detail for detail in told)
    assert told[1].endswith("(2 times)")
    assert there.watches.count() == 0


def test_an_answer_does_not_wait_for_the_message_after_it(real: RealWorld) -> None:
    here, there = real.pair([], parts("a"))
    real.block(there.ref("a"))
    first = here.ref("there/a").ask(Total(), timeout=PATIENCE, block=False)
    eventually(lambda: info(there, "a").depth == 1, "it waits")
    answered = threading.Event()
    there.ref("a").tell(Do(lambda _: answered.wait(PATIENCE)))
    real.unblock()
    try:
        assert first.get() == 0
    finally:
        answered.set()


def test_a_malformed_letter_costs_none_of_those_beside_it(real: RealWorld) -> None:
    here, there = real.pair([], parts("a"))
    bad = [Letter(Kind.REFUSAL, body=msgspec.Raw(b"\x92\xa1\xff\xa1\xff")), Letter(Kind.TELL, "a" * 1000)]
    tag, body = Codec().encode(Add(3))
    for letter in (*bad, Letter(Kind.WATCH, "a"), Letter(Kind.DOWN, "a"), Letter(77)):
        there.far.letters("here", [letter, Letter(Kind.TELL, "a", "", 0, 0, tag, msgspec.Raw(body))])
    eventually(lambda: here.ref("there/a").ask(Total(), timeout=PATIENCE) == 15)
    refused = [event.detail for event in there.events() if event.what == "message_refused"]
    assert any("malformed" in text for text in refused)
    assert any("no actor can be called" in text for text in refused)


def test_nobody_answers_for_another_node(real: RealWorld) -> None:
    here, there = real.pair([], parts("a"))
    real.block(there.ref("a"))
    future = here.ref("there/a").ask(Total(), timeout=PATIENCE, block=False)
    (number,) = here.far._asked._open
    for kind, body in ((3, b"\x2a"), (3, b"\xc1"), (4, b"\x92\xa1a\xa1b"), (4, b"")):
        here.far.letters("evil", [Letter(kind, "", "", number, body=msgspec.Raw(body))])
    real.unblock()
    assert future.get(timeout=PATIENCE) == 0
    assert "it answers what there was asked" in [event.detail for event in here.events()]


def test_an_answer_to_the_incarnation_before_answers_nothing(real: RealWorld) -> None:
    here, there = real.pair([], parts("a"))
    real.block(there.ref("a"))
    future = here.ref("there/a").ask(Total(), timeout=PATIENCE, block=False)
    here.far.letters("there", [Letter(Kind.ANSWER, id=number, body=msgspec.Raw(b"\x2a")) for number in range(1000)])
    real.unblock()
    assert future.get(timeout=PATIENCE) == 0


class Nudge(Note, frozen=True):
    pass


class Watchful(Actor):
    Inbox = Add | Down | Nudge
    total = 0

    def receive(self, message: Add | Down | Nudge) -> int:
        self.total += message.number if isinstance(message, Add) else 1000
        return self.total


@pytest.mark.parametrize("message", [Nudge(), Down("there/a", "crashed")])
def test_what_an_actor_says_to_itself_no_other_node_can_say(real: RealWorld, message: Message) -> None:
    here, _ = real.pair([], [Child("a", Watchful)])
    here.ref("there/a").tell(message)
    with pytest.raises(Refused, match="no message is called"):
        here.ref("there/a").ask(message, timeout=PATIENCE)
    assert here.ref("there/a").ask(Add(1), timeout=PATIENCE) == 1


def test_watchers_that_another_node_makes_up_are_bounded_and_told(real: RealWorld) -> None:
    diary: Diary = []
    here, there = real.pair(parts("w", diary=diary), parts("a"))
    there.far.letters("here", [Letter(Kind.WATCH, "a", f"here/{number}") for number in range(WATCHERS)])
    assert there.watches.count() == WATCHERS
    here.ref("w").ask(Do(lambda actor: actor.watch(actor.address("there/a"))), timeout=PATIENCE)
    eventually(lambda: Down("there/a", "node_silent", f"{WATCHERS} watch it, the most that may") in diary)


class Large(Message, frozen=True):
    LANE = BULK

    body: bytes


class Measured(Message, frozen=True):
    LANE = METRICS


class Keeper(Actor):
    Inbox = Large | Measured

    def receive(self, message: Large | Measured) -> int:
        return len(message.body) if isinstance(message, Large) else 0


def test_a_message_and_its_answer_travel_on_the_lane_that_its_class_names(real: RealWorld) -> None:
    here, there = real.pair([], [Child("keeper", Keeper)])
    assert here.ref("there/keeper").ask(Large(bytes(2_000_000)), timeout=PATIENCE) == 2_000_000
    assert here.ref("there/keeper").tell(Measured())
    assert here.ref("there/keeper").ask(Measured(), timeout=PATIENCE) == 0
    with pytest.raises(Refused, match="no actor"):
        here.ref("there/nobody").ask(Large(b""), timeout=PATIENCE)

    def passed(system: System) -> dict[str, tuple[int, int]]:
        (link,) = system.far.links()
        return {str(info.lane): (info.sent, info.received) for info in link.lanes if info.lane != CONTROL}

    # a letter is counted when it has been sent: its receiver may be sooner
    eventually(lambda: passed(here) == {BULK: (2, 2), METRICS: (2, 1)}, "what has left and come here")
    eventually(lambda: passed(there) == {BULK: (2, 2), METRICS: (1, 2)}, "what has left and come there")


def test_control_is_answered_while_much_is_on_its_way_on_the_bulk_lane(real: RealWorld) -> None:
    here, there = real.pair([], [*parts("a"), Child("keeper", Keeper, mailbox=100)])
    assert there.ref("a").is_alive()
    asked = [here.ref("there/keeper").ask(Large(bytes(1 << 20)), timeout=PATIENCE, block=False) for _ in range(30)]
    for _ in range(20):
        assert here.ref("there/a").ask(Total(), timeout=PATIENCE) == 0
    assert [future.get() for future in asked] == [1 << 20] * 30
