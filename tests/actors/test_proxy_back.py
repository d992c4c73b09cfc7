"""Connections to an instance: one that is given up just when it was made is nobody's, and is not counted."""

import asyncio
import socket
from collections.abc import Callable

import pytest
import uvloop

from tucano.actors.proxy.back import Backend


async def _given_up_when_made(backend: Backend) -> None:
    loop = asyncio.get_running_loop()
    task = loop.create_task(backend.connect(20.0))

    def look() -> None:
        if backend.connections:
            task.cancel()  # the connection is there, and the task has not seen it yet
        elif not task.done():
            loop.call_soon(look)

    look()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("new_loop", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_a_connection_that_is_given_up_when_it_is_made_is_forgotten(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, asyncio.Runner(loop_factory=new_loop) as runner:
        backend = Backend("one", *listener.getsockname())
        runner.run(_given_up_when_made(backend))
        assert not backend.connections
        with listener.accept()[0] as accepted:
            assert accepted.recv(1) == b""  # closed, not left open
