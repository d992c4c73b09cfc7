"""Taking the connections of a front without TLS."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

_BACKLOG: Final = 4096  # connections that wait to be accepted; the kernel caps it
_ACCEPTS: Final = 4  # connections taken in one turn of the loop; a lone one costs as many calls, less one, in vain


async def listen(
    loop: asyncio.AbstractEventLoop, make: Callable[[], asyncio.Protocol], listener: socket.socket
) -> list[asyncio.Server]:
    """Make a protocol of each connection that comes.

    libuv accepts one connection for each handle in a turn of the loop. With one handle each new connection pays for a
    turn of its own: 15 % more processor when every request comes with a connection. So the listener has several.

    Args:
        loop: Where they are served.
        make: Makes the protocol.
        listener: A listening socket; closed, with its duplicates, when the servers are.

    Raises:
        OSError: The listener cannot be used.
    """
    handles = [listener, *(listener.dup() for _ in range(_ACCEPTS - 1))]
    return [await loop.create_server(make, sock=handle, backlog=_BACKLOG) for handle in handles]
