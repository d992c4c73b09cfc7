"""Who watches whom: of this node's actors anybody, of other nodes' actors those here."""

from __future__ import annotations

import threading
from typing import TypeVar

K = TypeVar("K")


class Watches:
    """Two tables behind one lock. Addresses are `node/name`; names alone are this node's, or that of the node named.

    They are dictionaries, not sets: who watched first is told first, in every run alike. The value is the watcher's
    incarnation, whose watches end with it; 0 for a watcher on another node, which knows its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._here: dict[str, dict[str, int]] = {}  # name here -> addresses of its watchers
        self._there: dict[str, dict[tuple[str, str], int]] = {}  # other node -> (watcher here, name there)

    def here(self, name: str, watcher: str, incarnation: int = 0) -> None:
        """`watcher` (an address) watches a name here."""
        with self._lock:
            self._here.setdefault(name, {})[watcher] = incarnation

    def not_here(self, name: str, watcher: str) -> None:
        """It does so no more."""
        with self._lock:
            _drop(self._here, name, watcher)

    def ended(self, name: str) -> list[tuple[str, int]]:
        """A name here has ended: whom to tell (address, incarnation), once."""
        with self._lock:
            return list(self._here.pop(name, {}).items())

    def there(self, node: str, watcher: str, name: str, incarnation: int) -> None:
        """`watcher` (a name here) watches a name of another node."""
        with self._lock:
            self._there.setdefault(node, {})[watcher, name] = incarnation

    def not_there(self, node: str, watcher: str, name: str) -> int:
        """It does so no more; the incarnation that did, 0 if none did."""
        with self._lock:
            return _drop(self._there, node, (watcher, name))

    def gone(self, node: str) -> list[tuple[str, str]]:
        """A node is gone, and its watchers with it: which (watcher here, name there) are to be told."""
        with self._lock:
            for name, watchers in list(self._here.items()):
                for address in [one for one in watchers if one.startswith(f"{node}/")]:
                    _drop(self._here, name, address)
            return list(self._there.get(node, ()))

    def count(self) -> int:
        """Watches in both tables."""
        with self._lock:
            return sum(map(len, self._here.values())) + sum(map(len, self._there.values()))


def _drop(table: dict[str, dict[K, int]], key: str, entry: K) -> int:
    """Take out an entry, and the key with its last; its value, 0 if it was not there."""
    entries = table.get(key, {})
    value = entries.pop(entry, 0)
    if not entries:
        table.pop(key, None)
    return value
