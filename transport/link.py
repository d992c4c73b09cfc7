"""What an actor system needs of the network: letters to named nodes, and news of who is there."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Protocol

import msgspec

BEAT = 0.25
"""Seconds between two heartbeats to each peer; silence is judged by `transport.detector`."""

QUEUE = 20_000
"""Letters that may wait for one peer; more are refused to their senders."""


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


class Letter(msgspec.Struct, frozen=True, array_like=True):
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


class Receiver(Protocol):
    """Who takes what comes in; called in the link's thread, so it only passes on. Must not raise."""

    def letters(self, node: str, batch: Sequence[Letter]) -> None:
        """Letters from a node, in the order in which it sent them."""
        ...

    def peer_up(self, node: str) -> None:
        """A node, or a new incarnation of it, has said its first word."""
        ...

    def peer_down(self, node: str, why: str) -> None:
        """A node is silent, has left, or has been replaced by a new incarnation."""
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

    def send(self, node: str, letter: Letter) -> bool:
        """Queue a letter and send what is queued.

        Returns:
            False if the node is not known or its queue is full: the letter is not sent.

        """
        ...

    def connected(self, node: str) -> bool:
        """Whether the node has been heard lately."""
        ...

    def close(self) -> None:
        """Say goodbye, send what is queued if that is quick, and let go of sockets and threads."""
        ...
