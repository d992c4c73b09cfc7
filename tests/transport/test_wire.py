"""The bytes: golden ones, refused ones, and how many travel together."""

from __future__ import annotations

import tracemalloc

import msgspec
import pytest

from tucano.transport import wire
from tucano.transport.link import Kind, Letter

NUL = b"\0"
CLUSTER = b"0" * 16


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"x",
        b"\0" * 4,
        b"a" * 300,
        NUL.join((b"tucano1", b"bad", b"a", b"1", b"tcp://h:1")),
        NUL.join((b"tucano1", CLUSTER, b"a\n", b"1", b"tcp://h:1")),
        NUL.join((b"tucano1", CLUSTER, b"a", b"1", b"tcp://h:1\n")),
    ],
)
def test_a_bad_routing_id_is_refused(raw: bytes) -> None:
    with pytest.raises(wire.BadFrame):
        wire.read_routing_id(raw)


def test_the_golden_bytes_of_routing_ids() -> None:
    peer = wire.Peer("0123456789abcdef", "worker-1", 1_700_000_000_000, "tcp://10.0.0.7:4711")
    golden = b"tucano1\x000123456789abcdef\x00worker-1\x001700000000000\x00tcp://10.0.0.7:4711"
    assert wire.routing_id(peer) == golden
    assert wire.routing_id(peer, "bulk") == golden + b"\x00bulk"
    assert wire.read_routing_id(golden) == (peer, "control", 0)
    assert wire.for_connection(golden, 18, 255) == golden + b"\x00~0000001200000000000000ff"
    assert wire.read_routing_id(wire.for_connection(golden, 2**32 - 1, 2**64 - 1)) == (peer, "control", 2**32 - 1)
    assert wire.read_routing_id(wire.for_connection(golden + b"\x00bulk", 18, 7)) == (peer, "bulk", 18)
    assert wire.read_routing_id(golden + b"\x00metrics") == (peer, "metrics", 0)
    for extra in (b"\0control", b"\0other", b"\0", b"\0bulk\0bulk", b"\0~" + b"0" * 16, b"\0~" + b"G" * 24):
        with pytest.raises(wire.BadFrame):
            wire.read_routing_id(golden + extra)


def test_the_golden_bytes_of_a_frame() -> None:
    letter = Letter(Kind.ASK, "deployer", "w/a", 7, 1500, "deployer.Ping/1")
    golden = bytes.fromhex("919802a86465706c6f796572a3772f6107cd05dcaf6465706c6f7965722e50696e672f31c0a0")
    assert wire.encode([letter]) == golden
    assert wire.decode(golden) == [letter]


def test_an_older_peers_shorter_letter_decodes() -> None:
    assert wire.decode(bytes.fromhex("919202a161")) == [Letter(Kind.ASK, "a")]


def test_what_waits_travels_together_as_far_as_a_frame_holds_it() -> None:
    small = [Letter(Kind.TELL, str(number)) for number in range(wire.MAX_LETTERS + 1)]
    assert wire.fitting(small, 0) == wire.MAX_LETTERS
    assert wire.fitting(small[:10], 0) == 10
    assert wire.decode(wire.encode(small[:-1])) == small[:-1]
    large = [Letter(Kind.TELL, body=msgspec.Raw(msgspec.msgpack.encode(b"x" * (wire.FRAME // 3))))] * 8
    assert wire.fitting(large, sum(len(letter.body) for letter in large)) == 2
    frame = wire.encode(large[:2])
    assert len(frame) <= wire.FRAME
    assert wire.decode(frame) == large[:2]


def test_a_letter_that_no_frame_holds_goes_alone_and_is_refused() -> None:
    too_large = Letter(Kind.TELL, body=msgspec.Raw(msgspec.msgpack.encode(b"x" * wire.MAX_FRAME)))
    assert wire.fitting([too_large, Letter(Kind.TELL)], len(too_large.body)) == 1
    with pytest.raises(wire.BadFrame, match="at most"):
        wire.decode(wire.encode([too_large]))


@pytest.mark.parametrize("header", [b"\xdc\xff\xff", b"\xdd\x00\xff\xff\xff", b"\xdd\xff\xff\xff\xff"])
def test_letters_are_counted_before_they_are_made(header: bytes) -> None:
    """16 MiB can hold five million letters of three bytes, which would be a gigabyte."""
    tracemalloc.start()
    try:
        with pytest.raises(wire.BadFrame, match="letters in a frame; at most 4096"):
            wire.decode(header + b"\x91\x00" * 100_000)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
