"""What all connections of one data path share."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .head import Heads
from .log import AccessLog
from .table import Table

if TYPE_CHECKING:
    from .front import Client


class Timeouts(NamedTuple):
    """How long to wait for people and programs, in seconds.

    Attributes:
        hold: For an instance, while none takes the request.
        connect: For an instance to accept a connection; long enough for one lost packet.
        head: For a request's head, from its first byte (or from the connection) to its last.
        idle: For the next request on a kept connection.
        stall: For a client in the middle of a body, its own or ours, that moves nothing.
        linger: For a client to read our last words while we discard what it still sends.
        first: For the first request of a connection, once the proxy is being stopped.
        avoid: Before an instance that refused is tried again, if there is another.
        stream: For the next byte, either way, of a connection to a tcp service.
    """

    hold: float = 3.0
    connect: float = 1.5
    head: float = 10.0
    idle: float = 60.0
    stall: float = 60.0
    linger: float = 2.0
    first: float = 0.5
    avoid: float = 1.0
    stream: float = 3600.0


@dataclass(slots=True)
class Shared:
    """One data path: what its connections read and use, all in the loop's thread."""

    loop: asyncio.AbstractEventLoop
    table: Table
    heads: Heads
    log: AccessLog
    clock: Callable[[], float]
    timeouts: Timeouts
    stopping: bool = False  # every connection's next request is its last
    clients: "set[Client]" = field(default_factory=set)
    dials: set[asyncio.Task[None]] = field(default_factory=set)
    empty: asyncio.Event = field(default_factory=asyncio.Event)  # the last client has left
