"""Hears of each decision to drain an instance at the moment when the record does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, assert_never

from tucano.actors.kernel import Actor, Down, Message, Refused
from tucano.actors.messages import discovery


class Loaded(Message, frozen=True):
    """Note to self: the record's answer to the watch, or a `Refused`."""

    result: Any


class Auditor(Actor):
    """A part of the controller that only looks on.

    Args:
        drained: told of a service and all its instances that are draining, whenever one more is.

    """

    Inbox = Loaded | discovery.Changed | Down

    def __init__(self, drained: Callable[[str, list[str]], None]) -> None:
        super().__init__()
        self._drained = drained
        self._record = self.address("discovery")
        self._draining: dict[str, str] = {}  # services, by instance

    def on_start(self) -> None:
        """Begin to look."""
        self._look()

    def receive(self, message: Loaded | discovery.Changed | Down) -> None:
        """Handle one message."""
        match message:
            case Loaded(Refused()):
                self._look()
            case Loaded(result):
                self.watch(self._record)
                self._draining.clear()
                self._take(result.entries)
            case discovery.Changed(entries=entries):
                for service in self._take(entries):
                    self._drained(service, [one for one, whose in self._draining.items() if whose == service])
            case Down():
                self._look()
            case _:
                assert_never(message)

    def _look(self) -> None:
        self.pipe(self._record, discovery.Watch(self.ref, ("instance/",)), 5.0, Loaded)

    def _take(self, entries: Iterable[discovery.Entry]) -> list[str]:
        """Remember what is draining; returns the services of those that were not before."""
        fresh = []
        for entry in entries:
            identifier, instance = entry.key.partition("/")[2], entry.instance
            if instance is None or instance.state != "draining":
                self._draining.pop(identifier, None)
            elif identifier not in self._draining:
                self._draining[identifier] = instance.service
                fresh.append(instance.service)
        return fresh
