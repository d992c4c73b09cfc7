"""Discovery: the cluster's record. Services, instances, workers and events; durable; others watch it."""

from __future__ import annotations

import logging
from collections import deque
from pathlib import Path
from typing import assert_never

from tucano.actors.disk.store import KEEP_EVENTS, Store, StoreError
from tucano.actors.kernel import Actor, Down, Ref, Refused
from tucano.actors.messages.discovery import (
    Changed,
    Delete,
    Entries,
    Entry,
    FlushDue,
    Follow,
    Happened,
    Put,
    Range,
    Record,
    Watch,
)
from tucano.actors.messages.model import Event
from tucano.actors.pure.discretion import for_others

log = logging.getLogger(__name__)

FLUSH = 0.25
"""Seconds after which instances, workers and events are on the disk; services are before they are acknowledged."""


class Discovery(Actor):
    """Keeps the record and tells watchers of its changes.

    Args:
        path: the database.

    """

    Inbox = Put | Delete | Range | Watch | Record | Follow | FlushDue | Down

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._store: Store | None = None
        self._entries: dict[str, Entry] = {}
        self._revision = 0
        self._events: deque[Event] = deque(maxlen=KEEP_EVENTS)
        self._last_event = 0
        self._watchers: dict[Ref, tuple[str, ...]] = {}
        self._told: dict[Ref, int] = {}
        self._followers: dict[Ref, None] = {}  # in the order in which they came
        self._late: dict[str, Entry | None] = {}  # None: deleted
        self._late_events: list[Event] = []

    def on_start(self) -> None:
        """Read the record."""
        self._store = Store(self._path)
        self._entries = {entry.key: entry for entry in self._store.entries()}
        self._events.extend(self._store.events())
        self._last_event = self._store.reserve()
        self._revision = max((entry.revision for entry in self._entries.values()), default=0)

    def on_stop(self) -> None:
        """Write what is late."""
        if self._store is not None:
            self._flush()
            self._store.close()

    def on_crash(self) -> None:
        """Let go of the database."""
        if self._store is not None:
            self._store.close()

    def receive(self, message: Put | Delete | Range | Watch | Record | Follow | FlushDue | Down) -> object:
        """Handle one message."""
        match message:
            case Put():
                self.insist(self.ref.node)
                return self._put(message)
            case Delete(key):
                self.insist(self.ref.node)
                return self._delete(key)
            case Range(prefix):
                return self._range((prefix,), self.origin)
            case Watch(watcher, prefixes):
                self.insist(watcher.node)
                self._watchers[watcher] = prefixes
                self._told[watcher] = self._revision
                self.watch(watcher)
                return self._range(prefixes, watcher.node)
            case Record(kind, subject, text):
                self.insist(subject)  # other nodes tell what happened to themselves
                self._record(kind, subject, text)
            case Follow():
                return self._follow(message)
            case FlushDue():
                self._flush()
            case Down(who):
                gone = self.address(who)
                self._watchers.pop(gone, None)
                self._followers.pop(gone, None)
            case _:
                assert_never(message)
        return None

    def _put(self, put: Put) -> int:
        present = self._entries.get(put.key)
        if put.expect >= 0 and put.expect != (present.revision if present else 0):
            raise Refused("conflict", f"{put.key} was changed by somebody else meanwhile: read it again")
        entry = Entry(put.key, self._revision + 1, put.service, put.instance, put.worker)
        self._keep(put.key, entry)
        self._revision += 1
        self._entries[put.key] = entry
        self._tell(entry)
        return entry.revision

    def _delete(self, key: str) -> bool:
        if key not in self._entries:
            return False
        self._keep(key, None)
        self._revision += 1
        del self._entries[key]
        self._tell(Entry(key, self._revision))
        return True

    def _keep(self, key: str, entry: Entry | None) -> None:
        """Write a service now, anything else soon."""
        assert self._store is not None
        if key.startswith("service/"):
            try:
                self._store.commit([entry] if entry else [], [] if entry else [key])
            except StoreError as error:
                raise Refused("storage", str(error)) from error
            return
        if not self._late and not self._late_events:
            self.after(FLUSH, FlushDue())
        self._late[key] = entry

    def _flush(self) -> None:
        if not self._late and not self._late_events:
            return
        assert self._store is not None
        puts = [entry for entry in self._late.values() if entry is not None]
        try:
            self._store.commit(puts, [key for key, entry in self._late.items() if entry is None], self._late_events)
        except StoreError as error:  # it stays late: the next flush tries again
            log.error("%s", error)
            self.after(10 * FLUSH, FlushDue())
            del self._late_events[:-KEEP_EVENTS]
            return
        self._late.clear()
        self._late_events.clear()

    def _range(self, prefixes: tuple[str, ...], reader: str) -> Entries:
        found = (entry for key, entry in sorted(self._entries.items()) if key.startswith(prefixes))
        return Entries(self._revision, tuple(found if reader == self.ref.node else map(for_others, found)))

    def _tell(self, entry: Entry) -> None:
        for watcher, prefixes in self._watchers.items():
            if entry.key.startswith(prefixes):
                seen = entry if watcher.node == self.ref.node else for_others(entry)
                watcher.tell(Changed(self._told[watcher], entry.revision, (seen,)))
                self._told[watcher] = entry.revision

    def _record(self, kind: str, subject: str, text: str) -> None:
        if not self._late and not self._late_events:
            self.after(FLUSH, FlushDue())
        self._last_event += 1
        event = Event(self._last_event, self.wall(), kind, subject, text)
        log.info("%s %s: %s", kind, subject, text)
        self._events.append(event)
        self._late_events.append(event)
        for follower in self._followers:
            follower.tell(Happened((event,)))

    def _follow(self, follow: Follow) -> Happened:
        if follow.watcher is not None:
            self.insist(follow.watcher.node)
            self._followers[follow.watcher] = None
            self.watch(follow.watcher)
        if follow.since < 0:
            events = list(self._events)[follow.since :]
        else:
            events = [event for event in self._events if event.seq > follow.since]
        return Happened(tuple(events[-min(max(follow.limit, 1), KEEP_EVENTS) :]))
