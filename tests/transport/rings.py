"""Keys for tests, and a wire-tap."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from tucano.transport.curve import new_pair
from tucano.transport.security import Guest, Pair, Role


class Book:
    """Who is admitted, for all nodes of a test; changes are in force at once."""

    def __init__(self) -> None:
        self.pairs: dict[str, Pair] = {}
        self.guests: dict[str, Guest] = {}
        self.changes = 0

    def add(self, name: str, role: Role = "node") -> Pair:
        pair = self.pairs[name] = new_pair()
        self.guests[pair.public] = Guest(name, role, pair.public)
        self.changes += 1
        return pair

    def revoke(self, name: str) -> None:
        key = self.pairs[name].public
        self.guests[key] = self.guests[key]._replace(revoked=True)
        self.changes += 1

    def ring(self, name: str, role: Role = "node") -> BookRing:
        """The ring of one of them, made when it is not there."""
        return BookRing(self, self.pairs.get(name) or self.add(name, role))


class BookRing:
    """One node's look at the book."""

    def __init__(self, book: Book, own: Pair) -> None:
        self.own = own
        self._book = book

    def version(self) -> object:
        return self._book.changes

    def guest(self, key: str) -> Guest | None:
        return self._book.guests.get(key)

    def key_of(self, node: str) -> str | None:
        for guest in self._book.guests.values():
            if guest.name == node and guest.role == "node" and not guest.revoked:
                return guest.key
        return None


class Tap:
    """A TCP relay to a port that records every byte, both ways."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.heard = bytearray()
        self._sockets: list[socket.socket] = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._sockets += [near, far]
                for one, other in ((near, far), (far, near)):
                    self._threads.append(threading.Thread(target=self._carry, args=(one, other)))
                    self._threads[-1].start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed
            while data := one.recv(65_536):
                self.heard += data
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for each in self._sockets:
            with contextlib.suppress(OSError):  # closed by its peer
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()


@contextlib.contextmanager
def tapped(port: int) -> Iterator[Tap]:
    """A tap on a port."""
    tap = Tap(port)
    try:
        yield tap
    finally:
        tap.close()
