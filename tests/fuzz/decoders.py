"""What turns bytes from outside into values, each as a function of bytes that may raise nothing."""

from __future__ import annotations

import base64
import contextlib
import gzip
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.every import TYPES
from tucano.actors.disk.artifact import ArtifactError, unpack
from tucano.actors.kernel import Ref, Refused
from tucano.actors.kernel.message import Codec
from tucano.actors.kernel.trace import read as read_context
from tucano.actors.messages import operations
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
        operations.objection(read.wanted, LOCAL)


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


DECODERS: dict[str, Callable[[bytes], None]] = {
    "frame": frame, "message": message, "identity": identity, "request": request, "token": token, "artifact": artifact,
}  # fmt: skip
