"""What is written at the end of a turn: in order, after each other, and never to who is gone. On real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

import uvloop

from tucano.actors.proxy.sending import MANY, Connection, Outbox


class Plain(Connection):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)


def read_after(what: Callable[[Outbox, Connection], None]) -> bytes:
    """What the other end of a connection reads until its end, when this was done with it in one turn."""

    async def play() -> bytes:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        transport, connection = await loop.create_connection(Plain, sock=ours)
        what(Outbox(loop), connection)
        await asyncio.sleep(0)
        transport.close()
        read = b""
        with theirs:
            while piece := await loop.sock_recv(theirs, 65536):
                read += piece
        return read

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(play())


def test_what_is_put_goes_out_in_order_at_the_end_of_the_turn() -> None:
    def put(outbox: Outbox, connection: Connection) -> None:
        outbox.put(connection, b"one ")
        outbox.put(connection, b"two")
        assert connection.unsent == b"one two"

    assert read_after(put) == b"one two"


def test_what_is_written_at_once_comes_after_what_was_put() -> None:
    def put_and_write(outbox: Outbox, connection: Connection) -> None:
        outbox.put(connection, b"one ")
        connection.write(b"two ", memoryview(b"three"))
        outbox.put(connection, b" four")
        connection.write_eof()

    assert read_after(put_and_write) == b"one two three four"


def test_what_was_put_is_not_written_to_a_connection_that_was_closed_or_lost() -> None:
    def close(outbox: Outbox, connection: Connection) -> None:
        outbox.put(connection, b"one")
        connection.transport.close()

    def lose_and_put(outbox: Outbox, connection: Connection) -> None:
        connection.transport.abort()  # it is told that it is lost before the outbox has its turn
        outbox.put(connection, b"one")

    assert read_after(close) == b""
    assert read_after(lose_and_put) == b""


def test_a_long_turn_makes_nobody_wait_for_its_end() -> None:
    def put_much(outbox: Outbox, connection: Connection) -> None:
        for _ in range(MANY):
            outbox.put(connection, b"x")
        assert connection.unsent == b""

    assert read_after(put_much) == b"x" * MANY
