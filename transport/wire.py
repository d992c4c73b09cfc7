"""Letters to bytes and back, and who a peer says that it is. Pure.

A *frame* is one ZeroMQ message part: a msgpack array of letters, each an array of
`[kind, to, sender, id, ttl_ms, tag, body, trace]`. What waits for one peer travels together in one frame.

A *routing id* names the peer for the whole connection: `tucano1 NUL cluster NUL node NUL incarnation NUL address`, and
`NUL lane` on all lanes but control, and may end in `NUL ~connection`; at most 255 bytes, so that the very first frame
of a stranger says whose it is and where answers go. A node that restarts has a higher incarnation (its start, in
milliseconds since the epoch); frames of a lower one are refused as stale.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from tucano.transport.link import CONTROL, LANES, Lane, Letter

FRAME = 1024 * 1024
"""Bytes of letters that travel in one frame; only a letter that is larger makes a larger frame, and travels alone."""

MAX_FRAME = 16 * 1024 * 1024
"""Bytes of one frame, at most; ZeroMQ closes the connection of a peer that announces more."""

MAX_LETTERS = 4096
"""Letters in one frame, at most."""

MAX_IDENTITY = 255
"""Bytes of a routing id, at most: what ZeroMQ allows."""

_PROTOCOL = b"tucano1"
_HEAD = 160  # bytes of a letter beside its body: an estimate, which need not be right to bound a frame
_BY_NAME = {lane.encode(): lane for lane in LANES if lane != CONTROL}
NODE = re.compile(r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?\Z")
"""A node's name."""
_CLUSTER = re.compile(r"^[0-9a-f]{16}\Z")
_ADDRESS = re.compile(r"^tcp://[0-9A-Za-z.:\[\]-]{1,80}:[0-9]{1,5}\Z")

_CONNECTION = re.compile(rb"^~([0-9a-f]{8})[0-9a-f]{16}\Z")

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


class Caller(NamedTuple):
    """Whose connection it is, on which lane, and the how manieth that its peer has made; a later one replaces it."""

    peer: Peer
    lane: Lane
    connection: int = 0


def check_name(name: str) -> None:
    """Raise `ValueError` if a node cannot be called that."""
    if not NODE.match(name):
        raise ValueError(f"a node's name is of a-z, 0-9, - and ., at most 63 characters; not {name!r}")


def routing_id(peer: Peer, lane: Lane = CONTROL) -> bytes:
    """The routing id that names `peer`, on one of its lanes.

    Raises:
        BadFrame: a name that no peer would accept.

    """
    said = (*peer, lane) if lane != CONTROL else peer
    raw = b"\0".join((_PROTOCOL, *(str(part).encode() for part in said)))
    read_routing_id(raw)
    return raw


def for_connection(identity: bytes, number: int, nonce: int) -> bytes:
    """A routing id for one connection.

    Args:
        identity: of peer and lane.
        number: greater than that of all connections before it on this lane: what a network still has of those, and
            delivers late, is known by it.
        nonce: 64 random bits: nobody can guess them, and take the name over.

    """
    return b"%b\0~%08x%016x" % (identity, number, nonce)


def read_routing_id(raw: bytes) -> Caller:
    """Who says to be calling.

    Raises:
        BadFrame: it is no routing id of this protocol.

    """
    try:
        protocol, cluster, node, incarnation, address, *lanes = raw.split(b"\0")
        connection = 0
        if lanes and (said := _CONNECTION.match(lanes[-1])):
            connection = int(said[1], 16)
            lanes.pop()
        peer = Peer(cluster.decode("ascii"), node.decode("ascii"), int(incarnation), address.decode("ascii"))
        lane: Lane = CONTROL
        if lanes:
            (name,) = lanes
            lane = _BY_NAME[name]
    except (ValueError, KeyError) as error:
        raise BadFrame(f"not a routing id of this protocol: {raw[:80]!r}") from error
    sane = (
        len(raw) <= MAX_IDENTITY
        and protocol == _PROTOCOL
        and _CLUSTER.match(peer.cluster)
        and NODE.match(peer.node)
        and 0 < peer.incarnation < 2**63
        and _ADDRESS.match(peer.address)
    )
    if not sane:
        raise BadFrame(f"not a routing id of this protocol: {raw[:80]!r}")
    return Caller(peer, lane, connection)


def encode(letters: Sequence[Letter]) -> bytes:
    """One frame."""
    return _encoder.encode(letters)


def fitting(letters: Sequence[Letter], size: int) -> int:
    """How many of these letters, whose bodies have so many bytes, may travel in one frame: at least one.

    A letter that is too large for any frame gets one of its own, and is refused where it arrives.
    """
    most = min(len(letters), MAX_LETTERS)
    if size + most * _HEAD <= FRAME:
        return most
    size = 0
    for count, letter in enumerate(letters[:most]):
        size += _HEAD + len(letter.body)
        if size > FRAME and count:
            return count
    return most


def decode(frame: bytes | memoryview) -> list[Letter]:
    """The letters of one frame; their bodies stay bytes until the receiver knows their type.

    Raises:
        BadFrame: too large, too many, or not msgpack of that shape.

    """
    if len(frame) > MAX_FRAME:
        raise BadFrame(f"a frame of {len(frame)} bytes; at most {MAX_FRAME} are taken")
    if (count := _announced(frame)) > MAX_LETTERS:
        raise BadFrame(f"{count} letters in a frame; at most {MAX_LETTERS} are taken")
    try:
        return _decoder.decode(frame)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise BadFrame(f"malformed frame: {error}") from error


def _announced(frame: bytes | memoryview) -> int:
    """How many letters a frame says that it has, looked at before they are made: 16 MiB can say millions of them."""
    match frame[:1]:
        case b"\xdc":  # array 16
            return int.from_bytes(frame[1:3], "big")
        case b"\xdd":  # array 32
            return int.from_bytes(frame[1:5], "big")
    return 0  # at most 15, or no array
