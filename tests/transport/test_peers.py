"""What is decided about peers, over made-up frames and time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transport.box import CLUSTER, tell
from tucano.transport.link import BEAT, Kind, Letter
from tucano.transport.peers import LATE, Heard, Peers
from tucano.transport.wire import BadFrame, Peer, routing_id

ME = Peer(CLUSTER, "me", 5, "tcp://127.0.0.1:1")
BYE = Letter(Kind.BYE)


def of(node: str, incarnation: int = 1) -> Peer:
    return Peer(CLUSTER, node, incarnation, f"tcp://{node}:1")


def test_the_first_word_brings_a_peer_up_and_the_next_do_not() -> None:
    peers = Peers(ME, 0.0)
    assert "a" not in peers
    assert peers.heard(of("a"), [Letter(Kind.BEAT), tell("1")], 0.0) == Heard([tell("1")], came_up=True)
    assert peers.heard(of("a"), [tell("2")], 0.1) == Heard([tell("2")])
    assert "a" in peers


def test_a_higher_incarnation_replaces_and_a_replaced_one_is_refused() -> None:
    peers = Peers(ME, 0.0)
    peers.heard(of("a", 1), [tell("1")], 0.0)
    assert peers.heard(of("a", 2), [tell("2")], 0.1) == Heard(
        [tell("2")], went_down="replaced by a new incarnation", came_up=True
    )
    with pytest.raises(BadFrame, match="has been replaced"):
        peers.heard(of("a", 1), [tell("late")], 0.2)


def test_goodbye_is_the_last_word_of_an_incarnation() -> None:
    peers = Peers(ME, 0.0)
    assert peers.heard(of("a", 1), [tell("1"), BYE, tell("after")], 0.0) == Heard(
        [tell("1")], came_up=True, left="left"
    )
    assert "a" not in peers
    with pytest.raises(BadFrame, match="has said goodbye"):
        peers.heard(of("a", 1), [tell("2")], 0.1)
    assert peers.heard(of("a", 2), [tell("3")], 0.2) == Heard([tell("3")], came_up=True)


def test_a_silent_peer_is_down_until_it_speaks_again() -> None:
    peers, now = Peers(ME, 0.0), 0.0
    for _ in range(20):
        now += BEAT
        peers.heard(of("a"), [], now)
        assert peers.tick(now) == []
    for _ in range(8):
        now += BEAT
        assert peers.tick(now) == []
    assert peers.tick(now + BEAT) == [("a", "silent for 2.2 s")]
    assert "a" not in peers
    assert peers.heard(of("a"), [tell("again")], now + 2 * BEAT) == Heard([tell("again")], came_up=True)


def test_after_our_own_suspension_nobody_is_blamed_at_once() -> None:
    peers = Peers(ME, 0.0)
    peers.heard(of("a"), [], 0.0)
    peers.heard(of("a"), [], BEAT)
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
        assert peers.who(routing_id(of("a", number + 1))) == of("a", number + 1)


def test_a_forgotten_peer_comes_up_again() -> None:
    peers = Peers(ME, 0.0)
    peers.heard(of("a"), [], 0.0)
    peers.forget("a")
    assert "a" not in peers
    assert peers.heard(of("a"), [], 0.1).came_up


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
            heard = peers.heard(of(node, incarnation), letters, now)
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
