"""The record: what the cluster knows. Its interface: an etcd's in small: revisions, compare-and-put, ranges, watch."""

from __future__ import annotations

from tucano.actors.kernel import Message, Note, Ref
from tucano.actors.messages.model import Event, Instance, Service, Worker


class Put(Message, frozen=True):
    """Keep a value; answered with its `Entry.revision`, for a service once it is durable.

    Instances and workers are written a moment later: after a crash the workers tell them again.

    Attributes:
        key: `service/NAME`, `instance/ID` or `worker/NAME`.
        value: exactly one of the three is set.
        expect: refuse (`conflict`) unless the present entry has this revision; 0: unless there is none; -1: do not ask.

    """

    key: str
    service: Service | None = None
    instance: Instance | None = None
    worker: Worker | None = None
    expect: int = -1


class Delete(Message, frozen=True):
    """Forget a key; answered with whether it was there, for a service once that is durable."""

    key: str


class Range(Message, frozen=True):
    """Answered with `Entries`: all whose key begins with `prefix`."""

    prefix: str


class Entry(Message, frozen=True):
    """One key. With no value at all it has been deleted."""

    key: str
    revision: int
    service: Service | None = None
    instance: Instance | None = None
    worker: Worker | None = None


class Entries(Message, frozen=True):
    """What a range holds, by key."""

    revision: int
    entries: tuple[Entry, ...]


class Watch(Message, frozen=True):
    """Answered with `Entries`; from then on `watcher` is told of each change below these prefixes with `Changed`.

    Watching again replaces the earlier watch of the same watcher. A watcher that may have missed something (the record
    was restarted, which `Down` tells it, or `Changed.previous` is not the revision it has) watches again.
    """

    watcher: Ref
    prefixes: tuple[str, ...]


class Changed(Message, frozen=True):
    """Entries that were put or deleted, in order; `previous` is the revision of the change told before."""

    previous: int
    revision: int
    entries: tuple[Entry, ...]


class Record(Message, frozen=True):
    """Keep an event; told, not asked."""

    kind: str
    subject: str
    text: str


class Follow(Message, frozen=True):
    """Answered with `Happened`: events after `since`; with `watcher`, later ones are told to it as they happen.

    Attributes:
        since: number of the last event that the asker has; -N means the last N.
        watcher: who wants the later ones.
        limit: how many at most.

    """

    since: int
    watcher: Ref | None = None
    limit: int = 1000


class Happened(Message, frozen=True):
    """Events, in order."""

    events: tuple[Event, ...]


class FlushDue(Note, frozen=True):
    """Note to self: write what may be written late."""
