"""The keys that a node lives by while it runs: what `transport.security.Ring` wants, from a home or from a token."""

from __future__ import annotations

import logging

from tucano.home import Home
from tucano.keys import CONTROLLER, Keys, KeysError
from tucano.token import Token
from tucano.transport.security import FixedRing, Guest, Pair, Ring

log = logging.getLogger("tucano.keys")


class KeptRing:
    """A home's admitted keys, read again whenever their file is another one: what is revoked is void at once.

    A list that cannot be read admits nobody.

    Args:
        keys: of the home.
        name: of the node that asks.

    Raises:
        KeysError: the node has no key.

    """

    def __init__(self, keys: Keys, name: str) -> None:
        self.own = keys.pair(name)
        self._keys = keys
        self._known: tuple[object, dict[str, Guest], dict[str, str]] = (None, {}, {})

    def version(self) -> object:
        """See `Ring.version`."""
        try:
            found = self._keys.admitted.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def guest(self, key: str) -> Guest | None:
        """See `Ring.guest`."""
        return self._look()[1].get(key)

    def key_of(self, node: str) -> str | None:
        """See `Ring.key_of`."""
        return self._look()[2].get(node)

    def _look(self) -> tuple[object, dict[str, Guest], dict[str, str]]:
        version = self.version()
        if version is None or version != self._known[0]:
            try:
                entries = self._keys.entries()
            except (KeysError, OSError) as error:
                log.error("nobody is admitted: %s", error)
                entries = []
            self._known = (
                version,
                {one.public: Guest(one.name, one.role, one.public, one.revoked is not None) for one in entries},
                {one.name: one.public for one in entries if one.role == "node" and one.revoked is None},
            )
        return self._known


def ring(home: Home, name: str) -> Ring:
    """The keys that a node of a home lives by: those of its own cluster, or of the one that it has joined.

    Raises:
        KeysError: it has none.

    """
    keys = Keys(home)
    token = keys.joined()
    if token is not None:
        return joined_ring(token)
    return KeptRing(keys, name)


def joined_ring(token: Token) -> Ring:
    """The keys of a node on another machine than the controller: its own, and the controller's."""
    return FixedRing(Pair(token.public, token.secret), {CONTROLLER: token.controller})
