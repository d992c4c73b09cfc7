"""Letters to bytes and back, and who a peer says that it is. Pure.

A *frame* is one ZeroMQ message part: a msgpack array of letters, each an array of
`[kind, to, sender, id, ttl_ms, tag, body, trace]`. What waits for one peer travels together in one frame.

A *routing id* names the peer for the whole connection: `tucano1 NUL cluster NUL node NUL incarnation NUL address`, at
most 255 bytes, so that the very first frame of a stranger says whose it is and where answers go. A node that restarts
has a higher incarnation (its start, in milliseconds since the epoch); frames of a lower one are refused as stale.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import msgspec

from tucano.transport.link import Letter

MAX_FRAME = 16 * 1024 * 1024
"""Bytes of one frame, at most; ZeroMQ closes the connection of a peer that announces more."""

MAX_LETTERS = 4096
"""Letters in one frame, at most."""

_PROTOCOL = b"tucano1"
NODE = re.compile(r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?\Z")
"""A node's name."""
_CLUSTER = re.compile(r"^[0-9a-f]{16}\Z")
_ADDRESS = re.compile(r"^tcp://[0-9A-Za-z.:\[\]-]{1,80}:[0-9]{1,5}\Z")

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Letter])


class BadFrame(ValueError):
    """Bytes that no node of ours sends."""


class Peer(NamedTuple):
    """Who a connection belongs to."""

    cluster: str
    node: str
    incarnation: int
    address: str


def routing_id(peer: Peer) -> bytes:
    """The routing id that names `peer`.

    Raises:
        BadFrame: a name that no peer would accept.

    """
    raw = b"\0".join((_PROTOCOL, *(str(part).encode() for part in peer)))
    read_routing_id(raw)
    return raw


def read_routing_id(raw: bytes) -> Peer:
    """Who says to be calling.

    Raises:
        BadFrame: it is no routing id of this protocol.

    """
    try:
        protocol, cluster, node, incarnation, address = raw.split(b"\0")
        peer = Peer(cluster.decode("ascii"), node.decode("ascii"), int(incarnation), address.decode("ascii"))
    except ValueError as error:
        raise BadFrame(f"not a routing id of this protocol: {raw[:80]!r}") from error
    sane = (
        len(raw) <= 255
        and protocol == _PROTOCOL
        and _CLUSTER.match(peer.cluster)
        and NODE.match(peer.node)
        and 0 < peer.incarnation < 2**63
        and _ADDRESS.match(peer.address)
    )
    if not sane:
        raise BadFrame(f"not a routing id of this protocol: {raw[:80]!r}")
    return peer


def encode(letters: Sequence[Letter]) -> bytes:
    """One frame."""
    return _encoder.encode(letters)


def encode_some(letters: deque[Letter]) -> tuple[bytes, int]:
    """One frame of the first letters, and how many it holds: as many as may travel together, at least one.

    A letter that is too large for any frame gets one of its own, and is refused where it arrives.
    """
    batch = list(islice(letters, MAX_LETTERS))
    frame = encode(batch)
    while len(frame) > MAX_FRAME and len(batch) > 1:
        batch = batch[: len(batch) // 2]
        frame = encode(batch)
    return frame, len(batch)


def decode(frame: bytes | memoryview) -> list[Letter]:
    """The letters of one frame; their bodies stay bytes until the receiver knows their type.

    Raises:
        BadFrame: too large, too many, or not msgpack of that shape.

    """
    if len(frame) > MAX_FRAME:
        raise BadFrame(f"a frame of {len(frame)} bytes; at most {MAX_FRAME} are taken")
    try:
        letters = _decoder.decode(frame)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise BadFrame(f"malformed frame: {error}") from error
    if len(letters) > MAX_LETTERS:
        raise BadFrame(f"{len(letters)} letters in a frame; at most {MAX_LETTERS} are taken")
    return letters
