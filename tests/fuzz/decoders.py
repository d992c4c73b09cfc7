"""What turns bytes from outside into values, each as a function of bytes that may raise nothing."""

from __future__ import annotations

import base64
import contextlib
import gzip
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.every import TYPES
from tucano.actors.disk.artifact import ArtifactError, unpack
from tucano.actors.kernel import Ref, Refused
from tucano.actors.kernel.message import Codec
from tucano.actors.kernel.trace import read as read_context
from tucano.actors.messages import operations
from tucano.actors.messages.model import Route
from tucano.actors.proxy import Service, Target
from tucano.actors.proxy import zmtp as zeromq
from tucano.actors.proxy.mdp import Broker
from tucano.actors.proxy.mdp_queue import Client
from tucano.actors.pure import requests
from tucano.token import PREFIX, BadToken, _check, parse
from tucano.transport import wire
from tucano.transport.security import LOCAL


def _from_wire(kind: type, value: object) -> object:
    if kind is Ref and isinstance(value, str) and "/" in value:
        return value
    raise ValueError("no ref")


_CODEC = Codec(from_wire=_from_wire)
_TAGS = ("", *TYPES)


def frame(data: bytes) -> None:
    """A frame of the bridge, its letters and their messages."""
    with contextlib.suppress(wire.BadFrame):
        for letter in wire.decode(data):
            read_context(letter.trace)
            with contextlib.suppress(Refused):
                _CODEC.decode(letter.tag, letter.body)


def message(data: bytes) -> None:
    """A message: one byte for its tag, then its body."""
    with contextlib.suppress(Refused):
        _CODEC.decode(_TAGS[data[0] % len(_TAGS)] if data else "", data[1:])


def identity(data: bytes) -> None:
    """A routing id."""
    with contextlib.suppress(wire.BadFrame):
        peer, lane, _ = wire.read_routing_id(data)
        assert wire.read_routing_id(wire.routing_id(peer, lane)) == (peer, lane, 0)


def request(data: bytes) -> None:
    """A client's request, and the answer that says what is wrong with it."""
    read = requests.read(data)
    if isinstance(read.wanted, Refused):
        requests.answer(read.id, read.wanted)
    else:
        operations.objection(type(read.wanted), LOCAL)


def token(data: bytes) -> None:
    """A token, but for its checksum, which no change survives."""
    body = base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
    with contextlib.suppress(BadToken):
        parse(f"{PREFIX}{body}.{_check(body)}")


def artifact(data: bytes) -> None:
    """A packed directory, but for its compression, whose checksum no change survives."""
    with tempfile.TemporaryDirectory(prefix="tucano-fuzz-") as name, contextlib.suppress(ArtifactError):
        (Path(name) / "packed").write_bytes(gzip.compress(data, 1, mtime=0))
        unpack(Path(name) / "packed", Path(name) / "unpacked")


def zmtp(data: bytes) -> None:
    """What comes to the users' ZeroMQ front: a byte for how many come at once, one for whose it is, the stream."""
    size, kind, data = data[:1], data[1:2], data[2:]
    whole, pieces = (Stream(b"\x01" if kind == b"\x01" else b"") for _ in range(2))
    whole.feed(data)
    for at in range(0, len(data), (size or b"\0")[0] + 1):
        pieces.feed(data[at : at + size[0] + 1])
    assert whole.refused == pieces.refused
    if not whole.refused:
        assert (whole.heard, whole.said) == (pieces.heard, pieces.said)
    whole.serve()
    pieces.serve()


class Stream:
    """One connection of the front, and a broker that hears its messages."""

    def __init__(self, instance: bytes) -> None:
        self.heard: list[bytes] = []
        self.said = b""
        self.refused = False
        self._is_instance = bool(instance)
        self._peer = zeromq.Peer(b"DEALER" if instance else b"ROUTER", self._say, alike=not instance)

    def _say(self, data: bytes) -> None:
        self.said += data

    def feed(self, data: bytes) -> None:
        """Hear what has come, unless it was refused before."""
        if not self.refused:
            try:
                self.heard += self._peer.feed(data)
            except zeromq.ProtocolError:
                self.refused = True

    def serve(self) -> None:
        """Take what was heard for requests, or for an instance's answers: who asks has one answer for each at most."""
        answers: list[bytes] = []
        client, broker = Client(answers.append), Broker(random.Random(1))
        target = Target("one", "h", 1, True)
        ((place,), _) = broker.apply([Service("echo", (target,), False, Route(protocol="zmq"))], 0.0)
        sent: list[bytes] = []
        place.send = sent.append
        broker.connected(place, 0.0)
        if self._is_instance:
            for _ in range(10):
                broker.requests(client, [_REQUEST], 0.0)
            broker.replies(place, self.heard, 0.0)
        else:
            broker.requests(client, self.heard, 0.0)
            for request in sent:
                assert zeromq.unpack(request)[1] == b""
        broker.disconnected(place, 1.0)
        assert client.load == 0
        assert len(answers) == (10 if self._is_instance else len(self.heard) - broker.malformed)


_REQUEST = zeromq.pack([b"", b"MDPC01", b"echo", b"x"])

DECODERS: dict[str, Callable[[bytes], None]] = {
    "frame": frame, "message": message, "identity": identity, "request": request, "token": token, "artifact": artifact,
    "zmtp": zmtp,
}  # fmt: skip
