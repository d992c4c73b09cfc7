"""What an actor system needs of the network: letters to named nodes, and news of who is there."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, Literal, Protocol

import msgspec

BEAT = 0.25
"""Seconds between two heartbeats to each peer; silence is judged by `transport.detector`."""

QUEUE = 20_000
"""Letters that may wait on one lane to one peer; more are refused to their senders."""

QUEUE_BYTES = 32 * 1024 * 1024
"""Bytes of bodies that may wait there; but a letter that finds nothing waiting is taken whatever its size."""

Lane = Literal["control", "metrics", "bulk"]
"""A connection of its own to a peer, with a queue of its own: what is large never delays what is urgent."""

CONTROL: Final = "control"
"""Where commands and their answers travel, and all that links say to each other: heartbeats, goodbyes."""

METRICS: Final = "metrics"
"""Where measurements travel: many, small, and the next one makes good for a lost one."""

BULK: Final = "bulk"
"""Where artifacts and logs travel, in pieces that the receiver asks for."""

LANES: Final[tuple[Lane, ...]] = (CONTROL, METRICS, BULK)


class Kind(IntEnum):
    """What a letter is."""

    BEAT = 0
    TELL = 1
    ASK = 2
    ANSWER = 3
    REFUSAL = 4
    WATCH = 5
    UNWATCH = 6
    DOWN = 7
    BYE = 8
    STOP = 9
    TAKEN = 10


class Letter(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One message between two nodes.

    Attributes:
        kind: see `Kind`; an unknown one is refused.
        to: name of the receiving actor.
        sender: address of the sending actor, empty if none.
        id: pairs an answer or a refusal with its ask.
        ttl: milliseconds that the asker still waits; 0 for no limit.
        tag: type of the body, empty for plain values.
        body: msgpack, checked against the tag's type by the receiver.
        trace: identifier of the conversation, empty if none.

    """

    kind: int
    to: str = ""
    sender: str = ""
    id: int = 0
    ttl: int = 0
    tag: str = ""
    body: msgspec.Raw = msgspec.Raw(b"\xc0")
    trace: str = ""


class LaneInfo(msgspec.Struct, frozen=True):
    """What has passed on one lane to and from a peer, and what waits.

    Attributes:
        lane: control, metrics or bulk.
        queued: letters that wait to be sent.
        queued_bytes: bytes of their bodies.
        high_water: most letters that ever waited.
        high_water_bytes: most bytes that ever waited.
        refused: letters refused to their senders because too much waited.
        sent: letters handed to the network.
        received: letters that came.

    """

    lane: Lane
    queued: int = 0
    queued_bytes: int = 0
    high_water: int = 0
    high_water_bytes: int = 0
    refused: int = 0
    sent: int = 0
    received: int = 0


class PeerInfo(msgspec.Struct, frozen=True):
    """What a link knows of a peer.

    Attributes:
        node: its name.
        address: where it receives.
        up: whether it has been heard lately.
        lanes: those that have been used.

    """

    node: str
    address: str = ""
    up: bool = True
    lanes: tuple[LaneInfo, ...] = ()


class Receiver(Protocol):
    """Who takes what comes in; called in the link's thread, so it only passes on. Must not raise."""

    def letters(self, node: str, batch: Sequence[Letter], lane: Lane) -> None:
        """Letters from a node, in the order in which it sent them on that lane."""
        ...

    def peer_up(self, node: str) -> None:
        """A node, or a new incarnation of it, has said its first word."""
        ...

    def peer_down(self, node: str, why: str) -> None:
        """A node is silent, has left, or has been replaced by a new incarnation."""
        ...

    def name_taken(self, node: str, why: str) -> None:
        """A node refuses to hear us: another one that lives has our name there."""
        ...


class Link(Protocol):
    """A node's side of the network. All methods may be called by any thread."""

    @property
    def address(self) -> str:
        """Where other nodes connect to."""
        ...

    def start(self, receiver: Receiver) -> None:
        """Begin to receive."""
        ...

    def connect(self, node: str, address: str) -> None:
        """Keep a connection to a node, from now on and across its restarts."""
        ...

    def send(self, node: str, letter: Letter, lane: Lane = CONTROL, *, hold: bool = False) -> bool:
        """Queue a letter: it leaves at once or, in a rush, with those that follow it.

        On one lane letters keep their order, between lanes they do not. With `hold` the caller will `flush`.

        Returns:
            False if the node is not known or too much waits for it: the letter is not sent.

        """
        ...

    def flush(self, node: str) -> None:
        """Let leave now what is queued for a node."""
        ...

    def hurry(self, node: str) -> None:
        """Let leave what is queued for a node, for somebody waits for an answer: now, or with what others add."""
        ...

    def soon(self) -> None:
        """Let leave in a moment what is held for anyone, should nobody flush it before."""
        ...

    def connected(self, node: str) -> bool:
        """Whether the node has been heard lately."""
        ...

    def stats(self) -> list[PeerInfo]:
        """What has passed between us and each peer, by name."""
        ...

    def close(self) -> None:
        """Say goodbye, send what is queued if that is quick, and let go of sockets and threads."""
        ...
