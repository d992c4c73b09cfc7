"""WebSockets through the balancer, with the `websockets` library at both ends."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Literal

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve

from tests.outside.service import balanced, payload

SIZES = (0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537, 1_000_000)
FLOOD = 400  # messages of 100,000 bytes
Compression = Literal["deflate"] | None


class Echo:
    """Sends back what comes; does what is asked of it in words.

    Attributes:
        codes: With which code each connection ended.
        flooded: Messages of a flood that were taken over by the library.
    """

    def __init__(self) -> None:
        self.codes: list[int | None] = []
        self.flooded = 0

    def __call__(self, connection: ServerConnection) -> None:
        """Serve a connection."""
        try:
            for message in connection:
                self._answer(connection, message)
        except ConnectionClosed:
            pass
        finally:
            self.codes.append(connection.close_code)

    def _answer(self, connection: ServerConnection, message: str | bytes) -> None:
        match message:
            case "fragments":
                connection.send(["a", "b", "c"])
            case "ping":
                assert connection.ping().wait(10)
                connection.send("pong")
            case "close":
                connection.close(4002, "bye")
            case "flood":
                for _ in range(FLOOD):
                    connection.send(payload(100_000))
                    self.flooded += 1
            case _:
                connection.send(message)


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def port(echo: Echo) -> Iterator[int]:
    with serve(echo, "127.0.0.1", 0, max_size=None, close_timeout=2) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with balanced({"hello": server.socket.getsockname()[1]}) as port:
            yield port
        server.shutdown()
        thread.join()


def connected(port: int, compression: Compression = None, host: str = "hello", buffer: int = 0) -> ClientConnection:
    sock = socket.socket()
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.connect(("127.0.0.1", port))
    uri = f"ws://{host}:{port}/"
    try:
        made = connect(uri, sock=sock, compression=compression, max_size=None, proxy=None, close_timeout=2)
    except BaseException:
        sock.close()
        raise
    assert isinstance(made, ClientConnection)
    return made


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("fragments", [1, 7])
def test_messages_of_all_sizes_come_back(port: int, compression: Compression, fragments: int) -> None:
    with connected(port, compression) as ws:
        assert bool(ws.protocol.extensions) == (compression is not None)
        for size in SIZES:
            whole = payload(size)
            step = max(1, -(-size // fragments))
            pieces = [whole[start : start + step] for start in range(0, size, step)] or [b""]
            ws.send(pieces)
            assert ws.recv() == whole
            ws.send([piece.decode() for piece in pieces])
            assert ws.recv() == whole.decode()


def test_text_is_whole_where_a_letter_is_cut_between_frames(port: int) -> None:
    text = "açaí → 🦜" * 1000
    with connected(port) as ws:
        raw = text.encode()
        ws.send([raw[start : start + 1001] for start in range(0, len(raw), 1001)], text=True)
        assert ws.recv() == text
        ws.send("fragments")
        assert list(ws.recv_streaming()) == ["a", "b", "c", ""]


def test_pings_pass_both_ways(port: int) -> None:
    with connected(port) as ws:
        assert ws.ping(b"payload").wait(10)
        ws.send("ping")
        assert ws.recv() == "pong"


def test_close_codes_pass_both_ways(port: int, echo: Echo) -> None:
    with connected(port) as ws:
        ws.close(4001, "enough")
    with connected(port) as ws:
        ws.send("close")
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4002, "bye")
    assert 4001 in echo.codes


def test_a_large_message_passes(port: int) -> None:
    with connected(port) as ws:
        ws.send(payload(20_000_000))
        assert ws.recv() == payload(20_000_000)


def test_a_slow_reader_slows_the_sender_and_gets_everything(port: int, echo: Echo) -> None:
    with connected(port, buffer=65_536) as ws, connected(port) as other:
        ws.send("flood")
        other.send("hello")
        assert other.recv() == "hello"
        assert ws.recv() == payload(100_000)
        assert echo.flooded < FLOOD
        for _ in range(FLOOD - 1):
            assert len(ws.recv()) == 100_000


def test_many_at_once(port: int) -> None:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(connected(port)) for _ in range(50)]
        for number, ws in enumerate(sockets):
            ws.send(f"{number}")
        assert [ws.recv() for ws in sockets] == [f"{number}" for number in range(50)]


def test_a_service_that_is_not_there_says_so_in_the_handshake(port: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connected(port, host="nobody")
    assert refused.value.response.status_code == 404
