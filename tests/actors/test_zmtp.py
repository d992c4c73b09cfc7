"""ZMTP by itself: bytes in, messages out."""

from __future__ import annotations

import random

import pytest

from tucano.actors.proxy.zmtp import MAX_MESSAGE, Frames, Peer, ProtocolError, pack, unpack

PING = b"\x04\x0b\x04PING\x00\x05here"
PONG = b"\x04\x09\x04PONGhere"


def meet(one: str, other: str, chance: random.Random | None = None) -> tuple[Peer, Peer, list[bytes]]:
    """Two who have shaken hands, and what the first one says from then on; it comes in pieces of any size."""
    said: list[bytes] = []
    heard: list[bytes] = []
    first, second = Peer(one.encode(), said.append, alike=True), Peer(other.encode(), heard.append)
    while said or heard:
        for out, there in ((said, second), (heard, first)):
            data = b"".join(out)
            out.clear()
            while data:
                size = chance.randrange(1, 20) if chance else len(data)
                assert there.feed(data[:size]) == []
                data = data[size:]
    assert first.up
    assert second.up
    return first, second, said


def nobody(data: bytes) -> None:
    """Hears what is said."""


def some(chance: random.Random) -> Frames:
    return [chance.randbytes(chance.choice([0, 1, 8, 255, 256, 3000])) for _ in range(chance.randrange(1, 5))]


def test_a_message_is_its_frames() -> None:
    for frames in ([b""], [b"a", b"", b"c"], [b"x" * 255, b"y" * 256], [b"z" * 70_000]):
        assert unpack(pack(frames)) == frames
    assert unpack(pack([b"a", b"b"], more=True) + pack([b"c"])) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("seed", range(20))
def test_messages_are_the_same_however_they_come(seed: int) -> None:
    chance = random.Random(seed)
    peer, _, said = meet("ROUTER", "DEALER", chance)
    alike = [b"", b"MDPC01", b"echo"]
    wanted = [[*alike, *some(chance)] if chance.random() < 0.6 else some(chance) for _ in range(200)]
    frames = [
        pack([frame], more=more > 0) for one in wanted for more, frame in zip(range(len(one))[::-1], one, strict=True)
    ]
    pings = [chance.random() < 0.1 for _ in frames]  # libzmq's heartbeats come between the frames of a message, too
    data = b"".join(frame + PING * ping for frame, ping in zip(frames, pings, strict=True))
    found: list[bytes] = []
    while data:
        size = chance.choice([1, 2, 9, 300, 5000])
        found += peer.feed(data[:size])
        data = data[size:]
    assert [unpack(message) for message in found] == wanted
    assert said == [PONG] * sum(pings)


def test_what_is_too_long_is_refused_before_it_is_there() -> None:
    for frame in (b"\x01\xff" + b"x" * 255, b"\x03" + (1 << 20).to_bytes(8) + b"x" * (1 << 20)):  # many frames
        peer, _, _ = meet("ROUTER", "DEALER")
        for _ in range(MAX_MESSAGE // len(frame)):
            assert peer.feed(frame) == []
        with pytest.raises(ProtocolError, match="more than 16777216 bytes"):
            peer.feed(frame)
    peer, _, _ = meet("ROUTER", "DEALER")
    with pytest.raises(ProtocolError, match="more than 16777216 bytes"):
        peer.feed(b"\x02" + (1 << 40).to_bytes(8))


@pytest.mark.parametrize(
    "data",
    [
        b"\x08\x00", b"\x05\x00", b"\xff" * 10, b"\x06" + (5000).to_bytes(8), b"\x04\x0d\x05ERROR\x06reason",
    ],
)  # fmt: skip
def test_what_breaks_the_grammar_of_frames_is_refused(data: bytes) -> None:
    peer, _, _ = meet("ROUTER", "DEALER")
    with pytest.raises(ProtocolError):
        peer.feed(data)


def greeting(mechanism: bytes = b"NULL") -> bytes:
    return b"\xff" + bytes(8) + b"\x7f\x03\x00" + mechanism.ljust(20, b"\0") + bytes(32)


def ready(kind: bytes, name: bytes = b"") -> bytes:
    properties = b"\x0bSocket-Type" + len(kind).to_bytes(4) + kind + b"\x08identity" + len(name).to_bytes(4) + name
    body = b"\x05READY" + properties
    return b"\x06" + len(body).to_bytes(8) + body


@pytest.mark.parametrize(("ours", "theirs"), [("ROUTER", "DEALER"), ("DEALER", "ROUTER"), ("ROUTER", "ROUTER")])
def test_sockets_that_go_together_shake_hands(ours: str, theirs: str) -> None:
    meet(ours, theirs, random.Random(1))


def test_a_name_is_taken_from_the_handshake() -> None:
    peer = Peer(b"ROUTER", nobody)
    assert peer.feed(greeting() + ready(b"DEALER", b"ann") + pack([b"a"])) == [pack([b"a"])]
    assert (peer.up, peer.name) == (True, b"ann")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\xff" * 64, b"\x01\x00", greeting(b"CURVE"),
        greeting() + ready(b"PUB"), greeting() + ready(b"REP"), greeting() + ready(b"REQ", b"x" * 256),
        greeting() + ready(b"REQ")[:-1] + b"\x07", greeting() + pack([b"", b"MDPC01"]), greeting() + PING,
        greeting() + b"\x04\x0d\x05ERROR\x06reason", greeting() + b"\x02" + (1 << 40).to_bytes(8),
        b"\xff" + bytes(8) + b"\x7f\x01\x01\x00\x00", b"\xff" + bytes(8) + b"\x7f\x01\x05\x02" + bytes(8),
    ],
)  # fmt: skip
def test_who_does_not_shake_hands_is_refused(data: bytes) -> None:
    said: list[bytes] = []
    peer = Peer(b"ROUTER", said.append)
    with pytest.raises(ProtocolError):
        peer.feed(data)
    assert not peer.up
    if b"PUB" in data or b"REP" in data:
        assert said[-1] == b"\x04\x1a\x05ERROR\x13Invalid socket type"


@pytest.mark.parametrize("pieces", [1, 100])
def test_peers_of_the_second_version_are_served(pieces: int) -> None:
    said: list[bytes] = []
    peer = Peer(b"ROUTER", said.append)
    data = b"\xff" + (4).to_bytes(8) + b"\x7f\x01\x05\x00\x03ann" + pack([b"", b"a"])
    found = [message for at in range(0, len(data), pieces) for message in peer.feed(data[at : at + pieces])]
    assert found == [pack([b"", b"a"])]
    assert (peer.up, peer.name) == (True, b"ann")
    assert b"".join(said) == b"\xff" + (1).to_bytes(8) + b"\x7f\x03" + b"\x06\x00\x00"


@pytest.mark.parametrize("seed", range(200))
def test_noise_is_refused_or_waited_with_and_never_kept_without_end(seed: int) -> None:
    chance = random.Random(seed)
    good = greeting() + ready(b"DEALER", b"ann") + pack([b"", b"MDPC01", b"echo", b"a"]) * 3 + PING
    data = bytearray(good)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(data))
        data[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    peer = Peer(b"ROUTER", nobody, alike=True)
    try:
        for message in peer.feed(bytes(data)):
            assert pack(unpack(message)) or message
    except ProtocolError:
        pass
    assert len(peer._held) <= len(data)
