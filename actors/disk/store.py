"""The record on disk: SQLite in WAL mode, durable at each `commit`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import msgspec

from tucano.actors.messages.discovery import Entry
from tucano.actors.messages.model import Event

KEEP_EVENTS = 10_000
"""Events kept; older ones are forgotten."""

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
            last = 0
            for event in events:
                last = event.seq
                self._database.execute(
                    "INSERT OR REPLACE INTO event VALUES (?, ?)", (event.seq, msgspec.msgpack.encode(event))
                )
            if last:
                self._database.execute("DELETE FROM event WHERE seq <= ?", (last - KEEP_EVENTS,))
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise StoreError(f"the record {self._path} cannot be written: {error}; look at its disk") from error

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()
