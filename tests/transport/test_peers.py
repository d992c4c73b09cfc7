"""What is decided about peers, over made-up frames and time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transport.box import CLUSTER, tell
from tucano.transport.link import BEAT, BULK, CONTROL, Kind, Letter
from tucano.transport.peers import CLAIM, LATE, MOST, Heard, NameTaken, Peers
from tucano.transport.wire import BadFrame, Caller, Peer, routing_id

ME = Peer(CLUSTER, "me", 5, "tcp://127.0.0.1:1")
BYE = Letter(Kind.BYE)


def of(node: str, incarnation: int = 1) -> Peer:
    return Peer(CLUSTER, node, incarnation, f"tcp://{node}:1")


def test_the_first_word_brings_a_peer_up_and_the_next_do_not() -> None:
    peers = Peers(ME, 0.0)
    assert "a" not in peers
    assert peers.heard(Caller(of("a"), CONTROL), [Letter(Kind.BEAT), tell("1")], 0.0) == Heard(
        [tell("1")], came_up=True
    )
    assert peers.heard(Caller(of("a"), CONTROL), [tell("2")], 0.1) == Heard([tell("2")])
    assert "a" in peers


def test_a_higher_incarnation_replaces_and_a_replaced_one_is_refused() -> None:
    peers = Peers(ME, 0.0)
    peers.heard(Caller(of("a", 1), CONTROL), [tell("1")], 0.0)
    assert peers.heard(Caller(of("a", 2), CONTROL), [tell("2")], 0.1) == Heard(
        [tell("2")], went_down="replaced by a new incarnation", came_up=True
    )
    with pytest.raises(BadFrame, match="has been replaced"):
        peers.heard(Caller(of("a", 1), CONTROL), [tell("late")], 0.2)


def test_a_name_is_kept_by_who_lives_and_free_for_another_address_after_four_silent_beats() -> None:
    peers = Peers(ME, 0.0)
    first, second = of("a", 1), of("a", 2)._replace(address="tcp://elsewhere:1")
    peers.heard(Caller(first, CONTROL), [], 0.0)
    with pytest.raises(NameTaken, match="the name a is taken: a node that lives has it, at tcp://a:1") as taken:
        peers.heard(Caller(second, CONTROL), [tell("x")], CLAIM - 0.01)
    assert taken.value.peer == second
    assert peers.heard(Caller(first, CONTROL), [tell("1")], 0.5) == Heard([tell("1")])
    with pytest.raises(NameTaken):
        peers.heard(Caller(second, BULK), [tell("x")], 0.5 + CLAIM - 0.01)
    assert peers.heard(Caller(second, CONTROL), [tell("2")], 0.5 + CLAIM).went_down == "replaced by a new incarnation"
    with pytest.raises(NameTaken):
        peers.heard(Caller(first, CONTROL), [tell("3")], 100.0)


def test_who_is_told_that_its_name_is_taken_believes_it_only_of_itself() -> None:
    peers = Peers(ME, 0.0)
    assert peers.taken([Letter(Kind.TAKEN, id=ME.incarnation, tag="why")]) == "why"
    assert not peers.taken([Letter(Kind.TAKEN, id=ME.incarnation + 1, tag="why")])


def test_a_first_word_may_come_on_any_lane_but_only_beats_keep_a_peer_up() -> None:
    peers, now = Peers(ME, 0.0), 0.0
    assert peers.heard(Caller(of("a"), BULK), [tell("1")], 0.0) == Heard([tell("1")], came_up=True)
    while not (silent := peers.tick(now)):
        now += BEAT
        if "a" in peers:
            assert peers.heard(Caller(of("a"), BULK), [tell("2")], now) == Heard([tell("2")])
    assert silent == [("a", "silent for 10.2 s")]
    with pytest.raises(BadFrame, match="silent on the control lane"):
        peers.heard(Caller(of("a"), BULK), [tell("3")], now)
    assert peers.heard(Caller(of("a"), CONTROL), [], now).came_up
    assert peers.heard(Caller(of("a"), BULK), [tell("4")], now) == Heard([tell("4")])


def test_goodbye_is_the_last_word_of_an_incarnation() -> None:
    peers = Peers(ME, 0.0)
    assert peers.heard(Caller(of("a", 1), CONTROL), [tell("1"), BYE, tell("after")], 0.0) == Heard(
        [tell("1")], came_up=True, left="left"
    )
    assert "a" not in peers
    with pytest.raises(BadFrame, match="has said goodbye"):
        peers.heard(Caller(of("a", 1), CONTROL), [tell("2")], 0.1)
    assert peers.heard(Caller(of("a", 2), CONTROL), [tell("3")], 0.2) == Heard([tell("3")], came_up=True)


def test_a_silent_peer_is_down_until_it_speaks_again() -> None:
    peers, now = Peers(ME, 0.0), 0.0
    for _ in range(20):
        now += BEAT
        peers.heard(Caller(of("a"), CONTROL), [], now)
        assert peers.tick(now) == []
    for _ in range(8):
        now += BEAT
        assert peers.tick(now) == []
    assert peers.tick(now + BEAT) == [("a", "silent for 2.2 s")]
    assert "a" not in peers
    assert peers.heard(Caller(of("a"), CONTROL), [tell("again")], now + 2 * BEAT) == Heard(
        [tell("again")], came_up=True
    )


def test_what_a_network_still_had_of_an_earlier_connection_is_not_heard_after_a_later_one() -> None:
    peers, now = Peers(ME, 0.0), 0.0
    first, second = (Caller(of("a"), CONTROL, number) for number in (1, 2))
    peers.heard(first, [tell("1")], now)
    peers.heard(Caller(of("a"), BULK, 3), [tell("1")], now)
    assert peers.heard(second, [tell("2")], now) == Heard([tell("2")])
    with pytest.raises(BadFrame, match="by a connection of a that has been replaced"):
        peers.heard(first, [tell("late")], now)
    while not peers.tick(now):
        now += BEAT
    with pytest.raises(BadFrame, match="by a connection of a that has been replaced"):
        peers.heard(first, [tell("late")], now)
    assert "a" not in peers
    assert peers.heard(second, [tell("3")], now) == Heard([tell("3")], came_up=True)
    with pytest.raises(BadFrame, match="replaced"):
        peers.heard(Caller(of("a"), BULK, 1), [tell("late")], now)
    assert peers.heard(Caller(of("a"), BULK, 3), [tell("2")], now) == Heard([tell("2")]), "each lane has its own"
    assert peers.heard(Caller(of("a", 2), CONTROL, 1), [tell("1")], now).came_up, "an incarnation counts anew"


def test_after_our_own_suspension_nobody_is_blamed_at_once() -> None:
    peers = Peers(ME, 0.0)
    peers.heard(Caller(of("a"), CONTROL), [], 0.0)
    peers.heard(Caller(of("a"), CONTROL), [], BEAT)
    asleep = BEAT + LATE + 60
    assert peers.tick(asleep) == []
    now = asleep
    while not (silent := peers.tick(now)):
        now += BEAT
        assert now < asleep + 20
    assert silent[0][0] == "a"
    assert now > asleep + 2


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"stranger", "not a routing id"),
        (routing_id(ME), "our own name"),
        (routing_id(of("a")._replace(cluster="f" * 16)), "another cluster"),
    ],
)
def test_strangers_are_refused_each_time(raw: bytes, why: str) -> None:
    peers = Peers(ME, 0.0)
    for _ in range(2):
        with pytest.raises(BadFrame, match=why):
            peers.who(raw)


def test_more_names_than_are_remembered_are_all_known() -> None:
    peers = Peers(ME, 0.0)
    for number in [*range(10_100), 0]:
        assert peers.who(routing_id(of("a", number + 1))) == Caller(of("a", number + 1), CONTROL)


def test_a_forgotten_peer_comes_up_again() -> None:
    peers = Peers(ME, 0.0)
    peers.heard(Caller(of("a"), CONTROL), [], 0.0)
    peers.forget("a")
    assert "a" not in peers
    assert peers.heard(Caller(of("a"), CONTROL), [], 0.1).came_up


FRAMES = st.tuples(
    st.sampled_from("ab"),
    st.integers(1, 3),
    st.lists(st.sampled_from([Kind.BEAT, Kind.TELL, Kind.TELL, Kind.ASK, Kind.BYE]), max_size=4),
    st.floats(0, 3),
)


@given(st.lists(FRAMES, max_size=60))
def test_ups_and_downs_take_turns_and_letters_come_only_from_who_is_up(
    frames: list[tuple[str, int, list[Kind], float]],
) -> None:
    peers, now = Peers(ME, 0.0), 0.0
    up: dict[str, int] = {}
    left: dict[str, int] = {}
    for node, incarnation, kinds, pause in frames:
        for _ in range(int(pause / BEAT)):
            now += BEAT
            for silent, _ in peers.tick(now):
                del up[silent]
        letters = [Letter(kind, id=number) for number, kind in enumerate(kinds)]
        stale = up.get(node, 0) > incarnation or (node not in up and left.get(node) == incarnation)
        try:
            heard = peers.heard(Caller(of(node, incarnation), CONTROL), letters, now)
        except BadFrame:
            assert stale
            continue
        assert not stale
        assert bool(heard.went_down) == (node in up and up[node] != incarnation)
        assert heard.came_up == (up.get(node) != incarnation)
        before_bye = letters[: kinds.index(Kind.BYE)] if Kind.BYE in kinds else letters
        assert heard.letters == [letter for letter in before_bye if letter.kind != Kind.BEAT]
        assert bool(heard.left) == (Kind.BYE in kinds)
        up[node] = incarnation
        left.pop(node, None)
        if heard.left:
            left[node] = up.pop(node)
        assert [name for name in "ab" if name in peers] == sorted(up)


def test_no_more_nodes_come_up_than_there_are_sockets_for_and_who_is_here_stays() -> None:
    peers = Peers(ME, 0.0)
    for number in range(MOST):
        peers.heard(Caller(of(f"n{number}"), CONTROL), [], 0.0)
    with pytest.raises(BadFrame, match="the most that there may be"):
        peers.heard(Caller(of("late"), CONTROL), [], 0.0)
    assert peers.heard(Caller(of("n7"), CONTROL), [tell("x")], 0.1) == Heard([tell("x")])
    peers.heard(Caller(of("n7"), CONTROL), [BYE], 0.2)
    assert peers.heard(Caller(of("late"), CONTROL), [], 0.3).came_up


def test_a_node_whose_clock_went_back_before_it_restarted_is_heard_once_the_one_before_is_silent() -> None:
    peers = Peers(ME, 0.0)
    for beat in range(8):
        peers.heard(Caller(of("a", 10_000_000), CONTROL), [], beat * BEAT)
    restarted, now = of("a", 10_000_000 - 3 * 3_600_000), 8 * BEAT  # three hours, in milliseconds
    with pytest.raises(BadFrame, match="has been replaced"):
        peers.heard(Caller(restarted, CONTROL), [], now)
    while "a" in peers:
        peers.tick(now := now + BEAT)
    assert now < 5.0
    assert peers.heard(Caller(restarted, CONTROL), [tell("x")], now) == Heard([tell("x")], came_up=True)
