"""The controller's gateway: the door for administrators, scripts, and workers that fetch artifacts."""

from __future__ import annotations

from typing import Any

from tucano.actors.kernel import Message, Note
from tucano.transport.link import BULK
from tucano.transport.security import Guest


class ReadArtifact(Message, frozen=True):
    """Answered with bytes (msgpack bin) of an artifact, at most 1 MiB; refused with `not_found`."""

    LANE = BULK

    artifact: str
    offset: int
    limit: int = 1 << 20


class Received(Note, frozen=True):
    """A client's frame, unread, whom to answer, and whose it is."""

    client: tuple[bytes, ...]
    frame: bytes
    guest: Guest


class Answered(Note, frozen=True):
    """Note to self: a component has answered (or refused) what the request `pending` made us ask it."""

    pending: int
    result: Any


class Loaded(Note, frozen=True):
    """Note to self: the record's answer to the watch, or a `Refused`."""

    result: Any


class Followed(Note, frozen=True):
    """Note to self: the record's answer to our following its events, or a `Refused`."""

    result: Any


class WatchDue(Note, frozen=True):
    """Note to self: (again) ask the record for all that is in it."""


class StreamsDue(Note, frozen=True):
    """Note to self: look for followers who are gone."""


class CollectDue(Note, frozen=True):
    """Note to self: look for artifacts that no revision needs."""
