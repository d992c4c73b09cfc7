"""Tucano with messages of 1 KiB by CURVE."""

from __future__ import annotations

from tests.bench.peers import ours
from tests.bench.peers.ours_1k import SAY
from tests.transport.rings import Book
from tucano.transport.security import Guest, Pair


def serve() -> None:
    """Be a node with keys; the client's are said with the address, for this is a benchmark."""
    book = Book()
    ring, client = book.ring("server"), book.add("client")
    ours.serve(ring, f"{book.pairs['server'].public} {client.public} {client.secret}")


def connect(address: str) -> ours.Ours:
    """A node beside the server's."""
    address, server, public, secret = address.split()
    book = Book()
    book.pairs["client"] = Pair(public, secret)
    for name, key in (("server", server), ("client", public)):
        book.guests[key] = Guest(name, "node", key)
    return ours.Ours(address, SAY, book.ring("client"))
