"""Who watches whom, and who is told that an actor is gone: once, whether it was here or on another node."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from tucano.actors.kernel.cell import Cell
from tucano.actors.kernel.down import Down

if TYPE_CHECKING:
    from tucano.actors.kernel.ref import Ref
    from tucano.actors.kernel.system import System

K = TypeVar("K")

WATCHERS = 10_000
"""Who may watch one actor, at most: other nodes can make up any number of names."""


class Watches:
    """The watches of one node's actors, and of its actors.

    Args:
        system: the node's.

    """

    def __init__(self, system: System) -> None:
        self._system = system
        self._table = _Table()

    def watch(self, watcher: str, ref: Ref, incarnation: int) -> None:
        """See `Actor.watch`."""
        address = f"{self._system.node}/{watcher}"
        if ref.node == self._system.node:
            self.watched(ref.name, address, incarnation)
            return
        self._table.there(ref.node, watcher, ref.name, incarnation)
        if not self._system.far.watch(ref, address):
            self.heard(ref.node, watcher, ref.name, Down(ref.address, "node_silent", "it is not connected"))

    def unwatch(self, watcher: str, ref: Ref) -> None:
        """See `Actor.unwatch`."""
        address = f"{self._system.node}/{watcher}"
        if ref.node == self._system.node:
            self._table.not_here(ref.name, address)
        elif self._table.not_there(ref.node, watcher, ref.name):
            self._system.far.unwatch(ref, address)

    def watched(self, name: str, watcher: str, incarnation: int = 0) -> None:
        """`watcher` (an address) watches a name here."""
        if not self._table.here(name, watcher, incarnation):
            news = Down(f"{self._system.node}/{name}", "node_silent", f"{WATCHERS} watch it, the most that may")
            self._inform(watcher, news, incarnation)
            return
        if self._system.find(name) is None:  # looked at after it was noted: it may have ended in between
            self.ended(name, "not_found", "no actor has that name")

    def unwatched(self, name: str, watcher: str) -> None:
        """It does so no more."""
        self._table.not_here(name, watcher)

    def ended(self, name: str, why: str, detail: str) -> None:
        """An incarnation of a name here has ended."""
        news = Down(f"{self._system.node}/{name}", why, detail)
        for address, incarnation in self._table.ended(name):
            self._inform(address, news, incarnation)

    def heard(self, node: str, watcher: str, name: str, news: Down) -> None:
        """An actor on another node is gone: tell who watches it here, unless it has been told."""
        incarnation = self._table.not_there(node, watcher, name)
        if incarnation:
            self._tell(watcher, news, incarnation)

    def node_down(self, node: str, why: str) -> None:
        """Another node is gone, and all its actors for those who watch them."""
        for watcher, name in self._table.gone(node):
            self.heard(node, watcher, name, Down(f"{node}/{name}", "node_silent", why))

    def count(self) -> int:
        """Watches that are kept."""
        return self._table.count()

    def _inform(self, address: str, news: Down, incarnation: int) -> None:
        node, _, watcher = address.partition("/")
        if node == self._system.node:
            self._tell(watcher, news, incarnation)
        else:
            self._system.far.down(node, watcher, news)

    def _tell(self, watcher: str, news: Down, incarnation: int) -> None:
        cell = self._system.find(watcher)
        if isinstance(cell, Cell):
            cell.told(news, incarnation)


class _Table:
    """Two tables behind one lock. Addresses are `node/name`; names alone are this node's, or that of the node named.

    They are dictionaries, not sets: who watched first is told first, in every run alike. The value is the watcher's
    incarnation, whose watches end with it; 0 for a watcher on another node, which knows its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._here: dict[str, dict[str, int]] = {}  # name here -> addresses of its watchers
        self._there: dict[str, dict[tuple[str, str], int]] = {}  # other node -> (watcher here, name there)

    def here(self, name: str, watcher: str, incarnation: int = 0) -> bool:
        """`watcher` (an address) watches a name here; False if too many do."""
        with self._lock:
            watchers = self._here.setdefault(name, {})
            if len(watchers) >= WATCHERS and watcher not in watchers:
                return False
            watchers[watcher] = incarnation
            return True

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
