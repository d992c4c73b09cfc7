"""Who watches whom: of this node's actors anybody, of other nodes' actors those here."""

from __future__ import annotations

import threading


class Watches:
    """Two tables behind one lock. Addresses are `node/name`; names alone are this node's, or that of the node named."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._here: dict[str, set[str]] = {}  # name here -> addresses of its watchers
        self._there: dict[str, set[tuple[str, str]]] = {}  # other node -> (watcher here, name there)

    def here(self, name: str, watcher: str) -> None:
        """`watcher` (an address) watches a name here."""
        with self._lock:
            self._here.setdefault(name, set()).add(watcher)

    def not_here(self, name: str, watcher: str) -> None:
        """It does so no more."""
        with self._lock:
            self._here.get(name, set()).discard(watcher)

    def ended(self, name: str) -> set[str]:
        """A name here has ended: whom to tell, once."""
        with self._lock:
            return self._here.pop(name, set())

    def there(self, node: str, watcher: str, name: str) -> None:
        """`watcher` (a name here) watches a name of another node."""
        with self._lock:
            self._there.setdefault(node, set()).add((watcher, name))

    def not_there(self, node: str, watcher: str, name: str) -> bool:
        """It does so no more; whether it did."""
        with self._lock:
            known = (watcher, name) in self._there.get(node, set())
            self._there.get(node, set()).discard((watcher, name))
            return known

    def gone(self, node: str) -> list[tuple[str, str]]:
        """A node is gone, and its watchers with it: which (watcher here, name there) are to be told."""
        with self._lock:
            for watchers in self._here.values():
                watchers -= {address for address in watchers if address.startswith(f"{node}/")}
            return list(self._there.get(node, ()))
