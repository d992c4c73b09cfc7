"""Frames, letters, routing ids and requests as no friend sends them: legitimate ones, changed in one way or more."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgpack
import msgspec

from tests.fuzz.every import TYPES
from tests.fuzz.shape import NUMBERS, TEXTS, Shape
from tucano.actors.kernel import Message
from tucano.actors.messages.operations import OPERATIONS
from tucano.transport.link import Kind, Letter
from tucano.transport.wire import Peer, encode, routing_id

Sample = tuple[str, bytes]
"""What was done, and the bytes."""

DEEP = 200_000
"""Arrays within arrays: more than any decoder follows."""

STARTS = (
    b"\xdd\xff\xff\xff\xff",
    b"\xdc\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
)
"""Lengths that are not kept: arrays, maps, bytes, text."""


class Mutator:
    """Makes samples.

    Args:
        chance: of which all is drawn.
        corpus: what was found to be of interest before.
        receivers: names that letters go to.

    """

    def __init__(self, chance: random.Random, corpus: Sequence[bytes], receivers: Sequence[str]) -> None:
        self.chance = chance
        self.shape = Shape(chance)
        self._corpus = corpus
        self._receivers = receivers
        self._tags: list[tuple[str, type[Message]]] = list(TYPES.items())
        self._past: deque[bytes] = deque(maxlen=500)

    @property
    def tags(self) -> int:
        """How many messages there are."""
        return len(self._tags)

    def body(self, number: int) -> bytes:
        """A legitimate body of one of them."""
        return msgspec.msgpack.encode(self.shape.of(self._tags[number][1]))

    # Frames of the bridge.

    def frame(self, sender: str) -> Sample:
        """A frame from a node of this name."""
        chance = self.chance
        match chance.randrange(12):
            case 0:
                return "random", chance.randbytes(chance.randrange(200))
            case 1 if self._past:
                return "replayed", chance.choice(self._past)
            case 2 if self._corpus:
                return "from the corpus", chance.choice(self._corpus)
            case 3:
                return "nested", self._nested(chance.choice((10, 1000, 5000)))
            case 4:
                return "lying about lengths", chance.choice(STARTS) + chance.randbytes(chance.randrange(50))
            case 5 | 6:
                return self.bytes_of(self._letters(sender, 0.0))
            case 7:
                return "of plain values", msgspec.msgpack.encode(self.shape.any())
            case 8:
                return "legitimate", self._keep(self._letters(sender, 0.0))
            case _:
                return "of wrong letters", self._keep(self._letters(sender, 0.5))

    def large(self) -> Sample:
        """A frame of many megabytes that may still travel."""
        body = msgspec.Raw(msgspec.msgpack.encode(bytes(15 << 20)))
        return self.chance.choice((
            ("large", encode([Letter(Kind.TELL, "sink", body=body)])),
            ("of millions of letters", b"\xdd\x00\x50\x00\x00" + b"\x91\x00" * 0x50_0000),
            ("nested", self._nested(DEEP)),
        ))  # fmt: skip

    def identity(self, peer: Peer) -> tuple[str, bytes]:
        """A routing id that is not to be trusted."""
        chance, good = self.chance, routing_id(peer)
        match chance.randrange(8):
            case 0:
                return "random", chance.randbytes(chance.randrange(1, 255)).lstrip(b"\0") or b"x"
            case 1:
                return "of another cluster", routing_id(peer._replace(cluster="f" * 16))
            case 2:
                return "in the node's own name", routing_id(peer._replace(node="target"))
            case 3:
                return "of a peer's name, elsewhere", routing_id(peer._replace(node="friend"))
            case 4:
                return "of an unknown lane", good + b"\0" + chance.choice((b"", b"x", b"control", b"bulk\0bulk"))
            case 5:
                return "of another version", good.replace(b"tucano1", b"tucano2")
            case 6:
                return "of wrong fields", good.replace(
                    str(peer.incarnation).encode(), chance.choice((b"-1", b"0", b"x"))
                )
            case _:
                front, _, address = good.rpartition(b"\0")  # not the address: it could become the node's own
                return "changed", ((self.bytes_of(front)[1] + b"\0" + address).lstrip(b"\0") or b"x")[:255]

    def bytes_of(self, good: bytes) -> Sample:
        """The bytes of something good, changed."""
        chance, raw = self.chance, bytearray(good)
        names = []
        for _ in range(chance.choice((1, 1, 2, 4))):
            at = chance.randrange(len(raw) + 1)
            name, change = chance.choice(CHANGES)
            change(chance, raw, at)
            names.append(name)
        return names[0], bytes(raw)

    def _keep(self, frame: bytes) -> bytes:
        self._past.append(frame)
        return frame

    def _nested(self, depth: int) -> bytes:
        head = self.chance.choice((b"", b"\x91\x97\x01\xa4sink\xa0\x00\x00\xa0"))
        return head + self.chance.choice((b"\x91", b"\x81\xa1a", b"\x81\x91")) * depth

    def _letters(self, sender: str, wrong: float) -> bytes:
        chance = self.chance
        count = chance.choice((0, 1, 1, 1, 2, 5, 20))
        return msgspec.msgpack.encode([self._letter(sender, wrong) for _ in range(count)])

    def _letter(self, sender: str, wrong: float) -> list[Any]:
        chance = self.chance
        tag, kind = chance.choice(self._tags)
        body = msgspec.msgpack.encode(self.shape.of(kind))
        letter = [
            chance.choice((Kind.BEAT, Kind.TELL, Kind.TELL, Kind.ASK, Kind.ASK, Kind.ANSWER, Kind.WATCH, Kind.UNWATCH)),
            chance.choice(self._receivers), f"{sender}/{chance.choice(TEXTS[1:3])}", chance.choice((1, 7, 2**40)), 1000,
            tag, msgspec.Raw(body), chance.choice(("", "0123456789abcdef:a.1.1::tell")),
        ]  # fmt: skip
        if chance.random() < wrong:
            match chance.randrange(6):
                case 0:  # any kind, but those that end actors and connections
                    letter[0] = chance.choice((*range(8), 10, 11, 99, 2**64 - 1, -1))
                case 1:
                    letter[6] = msgspec.Raw(self.bytes_of(body)[1])
                case 2:
                    letter[6] = msgspec.Raw(msgspec.msgpack.encode(self.shape.any()))
                case 3:
                    letter[chance.choice((1, 2, 5, 7))] = chance.choice((*TEXTS, "friend/a", "y" * 100_000))
                case 4:
                    letter[chance.randrange(8)] = self.shape.any(1)
                case _:
                    letter[chance.choice((3, 4))] = chance.choice(NUMBERS)
        return letter[: chance.randrange(9)] if chance.random() < wrong / 4 else letter

    # Requests at the clients' door.

    def request(self, identifier: int) -> Sample:
        """A client's frame."""
        chance = self.chance
        op = chance.choice(sorted(OPERATIONS))
        good = {"v": 1, "id": identifier, "op": op, "args": self.shape.of(OPERATIONS[op])}
        match chance.randrange(8):
            case 0:
                return "random", chance.randbytes(chance.randrange(200))
            case 1 if self._corpus:
                return "from the corpus", chance.choice(self._corpus)
            case 2:
                return "nested", self._nested(chance.choice((10, 600, 5000)))
            case 3:
                good[chance.choice(("v", "id", "op", "args", "more"))] = self.shape.any()
                return "of wrong fields", msgspec.msgpack.encode(good)
            case 4:
                args = good["args"]
                args[chance.choice((*args, "more"))] = self.shape.any()
                return "of wrong arguments", msgspec.msgpack.encode(good)
            case 5:
                return self.bytes_of(msgpack.packb(good))
            case _:
                return "legitimate", msgpack.packb(good)


def _cut(chance: random.Random, raw: bytearray, at: int) -> None:
    del raw[at:]


def _flip(chance: random.Random, raw: bytearray, at: int) -> None:
    if at < len(raw):
        raw[at] ^= 1 << chance.randrange(8)


def _set(chance: random.Random, raw: bytearray, at: int) -> None:
    if at < len(raw):
        raw[at] = chance.choice((0, 0x7F, 0x80, 0x90, 0xA0, 0xC0, 0xC1, 0xCF, 0xDD, 0xFF))


def _insert(chance: random.Random, raw: bytearray, at: int) -> None:
    raw[at:at] = chance.choice((*STARTS, chance.randbytes(4)))


def _drop(chance: random.Random, raw: bytearray, at: int) -> None:
    del raw[at : at + chance.randrange(1, 8)]


def _double(chance: random.Random, raw: bytearray, at: int) -> None:
    raw[at:at] = raw[max(0, at - 16) : at]


CHANGES: Sequence[tuple[str, Callable[[random.Random, bytearray, int], None]]] = (
    ("truncated", _cut), ("of a bit flipped", _flip), ("of a byte changed", _set), ("of bytes put in", _insert),
    ("of bytes left out", _drop), ("of a piece doubled", _double),
)  # fmt: skip
