"""CURVE on the sockets of one context: encryption, and a ZAP handler that admits keys by a `Ring`.

The handler (RFC 27/ZAP) is bound before any socket listens, and every socket demands it (`ZAP_ENFORCE_DOMAIN`): libzmq
would else admit anyone while there is no handler. A handshake names only the key; who sends a frame is known by the
`User-Id` that the handler gave to its connection, and is looked up for each frame, so that a key that is revoked is
void at once, also on connections that are there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

import zmq
from zmq.utils import z85

from tucano.transport.repeats import Repeats
from tucano.transport.security import Guest, Insecure, Pair, Ring, Role, UnknownKey, vouch

log = logging.getLogger("tucano.transport")

ZAP = "inproc://zeromq.zap.01"
"""Where libzmq asks, in each context."""

_VOUCHED = 10_000  # routing ids remembered with their keys; strangers cannot fill the memory


def new_pair() -> Pair:
    """A new pair of keys.

    Raises:
        Insecure: this libzmq has no CURVE.

    """
    need_curve()
    public, secret = zmq.curve_keypair()
    return Pair(public.decode("ascii"), secret.decode("ascii"))


def need_curve() -> None:
    """See that libzmq can do what is wanted of it.

    Raises:
        Insecure: it cannot.

    """
    if not zmq.has("curve"):
        raise Insecure("this libzmq was built without CURVE: install pyzmq's own wheel (`pip install --force pyzmq`)")


def dial(socket: zmq.Socket[bytes], own: Pair, server: str) -> None:
    """Make a socket, before it connects, call only whom the public key `server` belongs to."""
    need_curve()
    socket.set(zmq.CURVE_SERVERKEY, server.encode("ascii"))
    socket.set(zmq.CURVE_PUBLICKEY, own.public.encode("ascii"))
    socket.set(zmq.CURVE_SECRETKEY, own.secret.encode("ascii"))


class Curve:
    """What secures the sockets of one context. To be closed after the sockets that listen.

    Args:
        context: whose sockets.
        ring: the keys.
        roles: who is let in.

    Raises:
        Insecure: this libzmq has no CURVE.

    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], ring: Ring, roles: Iterable[Role]) -> None:
        need_curve()
        self._ring = ring
        self._roles = frozenset(roles)
        self._repeats = Repeats(log)
        self._vouched: set[tuple[bytes, str]] = set()
        self._version = ring.version()
        self._handler = context.socket(zmq.ROUTER)
        self._handler.bind(ZAP)
        self._bell = context.socket(zmq.PAIR)
        self._bell.bind("inproc://tucano.curve")
        self._ringer = context.socket(zmq.PAIR)
        self._ringer.connect("inproc://tucano.curve")
        self._thread = threading.Thread(target=self._run, name="tucano-curve", daemon=True)
        self._thread.start()

    def serve(self, socket: zmq.Socket[bytes]) -> None:
        """Make a socket, before it is bound, admit only keys of the ring."""
        socket.set(zmq.CURVE_SERVER, 1)
        socket.set(zmq.CURVE_SECRETKEY, self._ring.own.secret.encode("ascii"))
        socket.set(zmq.ZAP_DOMAIN, b"tucano")
        socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)

    def dial(self, socket: zmq.Socket[bytes], node: str) -> str:
        """Make a socket, before it connects, call only this node.

        Returns:
            The node's public key.

        Raises:
            UnknownKey: it is not known.

        """
        key = self._ring.key_of(node)
        if key is None:
            raise UnknownKey(f"the public key of {node} is not known here, or has been revoked")
        dial(socket, self._ring.own, key)
        return key

    def is_valid(self, node: str, key: str) -> bool:
        """Whether a node still has this key."""
        return self._ring.key_of(node) == key

    def guest(self, frame: zmq.Frame) -> Guest | None:
        """Whose connection a frame came by; revoked keys have one, too."""
        return self._ring.guest(_user(frame))

    def vouch(self, identity: bytes, frame: zmq.Frame) -> None:
        """See that a frame on the bridge is of the node that its routing id names.

        Raises:
            BadFrame: it is not.

        """
        version = self._ring.version()
        if version != self._version or len(self._vouched) > _VOUCHED:
            self._version = version
            self._vouched.clear()
        claim = identity, _user(frame)
        if claim not in self._vouched:
            vouch(self._ring.guest(claim[1]), identity)
            self._vouched.add(claim)

    def close(self) -> None:
        """Let go of the handler and its thread."""
        self._ringer.send(b"")
        self._thread.join()
        for socket in (self._ringer, self._bell, self._handler):
            socket.close(linger=0)

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._handler, zmq.POLLIN)
        poller.register(self._bell, zmq.POLLIN)
        while self._bell not in (ready := dict(poller.poll())):
            if self._handler in ready:
                self._answer(self._handler.recv_multipart())

    def _answer(self, parts: list[bytes]) -> None:
        """Answer one question of libzmq's; what is none of its own is not answered."""
        try:
            whom, empty, version, number, _domain, address, _identity, mechanism, *credentials = parts
        except ValueError:
            self._repeats.warn("parts", f"refused a question to the key handler of {len(parts)} parts")
            return
        key = ""
        if (empty, version, mechanism) == (b"", b"1.0", b"CURVE") and [len(one) for one in credentials] == [32]:
            key = z85.encode(credentials[0]).decode("ascii")
        guest = self._ring.guest(key) if key else None
        if guest is not None and guest.role in self._roles and not guest.revoked:
            verdict = [b"200", b"OK", key.encode("ascii")]
        else:
            verdict = [b"400", b"this key is not admitted here", b""]
            who = "a stranger" if guest is None else f"{guest.name} ({'revoked' if guest.revoked else guest.role})"
            where = address.decode(errors="replace")
            self._repeats.warn(f"{where} {who}", f"refused a connection from {where}: {who}")
        self._handler.send_multipart([whom, b"", b"1.0", number, *verdict, b""])


def _user(frame: zmq.Frame) -> str:
    """The public key that a frame's connection was made with; empty if it was made without."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""
