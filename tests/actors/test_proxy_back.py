"""Connections to an instance: whose they are, and whose what comes on them is."""

import asyncio
import socket
from collections.abc import Callable
from typing import cast

import pytest
import uvloop

from tucano.actors.proxy.back import Asker, Backend
from tucano.actors.proxy.sending import Outbox


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


class Waiting:
    """Waits for an answer, and is told of a loss; an answer would find no method here."""

    def __init__(self) -> None:
        self.told = asyncio.Event()

    def lost(self) -> None:
        self.told.set()


async def _spoken_too_early(backend: Backend) -> None:
    upstream, waiting = await backend.connect(20.0), Waiting()
    upstream.asker = cast(Asker, waiting)
    Outbox(asyncio.get_running_loop()).put(upstream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    upstream.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")  # as if it came in the same turn
    async with asyncio.timeout(20.0):
        await waiting.told.wait()


def test_what_an_instance_says_before_it_was_asked_is_nobodys_answer() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        backend = Backend("one", *listener.getsockname())
        runner.run(_spoken_too_early(backend))
        assert not backend.connections
        with listener.accept()[0] as accepted:
            assert accepted.recv(1) == b""  # nor was it asked
