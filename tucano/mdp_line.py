"""The connections of the users' ZeroMQ front: to clients and to instances; and all of them together."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Iterator
from select import EPOLLIN, EPOLLOUT, epoll
from typing import Final

from tucano.actors.proxy.mdp_queue import Client, Place
from tucano.actors.proxy.zmtp import Met, Peer

_READ: Final = 64 << 10  # bytes taken from a socket at once
_PAUSE: Final = 1 << 20  # bytes of answers that a client has not taken, at which we take no more requests of it
_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))


class Line:
    """A connection that speaks ZMTP.

    Args:
        sock: its own.
        kind: what we are on it: `ROUTER` or `DEALER`.
        busy: takes it when there is something to `flush`.
        alike: see `Peer`.
        met: see `Peer`.

    Attributes:
        fd: descriptor of its socket.
        peer: the other side.
        unsent: bytes that its socket has not taken yet.
        watched: events that are waited for.
        closed: it is over.

    """

    def __init__(
        self,
        sock: socket.socket,
        kind: bytes,
        busy: Callable[[Line], None],
        *,
        alike: bool = False,
        met: Met | None = None,
    ) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        self.socket = sock
        self.fd = sock.fileno()
        self._busy = busy
        self._out: list[bytes] = []  # posted
        self._later: deque[bytes | memoryview] = deque()  # and not taken by the socket yet
        self.unsent = 0
        self.watched = EPOLLIN
        self.closed = False
        self.peer = Peer(kind, self.post, alike=alike, met=met)

    def post(self, data: bytes) -> None:
        """Have this sent by the next `flush`; nobody hears it if the connection is over."""
        if self.closed:
            return
        if not self._out:
            self._busy(self)
        self._out.append(data)

    def flush(self) -> None:
        """Send what was posted, in one go, as far as the socket takes it."""
        data = b"".join(self._out)
        self._out.clear()
        if self.closed:
            return
        later = self._later
        if data:
            later.append(data)
            self.unsent += len(data)
        try:
            while later:
                sent = self.socket.send(later[0])
                self.unsent -= sent
                if sent == len(later[0]):
                    later.popleft()
                else:
                    later[0] = memoryview(later[0])[sent:]
        except BlockingIOError:
            pass
        except OSError:  # it has ended, as who reads from it will see, after what it said before
            later.clear()
            self.unsent = 0

    def read(self) -> list[bytes] | None:
        """Messages that have come; None if the connection is over.

        Raises:
            ProtocolError: see there.

        """
        try:
            data = self.socket.recv(_READ)
        except BlockingIOError:
            return []
        except OSError:
            return None
        return self.peer.feed(data) if data else None

    def end(self) -> None:
        """Close it, and keep nothing: what waits here may be large, and the rest of a front still knows the line."""
        self.closed = True
        self.socket.close()
        self._out.clear()
        self._later.clear()
        self.unsent = 0
        self.peer.end()

    def size(self) -> int:
        """Bytes that are kept for it: what has come of a message, and what it has not taken."""
        return self.peer.held + self.unsent

    def wanted(self) -> int:
        """Events to wait for."""
        return EPOLLIN | EPOLLOUT if self.unsent else EPOLLIN


class ClientLine(Line):
    """The connection to a client.

    Attributes:
        client: who asks there, once it has shaken hands.
        deaf: no more requests are taken from it.

    """

    def __init__(self, sock: socket.socket, busy: Callable[[Line], None], met: Met | None = None) -> None:
        super().__init__(sock, b"ROUTER", busy, alike=True, met=met)
        self.client: Client | None = None
        self.deaf = False

    def waits(self) -> bool:
        """An answer is to come, or has not left yet."""
        return self.client is not None and bool(self.client.load or self.unsent)

    def read(self) -> list[bytes] | None:
        """See `Line.read`; of who is not listened to, only its end is seen."""
        return None if self.deaf else super().read()

    def wanted(self) -> int:
        """Events to wait for: who does not take answers is asked for no more requests."""
        if self.deaf or self.unsent > _PAUSE:
            return EPOLLOUT if self.unsent else 0
        return super().wanted()


class PlaceLine(Line):
    """The connection to an instance; `place.send` sends there.

    Raises:
        OSError: there is no socket for it, or no such host.

    """

    def __init__(self, place: Place, busy: Callable[[Line], None]) -> None:
        _, host, port = place.key
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            sock.setblocking(False)
            sock.connect_ex((host, port))  # how it went is seen by who reads
            super().__init__(sock, b"DEALER", busy)
        except OSError:
            sock.close()
            raise
        self.place = place
        place.send = self.post


class Lines:
    """All connections of a front, and what else it waits for.

    Attributes:
        slow: those for which bytes may be kept for long.

    """

    def __init__(self) -> None:
        self.slow: set[Line] = set()
        self._epoll = epoll()
        self._lines: dict[int, Line] = {}  # by descriptor
        self._busy: list[Line] = []
        self.busy: Callable[[Line], None] = self._busy.append
        self.get = self._lines.get
        self.poll = self._epoll.poll

    def __iter__(self) -> Iterator[Line]:
        return iter(list(self._lines.values()))

    def wait_for(self, fd: int) -> None:
        """Wait for something else to be readable."""
        self._epoll.register(fd, EPOLLIN)

    def forget(self, fd: int) -> None:
        """Wait for that no more."""
        self._epoll.unregister(fd)

    def add(self, line: Line) -> None:
        """A connection more."""
        self._lines[line.fd] = line
        self._epoll.register(line.fd, line.watched)

    def watch(self, line: Line) -> None:
        """Wait for what it wants."""
        wanted = line.wanted()
        if line.unsent:
            self.slow.add(line)
        if wanted != line.watched and not line.closed:
            line.watched = wanted
            self._epoll.modify(line.fd, wanted)

    def flush(self) -> None:
        """Send what was posted."""
        for line in self._busy:
            line.flush()
            self.watch(line)
        self._busy.clear()

    def drop(self, line: Line) -> None:
        """Let go of a connection."""
        if not line.closed:
            del self._lines[line.fd]
            self._epoll.unregister(line.fd)
            line.end()

    def close(self) -> None:
        """Let go of all."""
        for line in self:
            self.drop(line)
        self._epoll.close()
