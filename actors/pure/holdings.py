"""What the deployer knows of the record: services, their instances, and the nodes. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from tucano.actors.messages.discovery import Entry
from tucano.actors.messages.model import Instance, Revision, Service, Worker
from tucano.actors.pure.instance import ACTIVE


class Holdings:
    """Services and instances as they are wanted in the record; nodes as they were told last.

    Attributes:
        services: by name.
        instances: by id.
        workers: all nodes, by name.

    """

    def __init__(self) -> None:
        self.services: dict[str, Service] = {}
        self.instances: dict[str, Instance] = {}
        self.workers: dict[str, Worker] = {}
        self._confirmed: set[str] = set()

    def load(self, entries: Iterable[Entry]) -> None:
        """Take services and instances from the record; nodes have news of their own."""
        for entry in entries:
            if entry.service is not None:
                self.services[entry.service.name] = entry.service
            elif entry.instance is not None:
                self.instances[entry.instance.id] = entry.instance

    def confirm(self, instance: str) -> None:
        """We made it, or a worker who is there has told us of it."""
        self._confirmed.add(instance)

    def doubt(self, instances: Iterable[Instance]) -> None:
        """Their worker is not heard any more."""
        self._confirmed.difference_update(instance.id for instance in instances)

    def remove(self, instance: Instance) -> None:
        """It is no more."""
        del self.instances[instance.id]
        self._confirmed.discard(instance.id)

    def of(self, service: str) -> list[Instance]:
        """The instances of a service."""
        return [instance for instance in self.instances.values() if instance.service == service]

    def on(self, node: str) -> list[Instance]:
        """The instances on a node."""
        return [instance for instance in self.instances.values() if instance.node == node]

    def is_unsure(self, service: str) -> bool:
        """An instance of it should run, and nobody who is there has told us so."""
        return any(one.state in ACTIVE and one.id not in self._confirmed for one in self.of(service))

    def newest(self, service: str) -> float:
        """When an instance of it changed last, in seconds since 1970; 0 if it has none."""
        return max((instance.since for instance in self.of(service)), default=0.0)

    def revision_of(self, instance: Instance) -> Revision | None:
        """What it runs; None if nobody wants that any more."""
        service = self.services.get(instance.service)
        revisions = (service.target, service.previous) if service else ()
        return next((one for one in revisions if one is not None and one.number == instance.revision), None)

    def is_leaving(self, service: str) -> bool:
        """It is being removed, or was."""
        return service not in self.services or self.services[service].rollout == "removing"

    def is_gone(self, node: str) -> bool:
        """The node will not come back with what it had."""
        return node not in self.workers or self.workers[node].state == "gone"
