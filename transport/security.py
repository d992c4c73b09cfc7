"""Who may come in: keys, the roles that they have, and the rule that nothing leaves this machine without them.

Every node and client has a pair of CURVE keys. Whoever listens knows the public keys that it admits, with a name and a
role each; whoever calls knows the public key of whom it calls. So each side of a connection proves who it is, and all
that is said is encrypted. On loopback a cluster may do without.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol

import msgspec

from tucano.transport.wire import BadFrame, read_routing_id

Role = Literal["node", "admin", "reader"]
"""What a key is for: a `node` speaks on the bridge, an `admin` may ask for everything, a `reader` may only look."""

REMEDY = "make keys with `tucano init`, then start the cluster with `tucano up --listen HOST`"
"""What to do where keys are missing."""

NEW_TOKEN = (
    "if it has been revoked, make a new token there (`tucano key add NAME --role node`), stop what runs here"
    " (`tucano down`), and join with it (`tucano worker --join FILE`, or `balancer`)"
)
"""What to do where a node is not let in any more."""


class Insecure(ValueError):
    """Something that would need keys was wanted without; the text says how to make them."""


class UnknownKey(ValueError):
    """A node cannot be called, because its public key is not known here."""


class Pair(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A pair of CURVE keys, Z85, 40 characters each. The secret one is never shown, not even by `repr`."""

    public: str
    secret: str

    def __repr__(self) -> str:
        return f"Pair({self.public!r})"


class Guest(NamedTuple):
    """Whom a key belongs to.

    Attributes:
        name: of the node, person or program.
        role: what it may do.
        key: its public key.
        revoked: whether the key is void.

    """

    name: str
    role: Role
    key: str = ""
    revoked: bool = False


LOCAL = Guest("local", "admin")
"""Who comes in where no keys are wanted: everyone on this machine."""


class Ring(Protocol):
    """The keys that one node knows. All methods may be called by any thread, and follow changes at once."""

    @property
    def own(self) -> Pair:
        """The node's own keys."""
        ...

    def version(self) -> object:
        """Another value whenever an answer of `guest` or `key_of` may have become another one."""
        ...

    def guest(self, key: str) -> Guest | None:
        """Whom a public key belongs to; None if it is a stranger's."""
        ...

    def key_of(self, node: str) -> str | None:
        """The public key of a node; None if it has none that is valid."""
        ...


class FixedRing:
    """Keys that do not change.

    Args:
        own: the node's own.
        nodes: public keys by the names of the nodes that are admitted and may be called.

    """

    def __init__(self, own: Pair, nodes: Mapping[str, str]) -> None:
        self.own = own
        self._nodes = dict(nodes)
        self._guests = {key: Guest(name, "node", key) for name, key in nodes.items()}

    def version(self) -> object:
        """See `Ring.version`."""
        return 0

    def guest(self, key: str) -> Guest | None:
        """See `Ring.guest`."""
        return self._guests.get(key)

    def key_of(self, node: str) -> str | None:
        """See `Ring.key_of`."""
        return self._nodes.get(node)


def vouch(guest: Guest | None, identity: bytes) -> None:
    """See that a frame on the bridge bears the routing id of the very node whose key its connection was made with.

    Raises:
        BadFrame: it does not.

    """
    peer = read_routing_id(identity).peer
    if guest is None:
        raise BadFrame(f"from one who says to be {peer.node}, with a key that nobody knows")
    if guest.revoked:
        raise BadFrame(f"from {peer.node}: the key of {guest.name} has been revoked")
    if guest.role != "node":
        raise BadFrame(f"from one who says to be {peer.node}, with the key of the {guest.role} {guest.name}")
    if guest.name != peer.node:
        raise BadFrame(f"from one who says to be {peer.node}, with the key of {guest.name}")


def is_loopback(address: str) -> bool:
    """Whether an endpoint, `tcp://HOST:PORT`, cannot be reached from, or is not on, another machine."""
    host = address.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def refuse_beyond_loopback(address: str, what: str) -> None:
    """Let nothing leave this machine that is not encrypted.

    Args:
        address: endpoint that is listened at or connected to.
        what: what for, as the beginning of the text.

    Raises:
        Insecure: the endpoint is not on loopback.

    """
    if not is_loopback(address):
        raise Insecure(f"{what} {address} goes beyond this machine and needs keys: {REMEDY}")
