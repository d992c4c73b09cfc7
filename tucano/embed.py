"""A node of actors inside any Python program: the kernel, and if wanted the bridge, without a cluster."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tucano.actors.kernel import ActorInfo, Child, Lifecycle, Ref, Refused, System
from tucano.transport.wire import NODE, check_name

if TYPE_CHECKING:
    from pathlib import Path

    import pykka

    from tucano.transport.security import Ring
    from tucano.transport.zmq_link import ZmqLink

_LISTEN = re.compile(r"^([0-9A-Za-z.-]{1,80}):([0-9]{1,5})\Z")


class Node:
    """Actors under a tree, with names, restarts, watches and timers; with `listen`, reachable from other nodes.

    A context manager: at the end of the block all actors stop, the last one first.

    Args:
        name: the node's name, unique among those that it meets: a-z, 0-9, `-` and `.`.
        children: what the root tree starts; `spawn` adds more.
        listen: `HOST:PORT` to be reached at, with port 0 for any free one; None for a node on its own. A host beyond
            loopback needs keys.
        cluster: any text; only nodes of the same one talk to each other. With a token, the cluster is the token's.
        keys: a home with keys (`tucano init --home DIR`): this node's are made there when they are missing, and only
            its nodes are talked to.
        token: instead, what `tucano key add NAME --role node` printed, or the file that holds it: this node is NAME,
            and talks to the node `controller` of that home.
        tree: further arguments of the root `Tree`: `strategy`, `law`.

    Raises:
        Refused: a child crashed more often than the law allows; what has started is stopped again.
        ValueError: a name or an address that cannot be, or (`Insecure`) that needs keys.
        KeysError, BadKeys: the keys or the token cannot be used.
        OSError: the port is taken.
        Refused: a child's start crashed until the tree gave up.
        TimedOut: the children are not up in 30 seconds.

    """

    def __init__(
        self,
        name: str,
        children: Sequence[Child] = (),
        *,
        listen: str | None = None,
        cluster: str = "embedded",
        keys: str | Path | None = None,
        token: str | Path | None = None,
        **tree: Any,
    ) -> None:
        check_name(name)
        self.name = name
        self._link: ZmqLink | None = None if listen is None else _bridge(name, cluster, listen, keys, token)
        self._system = System(name, link=self._link)
        try:
            self._system.run(children, **tree)
            self._system.wait_until_up()
        except BaseException as error:
            self.stop()
            if isinstance(error, Refused) and self.gave_up is not None:
                raise Refused(error.code, f"node {name} did not start: {self.gave_up}") from error
            raise

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> str:
        """Where other nodes connect to, `HOST:PORT`; empty for a node on its own."""
        return "" if self._link is None else self._link.address.removeprefix("tcp://")

    def connect(self, node: str, address: str) -> None:
        """Keep a connection to another node, `HOST:PORT`, from now on and across its restarts; it connects back.

        Raises:
            ValueError: this node does not listen, or there is no such node or address.

        """
        if self._link is None:
            raise ValueError(f"node {self.name} is on its own: give it listen='127.0.0.1:0'")
        if not NODE.match(node) or node == self.name:
            raise ValueError(f"node {self.name} cannot connect to a node called {node!r}")
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise ValueError(f"an address is HOST:PORT, such as another node's `address`, not {address!r}")
        self._link.connect(node, f"tcp://{address}")

    def ref(self, address: str) -> Ref:
        """The ref for `name` (of this node) or `node/name`."""
        return self._system.ref(address)

    def spawn(self, child: Child) -> Ref:
        """Start a further child of the root tree, and wait until it is up.

        Raises:
            Refused: the name is taken, or its start crashed.

        """
        return self._system.spawn(child)

    def expose(self, name: str, actor: pykka.ActorRef[Any]) -> Ref:
        """Give any Pykka actor a name: any node may tell and ask it what msgpack can say.

        What the actor raises is a `Refused` with the code `crashed` for who asked. The actor stays the program's own:
        it is stopped by the program, and is not restarted.

        Raises:
            Refused: the name is taken.

        """
        return self._system.expose(name, actor)

    def subscribe(self, name: str) -> None:
        """Tell an actor of this node, by a `Lifecycle`, of all that happens to the others from now on."""
        self._system.channel.subscribe(name)

    def snapshot(self) -> list[ActorInfo]:
        """All actors, parents before children."""
        return self._system.snapshot()

    def events(self) -> tuple[Lifecycle, ...]:
        """What lately happened to the actors, oldest first."""
        return self._system.events()

    def trace(self) -> Any:
        """A context manager: what the block sends, and all that follows from it, is one conversation; gives its id."""
        return self._system.trace()

    def spans(self, trace: str) -> list[dict[str, Any]]:
        """What this node knows of a conversation: maps with the fields of `Span`."""
        return [msgspec.structs.asdict(span) for span in self._system.spans(trace)]

    @property
    def gave_up(self) -> BaseException | None:
        """Why the root tree gave up: its children crashed more often than its law allows. None if it did not."""
        return self._system.gave_up

    def wait(self, timeout: float) -> bool:
        """Wait until the node has ended (stopped, or given up); whether it has within `timeout` seconds."""
        return self._system.wait(timeout)

    def stop(self, timeout: float = 30.0) -> bool:
        """Stop all actors; whether all did within `timeout` seconds."""
        return self._system.stop(timeout)


def _bridge(name: str, cluster: str, listen: str, keys: str | Path | None, token: str | Path | None) -> ZmqLink:
    from tucano.transport.zmq_link import ZmqLink

    found = _LISTEN.match(listen)
    if found is None or int(found[2]) > 65_535:
        raise ValueError(f"listen={listen!r} must be HOST:PORT, such as 127.0.0.1:0")
    identity = hashlib.sha256(cluster.encode()).hexdigest()[:16]
    ring: Ring | None = None
    if token is not None:
        from tucano.client.reach import read_token
        from tucano.rings import joined_ring

        given = read_token(token)
        if given.name != name or given.role != "node":
            raise ValueError(f"the token is for the {given.role} {given.name}, not for a node called {name}")
        ring, identity = joined_ring(given), given.cluster
    elif keys is not None:
        from pathlib import Path

        from tucano.home import Home
        from tucano.keys import Keys
        from tucano.rings import KeptRing

        home = Home(Path(keys))
        Keys(home).own(name)
        ring, identity = KeptRing(Keys(home), name), home.identity()
    return ZmqLink(name, identity, f"tcp://{found[1]}:{found[2]}", ring=ring)
