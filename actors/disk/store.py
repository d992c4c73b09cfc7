"""The record on disk: SQLite in WAL mode, durable at each `commit`."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import msgspec

from tucano.actors.messages.discovery import Entry
from tucano.actors.messages.model import Event

log = logging.getLogger(__name__)

KEEP_EVENTS = 10_000
"""Events kept; older ones are forgotten."""

GAP = 1000
"""Numbers of events that each start passes over: more than a crash can lose that were told already but not yet written,
so that no number is given twice and a follower knows by it what it has seen."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, revision INTEGER NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event (seq INTEGER PRIMARY KEY, value BLOB NOT NULL);
"""


class StoreError(Exception):
    """The record cannot be read or written: a full disk, a damaged file."""


class Store:
    """Entries by key, and the last events.

    Args:
        path: the database; made, with its directory, if it is not there.

    Raises:
        StoreError: it cannot be opened.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # autocommit: transactions are ours alone; the actor that owns the store is handed from thread to thread
            self._database = sqlite3.connect(path, 0.5, isolation_level=None, check_same_thread=False)
            # FULL: a commit is on the disk when it returns, also through a power cut (sqlite.org/pragma.html)
            self._database.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {_SCHEMA}")
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the record {path} cannot be opened: {error}") from error

    def entries(self) -> list[Entry]:
        """All that is kept."""
        rows = self._database.execute("SELECT value FROM entry").fetchall()
        return [msgspec.msgpack.decode(value, type=Entry) for (value,) in rows]

    def events(self) -> list[Event]:
        """The last events, in order."""
        rows = self._database.execute("SELECT value FROM event ORDER BY seq").fetchall()
        return [msgspec.msgpack.decode(value, type=Event) for (value,) in rows]

    def reserve(self) -> int:
        """A number that no event has, nor any later one, although a crash may have lost events that were told."""
        (last,) = self._database.execute("SELECT ifnull(max(seq), 0) FROM event").fetchone()
        (reserved,) = self._database.execute("PRAGMA user_version").fetchone()
        start = max(int(last), int(reserved))
        try:
            self._database.execute(f"PRAGMA user_version = {start + GAP}")
        except sqlite3.Error as error:  # a full disk is no reason not to start; then it is a gap, too
            log.error("the record %s cannot be written: %s; look at its disk", self._path, error)
            start += GAP
        return start

    def commit(self, entries: Iterable[Entry], deleted: Iterable[str] = (), events: Iterable[Event] = ()) -> None:
        """Write all of it or nothing; it is on the disk when this returns.

        Raises:
            StoreError: nothing was written.

        """
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany(
                "INSERT OR REPLACE INTO entry VALUES (?, ?, ?)",
                ((entry.key, entry.revision, msgspec.msgpack.encode(entry)) for entry in entries),
            )
            self._database.executemany("DELETE FROM entry WHERE key = ?", ((key,) for key in deleted))
            rows = [(event.seq, msgspec.msgpack.encode(event)) for event in events]
            self._database.executemany("INSERT OR REPLACE INTO event VALUES (?, ?)", rows)
            if rows:
                oldest = "(SELECT seq FROM event ORDER BY seq DESC LIMIT 1 OFFSET ?)"
                self._database.execute(f"DELETE FROM event WHERE seq <= {oldest}", (KEEP_EVENTS,))
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise StoreError(f"the record {self._path} cannot be written: {error}; look at its disk") from error

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()
