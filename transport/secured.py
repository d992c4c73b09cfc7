"""How a link's sockets are secured: by CURVE with a ring of keys; without one, by not leaving this machine."""

from __future__ import annotations

import zmq

from tucano.transport.curve import Curve
from tucano.transport.security import Ring, refuse_beyond_loopback


class Secured:
    """The security of one link.

    Args:
        context: whose sockets.
        ring: keys; None for none.

    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], ring: Ring | None) -> None:
        self._curve = None if ring is None else Curve(context, ring, ["node"])
        self._keys: dict[str, str] = {}  # by which a node was last called

    def serve(self, socket: zmq.Socket[bytes], bind: str) -> None:
        """Make a socket fit to be bound to an address.

        Raises:
            Insecure: it is beyond this machine, and there are no keys.

        """
        if self._curve is None:
            refuse_beyond_loopback(bind, "the bridge at")
        else:
            self._curve.serve(socket)

    def dial(self, socket: zmq.Socket[bytes], node: str, address: str) -> None:
        """Make a socket fit to connect to a node's address.

        Raises:
            Insecure: it is beyond this machine, and there are no keys.
            UnknownKey: the node has no key that is known here.

        """
        if self._curve is None:
            refuse_beyond_loopback(address, "the connection to")
        else:
            self._keys[node] = self._curve.dial(socket, node)

    def take(self, socket: zmq.Socket[bytes]) -> list[bytes]:
        """The parts of the next message, for which it waits as long as the socket does.

        Raises:
            Again: none has come.
            BadFrame: it did not come by the key of the node that it names.

        """
        if self._curve is None:
            identity, frame = socket.recv(), socket.recv(copy=False)  # a third of what recv_multipart takes
            return [identity, frame.bytes, *(socket.recv_multipart() if frame.more else ())]
        frames = socket.recv_multipart(copy=False)
        parts = [frame.bytes for frame in frames]
        self._curve.vouch(parts[0], frames[-1])
        return parts

    def is_void(self, node: str) -> bool:
        """Whether the key by which a node was called has become void: nothing more is to be said to it."""
        return self._curve is not None and node in self._keys and not self._curve.is_valid(node, self._keys[node])

    def close(self) -> None:
        """Let go; after the sockets have been closed."""
        if self._curve is not None:
            self._curve.close()
