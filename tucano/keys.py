"""A cluster's keys: which are admitted, and where they lie. See README, "Several machines".

```
HOME/keys/               mode 700, its files 600
  admitted.json          every key that was ever admitted: name, role, public key, when made, when revoked
  NAME.key               pairs of what runs from this home: `controller`, `balancer`, its workers, `local` (its user)
  node.token             a home that has joined another machine's cluster: what its worker is admitted by
  login.token            a home that was logged in with: what its user is admitted by
```

The cluster keeps the public keys of others only: their secrets are in the tokens that they were given.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tucano.home import Home, HomeInUse, write_atomically
from tucano.token import BadToken, Token, parse
from tucano.transport.curve import new_pair
from tucano.transport.security import Pair, Role

CONTROLLER = "controller"
LOCAL = "local"
"""The key of the administrator on the controller's own machine."""

_NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")


class KeysError(Exception):
    """What was wanted of the keys cannot be done; the text says why, and what to do."""


class Entry(msgspec.Struct, frozen=True):
    """One key that is, or was, admitted.

    Attributes:
        name: of the node, person or program; unique among those that are valid.
        role: node, admin or reader.
        public: the public key.
        created: seconds since the epoch.
        revoked: when it became void, seconds since the epoch; None if it is valid.

    """

    name: str
    role: Role
    public: str
    created: float
    revoked: float | None = None


class Keys:
    """The keys of one home.

    Args:
        home: whose.

    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self.path = home.path / "keys"
        self.admitted = self.path / "admitted.json"

    def exist(self) -> bool:
        """Whether this home has keys of a cluster of its own."""
        return self.admitted.exists()

    def create(self) -> None:
        """Make the keys of a cluster: the controller's, and its user's.

        Raises:
            KeysError: it has some.
            Insecure: CURVE is not to be had.

        """
        if self.exist():
            raise KeysError(f"{self.path} has keys already: `tucano key list` shows them")
        self._own(CONTROLLER, "node")
        self._own(LOCAL, "admin")

    def own(self, name: str) -> Pair:
        """The pair of a node that runs from this home, made and admitted when it is first needed.

        Raises:
            KeysError: the name is that of a node on another machine, or the key has been revoked.

        """
        pair = self._own(name, "node")
        if not any(one.public == pair.public and one.revoked is None for one in self.entries()):
            raise KeysError(f"the key of {name} has been revoked: delete {self._file(name)} for a new one")
        return pair

    def pair(self, name: str) -> Pair:
        """The pair of a node of this home, or of its user (`local`).

        Raises:
            KeysError: there is none.

        """
        try:
            return msgspec.json.decode(self._file(name).read_bytes(), type=Pair)
        except (OSError, msgspec.MsgspecError) as error:
            raise KeysError(f"no key for {name}: {self._file(name)} cannot be read ({type(error).__name__})") from None

    def entries(self) -> list[Entry]:
        """All keys that were ever admitted, the oldest first.

        Raises:
            KeysError: there are none, or the list is damaged.

        """
        try:
            return msgspec.json.decode(self.admitted.read_bytes(), type=list[Entry])
        except FileNotFoundError:
            raise KeysError(f"{self.path.parent} has no keys: make them with `tucano init`") from None
        except msgspec.MsgspecError as error:
            raise KeysError(f"{self.admitted} is damaged ({error}): put its last copy back") from error

    def add(self, name: str, role: Role) -> Pair:
        """Admit a new key; its secret is kept nowhere else.

        Raises:
            KeysError: a name that cannot be, or that is taken.

        """
        if not _NAME.fullmatch(name):
            raise KeysError(f"a name is of a-z, 0-9 and -, begins with a letter, at most 40 characters; not {name!r}")
        with self._lock():
            entries = self.entries()
            _refuse_taken(name, entries)
            pair = new_pair()
            self._write([*entries, Entry(name, role, pair.public, time.time())])
        return pair

    def revoke(self, name: str) -> Entry:
        """Make a key void, from now on and for all connections that are there.

        Raises:
            KeysError: there is none of that name, or it is one of this home's own.

        """
        if self._file(name).exists():
            raise KeysError(f"{name} runs from this home: to take it out of the cluster, stop it there")
        with self._lock():
            entries = self.entries()
            for at, entry in enumerate(entries):
                if entry.name == name and entry.revoked is None:
                    entries[at] = msgspec.structs.replace(entry, revoked=time.time())
                    self._write(entries)
                    return entries[at]
        known = ", ".join(sorted({e.name for e in entries if e.revoked is None and not self._file(e.name).exists()}))
        raise KeysError(f"no valid key is called {name!r}; there are: {known or 'none but those of this home'}")

    def is_own(self, name: str) -> bool:
        """Whether a key belongs to what runs from this home."""
        return self._file(name).exists()

    # Tokens of other clusters that this home has joined, or was logged in to.

    def keep(self, token: Token) -> None:
        """Remember a token."""
        self._private()
        write_atomically(self._token("node" if token.role == "node" else "login"), token.text().encode())

    def join(self, token: Token) -> None:
        """Make this the home of a worker or a balancer of another machine's cluster.

        Raises:
            HomeInUse: it is one of another cluster's, or of the controller's.

        """
        self._home.belongs(token.cluster)
        if self.exist():
            raise HomeInUse(f"{self._home.path} is the controller's home: name another directory with --home")
        self.keep(token)

    def joined(self) -> Token | None:
        """The token that a worker of this home joined with."""
        return self._kept("node")

    def joined_as(self) -> str:
        """What of another machine's cluster lives in this home: `worker` or `balancer`; empty if it has joined none."""
        token = self.joined()
        if token is None:
            return ""
        return "balancer" if self._home.balancer(token.name).exists() else "worker"

    def refuse_joined(self) -> None:
        """Nothing but a worker or a balancer of another machine's cluster can live in its home.

        Raises:
            KeysError: this is such a home.

        """
        if (token := self.joined()) is not None:
            role, option = self.joined_as(), self._home.option
            raise KeysError(
                f"{self._home.path} is the home of {role} {token.name} of another machine's cluster: start it with"
                f" `tucano {role} --detach{option}`, stop it with `tucano down{option}`; for a cluster of its own, name"
                " another directory with --home"
            )

    def login(self) -> Token | None:
        """The token that this home's user logged in with."""
        return self._kept("login")

    def _kept(self, what: str) -> Token | None:
        try:
            return parse(self._token(what).read_text())
        except FileNotFoundError:
            return None
        except (BadToken, OSError, ValueError) as error:
            raise KeysError(f"{self._token(what)}: {error}") from None

    def _token(self, what: str) -> Path:
        return self.path / f"{what}.token"

    def _file(self, name: str) -> Path:
        return self.path / f"{name}.key"

    def _own(self, name: str, role: Role) -> Pair:
        """The pair of what runs here; after a start that was cut short, what is missing is made up for."""
        self._private()
        with self._lock():
            entries = self.entries() if self.exist() else []
            if self._file(name).exists():
                pair = self.pair(name)
            else:
                _refuse_taken(name, entries)
                pair = new_pair()
                write_atomically(self._file(name), msgspec.json.encode(pair))
            if all(one.public != pair.public for one in entries):
                self._write([*entries, Entry(name, role, pair.public, time.time())])
            return pair

    def _write(self, entries: list[Entry]) -> None:
        write_atomically(self.admitted, msgspec.json.format(msgspec.json.encode(entries), indent=1), durable=True)

    def _private(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.chmod(0o700)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One writer at a time."""
        if not self.path.exists():
            raise KeysError(f"{self.path.parent} has no keys: make them with `tucano init`")
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _refuse_taken(name: str, entries: list[Entry]) -> None:
    if any(one.name == name and one.revoked is None for one in entries):
        raise KeysError(f"a key called {name} is there already: `tucano key revoke {name}`, or take another name")
