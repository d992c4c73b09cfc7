"""How a front leaves its clients to its successor: their connections themselves go from process to process.

So who is connected notices nothing, and what it sends meanwhile waits in its socket. The way is a pair of Unix sockets
that the parent holds, so that what was given waits there, too, until somebody takes it. With each connection goes a
file in memory (memfd_create(2)) with what is known of its client: the name that it has given itself, a byte of length
before it, and what has come of a message that is not whole.
"""

from __future__ import annotations

import os
import socket
from typing import BinaryIO

from tucano.actors.proxy.zmtp import Met

_WORD = b"c"  # a message must have a byte


class Handover:
    """One process's ends of the way.

    Args:
        give: where clients are put for the successor; `socket.SOCK_SEQPACKET`, and its own from now on.
        take: where those of a predecessor come; likewise.

    """

    def __init__(self, give: socket.socket, take: socket.socket) -> None:
        self._give = give
        self._take = take
        self.fd = take.fileno()
        for one in (give, take):
            one.setblocking(False)

    def give(self, client: socket.socket, met: Met) -> bool:
        """Put a client there; False if there is no room now.

        Raises:
            OSError: no file can be made.

        """
        with _file() as file:
            file.write(bytes((len(met.name),)) + met.name + met.held)
            file.flush()
            try:
                socket.send_fds(self._give, [_WORD], [client.fileno(), file.fileno()])
            except OSError:  # full; or too many are under way, as sendmsg(2) has it
                return False
        return True

    def take(self) -> tuple[socket.socket, Met] | None:
        """A client of a predecessor; None if there is none.

        Raises:
            OSError: this process can have no more descriptors; the client is lost.

        """
        try:
            _, found, _, _ = socket.recv_fds(self._take, 1, 2, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return None
        if len(found) < 2:
            for descriptor in found:
                os.close(descriptor)
            raise OSError("no room for the descriptors of a client that was handed over")
        with open(found[1], "rb") as file:  # noqa: PTH123 - a descriptor has no path
            file.seek(0)
            data = file.read()
        return socket.socket(fileno=found[0]), Met(data[1 : 1 + data[0]], data[1 + data[0] :])

    def close(self) -> None:
        """Let go of both ends."""
        self._give.close()
        self._take.close()


def _file() -> BinaryIO:
    return open(os.memfd_create("tucano-client", os.MFD_CLOEXEC), "wb")  # noqa: PTH123 - likewise
