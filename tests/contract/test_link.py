"""What every `Link` promises: the one over ZeroMQ and the one in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import msgspec
import pytest

from tests.contract.nets import Harness, MemoryNet, Watch, ZmqNet
from tests.helpers import eventually
from tests.transport.box import CLUSTER, Box, tell
from tucano.transport import wire
from tucano.transport.link import BULK, CONTROL, LANES, METRICS, QUEUE, QUEUE_BYTES, Kind, Lane, Letter
from tucano.transport.link_base import LinkBase
from tucano.transport.outgoing import HELD

NOBODY = "tcp://127.0.0.1:1"


def routing_id(node: str, incarnation: int = 1, cluster: str = CLUSTER) -> bytes:
    return wire.routing_id(wire.Peer(cluster, node, incarnation, NOBODY))


Open = Callable[[float], Harness]


@pytest.fixture(params=[ZmqNet, MemoryNet], ids=["zmq", "memory"])
def open_harness(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Makes links on a network whose clock runs so many times too fast."""
    harnesses: list[Harness] = []

    def begin(speed: float) -> Harness:
        harnesses.append(Harness(request.param(Watch(speed))))
        return harnesses[-1]

    yield begin
    for harness in harnesses:
        harness.close()


@pytest.fixture
def harness(open_harness: Open) -> Harness:
    return open_harness(1.0)


Pair = tuple[LinkBase, Box, LinkBase, Box]


@pytest.fixture
def pair(harness: Harness) -> Pair:
    (a, box_a), (b, box_b) = harness.link("a"), harness.link("b")
    a.connect("b", b.address)
    eventually(lambda: a.connected("b") and b.connected("a"))
    return a, box_a, b, box_b


def test_letters_arrive_in_order_with_all_their_fields(pair: Pair) -> None:
    a, _, _, box_b = pair
    body = msgspec.Raw(msgspec.msgpack.encode({"name": "ü", "sizes": [1, 2.5, None], "data": b"\0\xff"}))
    letters = [
        Letter(kind, f"actor-{number}", "a/me", number, 1500, "some.Tag/1", body, f"trace-{number}")
        for number, kind in enumerate([kind for kind in Kind if kind not in (Kind.BEAT, Kind.BYE, Kind.TAKEN)] * 700)
    ]
    for letter in letters:
        assert a.send("b", letter)
    eventually(lambda: len(box_b.got) == len(letters))
    assert box_b.got == [("a", letter) for letter in letters]


def test_who_was_connected_to_can_answer(pair: Pair) -> None:
    _, box_a, b, _ = pair
    assert b.send("a", tell("back"))
    eventually(lambda: box_a.got)
    assert box_a.got == [("b", tell("back"))]


def test_what_is_held_and_not_flushed_leaves_soon(open_harness: Open) -> None:
    harness = open_harness(0.01)  # no beat takes it along
    (a, _), (b, box_b) = harness.link("a"), harness.link("b")
    a.connect("b", b.address)
    eventually(lambda: a.connected("b"))
    for number in range(3):
        assert a.send("b", tell(str(number)), hold=True)
    a.soon()
    eventually(lambda: box_b.tags() == ["0", "1", "2"])
    for _ in range(100):
        a.soon()
    assert a.send("b", tell("much"), hold=True)
    a.flush("b")
    eventually(lambda: box_b.tags() == ["0", "1", "2", "much"])


def test_of_what_is_held_no_more_gathers_than_is_bounded(open_harness: Open) -> None:
    harness = open_harness(0.01)
    (a, _), (b, box_b) = harness.link("a"), harness.link("b")
    a.connect("b", b.address)
    eventually(lambda: a.connected("b"))
    for number in range(HELD):
        assert a.send("b", tell(str(number)), hold=True)
    eventually(lambda: len(box_b.got) == HELD)


def test_what_somebody_waits_for_leaves_whether_or_not_as_much_follows_as_has_come(open_harness: Open) -> None:
    harness = open_harness(0.01)
    (a, box_a), (b, box_b) = harness.link("a"), harness.link("b")
    a.connect("b", b.address)
    eventually(lambda: a.connected("b") and b.connected("a"))
    for turn in range(20):
        for number in range(4):
            assert b.send("a", Letter(Kind.ANSWER, id=number), hold=True)
        b.flush("a")
        eventually(lambda turn=turn: len(box_a.got) == 4 * turn + 4)  # type: ignore[misc]
        for number in range(turn % 6):
            assert a.send("b", tell(f"{turn}.{number}"), hold=True)
            a.hurry("b")
        eventually(lambda turn=turn: len(box_b.got) == sum(t % 6 for t in range(turn + 1)))  # type: ignore[misc]
    assert box_b.tags() == [f"{turn}.{number}" for turn in range(20) for number in range(turn % 6)]


def test_a_peer_comes_up_once(pair: Pair) -> None:
    a, box_a, b, box_b = pair
    for number in range(100):
        assert a.send("b", tell(str(number)))
        assert b.send("a", tell(str(number)))
    eventually(lambda: len(box_a.got) == len(box_b.got) == 100)
    assert box_a.news == [("b", "up")]
    assert box_b.news == [("a", "up")]


def test_nothing_is_sent_to_a_node_that_nobody_has_named(harness: Harness) -> None:
    a, _ = harness.link("a")
    assert not a.send("b", tell("x"))
    assert not a.connected("b")


def test_who_leaves_says_so_after_its_last_letter(pair: Pair) -> None:
    a, box_a, b, _ = pair
    assert b.send("a", tell("last"))
    b.close()
    eventually(lambda: ("b", "left") in box_a.news)
    assert box_a.news == [("b", "up"), ("b", "left")]
    assert box_a.tags() == ["last"]
    assert not a.connected("b")


def test_who_came_by_itself_costs_nothing_once_it_is_gone(pair: Pair) -> None:
    a, _, b, box_b = pair
    assert b.send("a", tell("word"))
    a.close()
    eventually(lambda: ("a", "left") in box_b.news)
    eventually(lambda: not b.stats())
    assert not b.send("a", tell("too late"))


def test_a_restarted_node_is_found_at_its_old_address(harness: Harness, pair: Pair) -> None:
    a, box_a, b, _ = pair
    b.close()
    eventually(lambda: ("b", "left") in box_a.news)
    _, box_b = harness.link("b", address=b.address)
    eventually(lambda: a.connected("b"))
    assert a.send("b", tell("again"))
    eventually(lambda: box_b.got)
    assert box_b.got == [("a", tell("again"))]


def test_a_new_incarnation_replaces_the_old_one_whose_letters_are_refused(harness: Harness) -> None:
    a, box = harness.link("a")
    harness.speak(routing_id("b", 1), a.address, wire.encode([tell("old")]))
    eventually(lambda: box.got)
    harness.speak(routing_id("b", 2), a.address, wire.encode([tell("new")]))
    eventually(lambda: len(box.got) == 2)
    harness.speak(routing_id("b", 1), a.address, wire.encode([tell("stale")]))
    eventually(lambda: a.refused == 1)
    assert box.news == [("b", "up"), ("b", "replaced by a new incarnation"), ("b", "up")]
    assert box.tags() == ["old", "new"]


def test_a_silent_peer_is_down_and_one_that_beats_is_not(open_harness: Open) -> None:
    harness = open_harness(
        2.0
    )  # twice as fast: silence is noticed after a second; faster would look like our own delay
    (a, box_a), (b, _) = harness.link("a"), harness.link("b")
    a.connect("b", b.address)
    for word in ("first", "second"):
        harness.speak(routing_id("c"), a.address, wire.encode([tell(word)]))
    eventually(lambda: len(box_a.got) == 2 and a.connected("b"))
    eventually(lambda: not a.connected("c"))
    assert [why[:6] for node, why in box_a.news if node == "c"] == ["up", "silent"]
    assert a.connected("b")


def test_a_full_queue_refuses_and_takes_letters_again_when_there_is_room(harness: Harness) -> None:
    a, _ = harness.link("a")
    b, _ = harness.link("b")
    b.close()
    a.connect("b", b.address)
    taken = [a.send("b", tell(str(number))) for number in range(QUEUE + 100)]
    assert taken.count(True) == QUEUE - 1  # and the first beat
    assert taken == sorted(taken, reverse=True)
    _, box_b = harness.link("b", address=b.address)
    eventually(lambda: len(box_b.got) == QUEUE - 1)
    assert box_b.tags() == [str(number) for number in range(QUEUE - 1)]
    assert a.send("b", tell("room"))


@pytest.mark.parametrize(
    ("identity", "frame"),
    [
        (b"stranger", b"hello"),
        (routing_id("c", cluster="f" * 16), wire.encode([tell("x")])),
        (routing_id("a"), wire.encode([tell("x")])),
        (routing_id("c"), b""),
        (routing_id("c"), b"\xff\xff"),
        (routing_id("c"), b"\x91" * 100_000),
        (routing_id("c"), wire.encode([tell("x")] * (wire.MAX_LETTERS + 1))),
    ],
    ids=["stranger", "another cluster", "our own name", "empty", "not msgpack", "deep", "too many"],
)
def test_what_no_peer_sends_is_refused_and_counted_and_harms_nobody(
    harness: Harness, pair: Pair, identity: bytes, frame: bytes
) -> None:
    a, box_a, b, _ = pair
    harness.speak(identity, a.address, frame)
    eventually(lambda: a.refused == 1)
    assert b.send("a", tell("still there"))
    eventually(lambda: box_a.got)
    assert box_a.got == [("b", tell("still there"))]
    assert box_a.news == [("b", "up")]


def test_nodes_of_two_clusters_never_meet(harness: Harness) -> None:
    (a, box_a), (b, box_b) = harness.link("a"), harness.link("b", cluster="f" * 16)
    a.connect("b", b.address)
    a.send("b", tell("x"))
    eventually(lambda: b.refused)
    assert not box_a.news + box_b.news
    assert not a.connected("b")


def test_large_bodies_arrive_whole(pair: Pair) -> None:
    a, _, _, box_b = pair
    bodies = [msgspec.Raw(msgspec.msgpack.encode(bytes([number]) * 5_000_000)) for number in range(6)]
    for number, body in enumerate(bodies):
        assert a.send("b", Letter(Kind.TELL, "someone", id=number, body=body))
    eventually(lambda: len(box_b.got) == 6)
    for number, (_, letter) in enumerate(box_b.got):
        assert letter.id == number
        assert bytes(letter.body) == bytes(bodies[number])


def test_a_burst_of_several_threads_arrives_each_senders_in_order(pair: Pair) -> None:
    a, _, _, box_b = pair

    def send(who: str) -> None:
        for number in range(2500):
            assert a.send("b", Letter(Kind.TELL, "someone", who, number))

    threads = [threading.Thread(target=send, args=(f"a/{name}",)) for name in "wxyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: len(box_b.got) == 10_000)
    for name in "wxyz":
        assert [letter.id for _, letter in box_b.got if letter.sender == f"a/{name}"] == list(range(2500))


def test_a_receivers_bug_does_not_make_the_node_deaf(harness: Harness) -> None:
    class Stumbling(Box):
        def letters(self, node: str, batch: Sequence[Letter], lane: Lane = CONTROL) -> None:
            if any(letter.tag == "stone" for letter in batch):
                raise RuntimeError("stumbled")
            super().letters(node, batch, lane)

    box = Stumbling()
    (a, _), (b, _) = harness.link("a"), harness.link("b", receiver=box)
    a.connect("b", b.address)
    assert a.send("b", tell("stone"))
    eventually(lambda: a.connected("b"))
    assert a.send("b", tell("x"))
    eventually(lambda: box.got)


def test_each_lane_keeps_its_order_and_is_named_to_the_receiver(pair: Pair) -> None:
    a, _, _, box_b = pair
    for number in range(300):
        for lane in LANES:
            assert a.send("b", Letter(Kind.TELL, lane, id=number), lane)
    eventually(lambda: len(box_b.got) == 900)
    for lane in LANES:
        assert [letter.id for _, letter in box_b.got if letter.to == lane] == list(range(300))
    assert all(letter.to == lane for (_, letter), lane in zip(box_b.got, box_b.lanes, strict=True))


def test_a_full_lane_leaves_the_others_free(harness: Harness) -> None:
    a, _ = harness.link("a")
    b, _ = harness.link("b")
    b.close()
    a.connect("b", b.address)
    piece = Letter(Kind.TELL, body=msgspec.Raw(msgspec.msgpack.encode(bytes(1 << 20))))
    taken = [a.send("b", piece, BULK) for _ in range(40)]
    assert taken.count(True) == QUEUE_BYTES // len(piece.body)
    assert a.send("b", tell("urgent"))
    (info,) = a.stats()
    assert (info.node, info.address, info.up) == ("b", b.address, False)
    assert [lane.lane for lane in info.lanes] == [CONTROL, BULK]
    control, bulk = info.lanes
    assert (control.queued, control.high_water, control.refused) == (2, 2, 0)  # and the first beat
    assert bulk.queued == bulk.high_water == QUEUE_BYTES // len(piece.body)
    assert bulk.queued_bytes == bulk.high_water_bytes <= QUEUE_BYTES
    assert bulk.refused == 40 - bulk.queued
    assert bulk.sent == 0


def test_what_has_passed_is_counted_by_peer_and_lane(pair: Pair) -> None:
    a, _, b, box_b = pair
    for _ in range(10):
        a.send("b", tell("x"), METRICS)
    eventually(lambda: len(box_b.got) == 10)
    at_a, at_b = ({lane.lane: lane for lane in link.stats()[0].lanes} for link in (a, b))
    assert at_a[METRICS].sent == 10
    assert at_a[METRICS].queued == at_a[METRICS].queued_bytes == 0
    assert at_b[CONTROL].received >= 1
    assert at_b[METRICS].received == 10


def test_a_letter_larger_than_the_queue_travels_alone(pair: Pair) -> None:
    a, _, _, box_b = pair
    body = msgspec.Raw(msgspec.msgpack.encode(bytes(10_000_000)))
    for lane in (BULK, CONTROL):
        assert a.send("b", Letter(Kind.TELL, lane, body=body), lane)
    eventually(lambda: len(box_b.got) == 2)


def test_a_second_node_of_a_name_is_refused_and_told_so(harness: Harness, pair: Pair) -> None:
    a, box_a, b, _ = pair
    second, box = harness.link("b")
    second.connect("a", a.address)
    eventually(lambda: box.taken)
    assert box.taken[0][0] == "a"
    assert f"the name b is taken: a node that lives has it, at {b.address}" in box.taken[0][1]
    assert b.send("a", tell("the first"))
    eventually(lambda: box_a.got)
    assert box_a.news == [("b", "up")]
    assert not second.connected("a")


def test_a_closed_link_takes_nothing_more_and_may_be_closed_again(pair: Pair) -> None:
    a, _, b, box_b = pair
    a.close()
    a.close()
    assert not a.send("b", tell("x"))
    a.connect("c", b.address)
    assert not a.send("c", tell("x"))
    eventually(lambda: box_b.news == [("a", "up"), ("a", "left")])
    assert not box_b.got
