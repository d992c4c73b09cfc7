"""What all connections of one data path share."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from . import request_id
from .head import Heads
from .log import AccessLog
from .reading import Turns
from .sending import Outbox
from .table import Table

if TYPE_CHECKING:
    from .front import Client
    from .table import Route


class Timeouts(NamedTuple):
    """How long to wait for people and programs, in seconds, whatever their service.

    Attributes:
        hold: For an instance, while none takes the request.
        head: For a request's head, from its first byte (or from the connection) to its last.
        idle: For the next request on a kept connection.
        stall: For a client that does not read our own words. All else is for its service to say.
        linger: For a client to read our last words while we discard what it still sends.
        first: For the first request of a connection, once the proxy is being stopped.
        handshake: For a TLS handshake, from the connection to its end.
        avoid: Before an instance that refused is tried again, if there is another.
        half_closed: For an answer to begin, once its client sends no more: most who close their side have left, which
            only a write would show.
    """

    hold: float = 3.0
    head: float = 10.0
    idle: float = 60.0
    stall: float = 60.0
    linger: float = 2.0
    first: float = 0.5
    avoid: float = 1.0
    half_closed: float = 5.0
    handshake: float = 10.0


@dataclass(slots=True)
class Shared:
    """One data path: what its connections read and use, all in the loop's thread."""

    loop: asyncio.AbstractEventLoop
    table: Table
    heads: Heads
    log: AccessLog
    clock: Callable[[], float]
    timeouts: Timeouts
    outbox: Outbox
    turns: Turns
    ids: Iterator[bytes] = field(default_factory=request_id.make)
    stopping: bool = False  # every connection's next request is its last
    patience: float = 0.0  # seconds that a kept connection then has for it
    clients: "set[Client]" = field(default_factory=set)
    half_closed: "dict[Client, None]" = field(default_factory=dict)  # who waits for an answer; the first one first
    dials: set[asyncio.Task[None]] = field(default_factory=set)
    handshakes: set[asyncio.Task[None]] = field(default_factory=set)
    empty: asyncio.Event = field(default_factory=asyncio.Event)  # the last client has left

    def look_if_empty(self) -> None:
        """Somebody has left: tell who waits until nobody is left."""
        if not self.clients and not self.handshakes:
            self.empty.set()

    def make_room(self, route: "Route") -> None:
        """A request waits for a place: have one of those end that have most likely been left, if there is one."""
        for client in self.half_closed:
            if client.exchange is not None and client.exchange.has_place(route):
                del self.half_closed[client]
                client.transport.abort()
                return
