"""A worker's instances in its supervisor's eyes: which are being built, which have a runner, which are to go."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tucano.actors.disk.records import Record
from tucano.actors.messages.model import Instance, State


class Entry:
    """One instance.

    Attributes:
        record: as last known.
        has_runner: whether a runner looks after it, and writes its record; until then, or if it never gets that far,
            the supervisor does.
        is_wanted: False once it was told to stop.

    """

    def __init__(self, record: Record) -> None:
        self.record = record
        self.has_runner = False
        self.is_wanted = True

    @property
    def id(self) -> str:
        """The instance's id."""
        return self.record.order.id

    @property
    def instance(self) -> Instance:
        """As last known."""
        return self.record.instance

    @property
    def is_building(self) -> bool:
        """Whether the builder owes an answer for it."""
        return not self.has_runner and self.instance.state != "failed"

    def learn(self, instance: Instance) -> bool:
        """Take over what its runner says; whether that is news."""
        is_news = instance != self.instance
        self.record = msgspec.structs.replace(self.record, instance=instance)
        return is_news

    def change(self, state: State, detail: str, at: float) -> Instance:
        """Bring it into another state, `at` seconds since the epoch."""
        self.learn(msgspec.structs.replace(self.instance, state=state, detail=detail, since=at))
        return self.instance


class Roster:
    """All instances, by id."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, record: Record) -> Entry:
        """One more."""
        entry = self._entries[record.order.id] = Entry(record)
        return entry

    def get(self, identifier: str) -> Entry | None:
        """The one with this id, if there is one."""
        return self._entries.get(identifier)

    def remove(self, entry: Entry) -> None:
        """One less."""
        del self._entries[entry.id]

    def instances(self) -> tuple[Instance, ...]:
        """As the controller is told."""
        return tuple(entry.instance for entry in self)

    def processes(self) -> tuple[tuple[str, int], ...]:
        """As the collector is told."""
        return tuple((entry.id, entry.instance.pid) for entry in self if entry.instance.pid)

    def directories(self) -> tuple[str, ...] | None:
        """Builds that are needed; None while some instance is being built: it may have been by now, unknown to us."""
        if any(entry.is_building for entry in self):
            return None
        return tuple(entry.record.directory for entry in self)

    def shares_build(self, entry: Entry) -> bool:
        """Whether another instance waits for the same build."""
        directory = entry.record.directory
        return any(other.is_building and other.record.directory == directory for other in self if other is not entry)
