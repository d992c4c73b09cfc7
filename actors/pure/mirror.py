"""A component's own copy of the record, as its watch keeps it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tucano.actors.kernel import Refused
from tucano.actors.messages import discovery
from tucano.actors.messages.model import Instance, Service, Worker


class Mirror:
    """What the record knows.

    Attributes:
        services: by name.
        instances: by id.
        workers: by name; balancers are among them.

    """

    def __init__(self) -> None:
        self.services: dict[str, Service] = {}
        self.instances: dict[str, Instance] = {}
        self.workers: dict[str, Worker] = {}
        self._revision = -1

    @property
    def is_loaded(self) -> bool:
        """Whether the record has answered yet."""
        return self._revision >= 0

    def load(self, entries: discovery.Entries) -> None:
        """Begin anew with all that is in the record."""
        self.services, self.instances, self.workers = {}, {}, {}
        self._revision = entries.revision
        self._take(entries.entries)

    def follow(self, changed: discovery.Changed) -> bool:
        """Take over a change.

        Returns:
            False if one before it was missed: the record must be loaded again.

        """
        if changed.previous == self._revision:
            self._revision = changed.revision
            self._take(changed.entries)
        return changed.revision <= self._revision

    def service(self, name: str) -> Service:
        """The service of that name.

        Raises:
            Refused: `unavailable` before the record has answered, `not_found` if it has none.

        """
        if name in self.services:
            return self.services[name]
        if not self.is_loaded:
            raise Refused("unavailable", "the controller is starting: try again in a moment")
        known = ", ".join(sorted(self.services)) or "none yet"
        raise Refused("not_found", f"no service is called {name!r}; there are: {known}")

    def instance(self, identifier: str) -> Instance:
        """The instance of that id.

        Raises:
            Refused: `not_found`.

        """
        if identifier not in self.instances:
            raise Refused("not_found", f"no instance is called {identifier!r}: `show` lists a service's")
        return self.instances[identifier]

    def nodes(self, here: str, wanted: str | None = None) -> list[str]:
        """All nodes, this one first, then by role and name; or the one that is wanted.

        Raises:
            Refused: `not_found`: the one that is wanted is not among them.

        """
        names = [here, *(one.name for one in sorted(self.workers.values(), key=lambda one: (one.role, one.name)))]
        if wanted is None:
            return names
        if wanted not in names:
            raise Refused("not_found", f"no node is called {wanted!r}; there are: {', '.join(names)}")
        return [wanted]

    def ready(self, nodes: Iterable[str]) -> list[str]:
        """Those of the nodes that can be asked."""
        return [name for name in nodes if name not in self.workers or self.workers[name].state == "ready"]

    def balancers(self) -> list[str]:
        """Nodes whose balancers can be asked."""
        return [one.name for one in self.workers.values() if one.role == "balancer" and one.state == "ready"]

    def _take(self, entries: Iterable[discovery.Entry]) -> None:
        for entry in entries:
            kind, _, name = entry.key.partition("/")
            tables: dict[str, dict[str, Any]] = {"service": self.services, "instance": self.instances}
            known = tables.get(kind, self.workers)
            value = entry.service or entry.instance or entry.worker
            if value is None:
                known.pop(name, None)
            else:
                known[name] = value
