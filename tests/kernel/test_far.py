"""What is promised near holds far: two systems joined by real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.helpers import eventually
from tests.kernel.test_actor import FAST, Add, Crash, Forward, Stranger, Total, Watch, counters
from tucano.actors.kernel import Actor, Child, Down, Message, Refused, System
from tucano.transport.link import BULK, METRICS, Kind, Letter
from tucano.transport.zmq_link import ZmqLink

CLUSTER = "0123456789abcdef"


@pytest.fixture
def pair() -> Iterator[tuple[System, System, list[Any]]]:
    log: list[Any] = []
    links = [ZmqLink(name, CLUSTER) for name in ("here", "there")]
    here, there = System("here", link=links[0]), System("there", link=links[1])
    here.run(counters("w", "x", log=log), law=FAST)
    there.run(counters("a", "b"), law=FAST)
    links[0].connect("there", links[1].address)
    eventually(lambda: links[0].connected("there") and links[1].connected("here"))
    yield here, there, log
    assert here.stop(10)
    assert there.stop(10)


Pair = tuple[System, System, list[Any]]


def test_tell_and_ask_cross_nodes(pair: Pair) -> None:
    here, there, _ = pair
    assert here.ref("there/a").tell(Add(2))
    assert here.ref("there/a").ask(Total(), timeout=5) == 2
    assert there.ref("a").ask(Total(), timeout=5) == 2


class Large(Message, frozen=True):
    LANE = BULK

    body: bytes


class Measured(Message, frozen=True):
    LANE = METRICS


class Keeper(Actor):
    Inbox = Large | Measured

    def receive(self, message: Large | Measured) -> int:
        return len(message.body) if isinstance(message, Large) else 0


def test_a_message_and_its_answer_travel_on_the_lane_that_its_class_names(pair: Pair) -> None:
    here, there, _ = pair
    there.spawn(Child("keeper", Keeper))
    assert here.ref("there/keeper").ask(Large(bytes(2_000_000)), timeout=5) == 2_000_000
    assert here.ref("there/keeper").tell(Measured())
    assert here.ref("there/keeper").ask(Measured(), timeout=5) == 0
    with pytest.raises(Refused, match="no actor"):
        here.ref("there/nobody").ask(Large(b""), timeout=5)
    for system, sent, received in ((here, {BULK: 2, METRICS: 2}, (2, 1)), (there, {BULK: 2, METRICS: 1}, (2, 2))):
        (link,) = system.far.links()
        seen = {str(info.lane): info for info in link.lanes}
        assert {lane: seen[lane].sent for lane in sent} == sent
        assert (seen[BULK].received, seen[METRICS].received) == received


def test_control_overtakes_bulk(pair: Pair) -> None:
    here, there, _ = pair
    there.spawn(Child("keeper", Keeper, mailbox=100))
    large = [here.ref("there/keeper").ask(Large(bytes(1 << 20)), timeout=20, block=False) for _ in range(30)]
    for _ in range(20):
        assert here.ref("there/a").ask(Total(), timeout=5) == 0
    assert [future.get() for future in large] == [1 << 20] * 30


def test_refs_travel_in_messages(pair: Pair) -> None:
    here, _, _ = pair
    here.ref("x").tell(Add(9))
    assert here.ref("there/a").ask(Forward(here.ref("x")), timeout=5) == ["forwarded", 9]


@pytest.mark.parametrize(
    ("to", "message", "code"),
    [
        ("there/nobody", Total(), "not_found"),
        ("there/a", Stranger(), "not_understood"),
        ("there/a", {"plain": 1}, "not_understood"),
        ("nowhere/a", Total(), "unreachable"),
    ],
)
def test_refusals_are_the_same_far_as_near(pair: Pair, to: str, message: Any, code: str) -> None:
    with pytest.raises(Refused) as refused:
        pair[0].ref(to).ask(message, timeout=5)
    assert refused.value.code == code


def test_a_far_watcher_hears_of_a_crash_and_of_a_node_that_leaves(pair: Pair) -> None:
    here, there, log = pair
    for name in ("a", "b"):
        here.ref("w").ask(Watch(here.ref(f"there/{name}")), timeout=5)
    here.ref("there/a").ask(Total(), timeout=5)  # in order: the watches have arrived
    here.ref("there/a").tell(Crash())
    eventually(lambda: [d for d in log if isinstance(d, Down)])
    there.stop(5)
    downs = eventually(lambda: (d := [x for x in log if isinstance(x, Down)]) and len(d) == 2 and d)
    assert {d.who for d in downs} == {"there/a", "there/b"}
    assert downs[0].why == "crashed"
    assert downs[1].why in ("stopped", "node_silent")


def test_malformed_letters_harm_nobody(pair: Pair) -> None:
    here, there, _ = pair
    for kind in (Kind.REFUSAL, Kind.ANSWER, Kind.DOWN, Kind.ASK, Kind.TELL, 99):
        for body in (b"\xc1", b"\x01", b"\x92\x01\x02"):
            tag = "kernel.Nonsense/9" if body == b"\x01" else ""
            there.far.letters("here", [Letter(kind, "a", "here/w", 999_999, 0, tag, msgspec.Raw(body))])
    assert here.ref("there/a").ask(Total(), timeout=5) == 0
