"""Whatever comes in at the bridge: it is taken or refused, and nothing else happens."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.transport.box import CLUSTER
from tucano.transport import wire
from tucano.transport.link import BEAT, LANES, Kind, Letter
from tucano.transport.peers import Peers

ME = wire.Peer(CLUSTER, "me", 5, "tcp://127.0.0.1:1")

TEXTS = st.text(max_size=20) | st.sampled_from(["a", "me/a", "b/a", "\0", "x" * 5000])
NUMBERS = st.integers(-(2**63), 2**64 - 1)
PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats() | TEXTS | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
BODIES = st.builds(lambda value: msgspec.Raw(msgspec.msgpack.encode(value)), PLAIN)
LETTERS = st.lists(
    st.builds(Letter, st.sampled_from(Kind) | NUMBERS, TEXTS, TEXTS, NUMBERS, NUMBERS, TEXTS, BODIES, TEXTS), max_size=5
)


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """A good frame of which some bytes are other ones, missing, or too many."""
    frame = bytearray(wire.encode(draw(LETTERS)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(frame)))
        frame[start : start + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(frame)


FRAMES = (
    st.binary(max_size=200)
    | changed()
    | st.builds(wire.encode, LETTERS)
    | st.builds(msgspec.msgpack.encode, PLAIN)
    | st.builds(lambda start, depth: start * depth, st.sampled_from([b"\x91", b"\x81\xa1a"]), st.integers(1, 100_000))
    | st.builds(lambda start, rest: start + rest, st.sampled_from([b"\xdd", b"\xdc", b"\xdf"]), st.binary(max_size=50))
)


@given(FRAMES)
def test_any_bytes_are_letters_or_a_bad_frame(frame: bytes) -> None:
    with contextlib.suppress(wire.BadFrame):
        letters = wire.decode(frame)
        assert len(letters) <= wire.MAX_LETTERS
        assert wire.decode(wire.encode(letters)) == letters


@given(LETTERS, st.data())
def test_a_frame_that_is_cut_anywhere_is_a_bad_frame(letters: list[Letter], data: st.DataObject) -> None:
    frame = wire.encode(letters)
    cut = data.draw(st.integers(0, len(frame) - 1))
    with contextlib.suppress(wire.BadFrame):
        raise AssertionError(wire.decode(frame[:cut]))


@given(st.binary(max_size=300) | st.lists(st.binary(max_size=30), max_size=7).map(b"\0".join))
def test_any_bytes_are_a_routing_id_or_a_bad_frame(raw: bytes) -> None:
    with contextlib.suppress(wire.BadFrame):
        peer, lane, _ = wire.read_routing_id(raw)
        assert raw.startswith(wire.routing_id(peer, lane))


PEERS = st.builds(
    wire.Peer, st.just(CLUSTER), st.sampled_from(["a", "b"]), st.integers(1, 3),
    st.sampled_from(["tcp://h:1", "tcp://h:2"]),
)  # fmt: skip
SAYINGS = st.lists(
    st.tuples(PEERS, st.sampled_from(LANES), st.lists(st.sampled_from(Kind).map(Letter), max_size=3), st.floats(0, 5)),
    max_size=40,
)


@given(SAYINGS)
def test_whatever_peers_say_in_whatever_order_ups_and_downs_alternate(sayings: list[Any]) -> None:
    """And nobody is heard at an address where a later incarnation is up, or who was the last to leave.

    More is not promised: a later one may have left, and a clock that was set back makes the next one an earlier one.
    """
    peers, now = Peers(ME, 0.0), 0.0
    up: dict[str, wire.Peer] = {}
    left: dict[str, wire.Peer] = {}
    for peer, lane, letters, pause in sayings:
        for node, _ in peers.tick(now := now + min(pause, BEAT)):
            del up[node]
        before = up.get(peer.node)
        with contextlib.suppress(wire.BadFrame):
            heard = peers.heard(wire.Caller(peer, lane), letters, now)
            assert left.get(peer.node) != peer
            if before is not None and before.address == peer.address:
                assert before.incarnation <= peer.incarnation
            assert bool(heard.went_down) == (before not in (None, peer))
            assert heard.came_up == (before != peer)
            up[peer.node] = peer
            left.pop(peer.node, None)
            if heard.left:
                left[peer.node] = up.pop(peer.node)
            assert {letter.kind for letter in heard.letters}.isdisjoint({Kind.BEAT, Kind.BYE, Kind.TAKEN})
        assert {node for node in ("a", "b") if node in peers} == set(up)
