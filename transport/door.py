"""Where clients come in: frames from strangers, and frames back to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tucano.transport.security import Guest

MAX_REQUEST = 2 * 1024 * 1024
"""Bytes of one request, at most."""

Client = tuple[bytes, ...]
"""What comes before the request in a client's message: whom to answer, opaque."""


class Door(Protocol):
    """A listening socket for clients. `send` may be called by any thread."""

    def start(self, on_request: Callable[[Client, bytes, Guest], None]) -> None:
        """Begin to receive; `on_request` is called in the door's thread, is quick and does not raise.

        It is told whose key the request came by, also if that is void by now.
        """
        ...

    def admits(self, guest: Guest) -> bool:
        """Whether somebody who has come in may still be here."""
        ...

    def send(self, client: Client, frame: bytes) -> None:
        """Send a frame to a client; dropped if it has gone."""
        ...

    def close(self) -> None:
        """Send what is queued, and let go of the socket and the thread."""
        ...
