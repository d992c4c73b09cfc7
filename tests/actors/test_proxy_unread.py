"""Clients and instances that take what they are sent never to its end: nothing waits for them for ever."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.actors.test_proxy_kit import Instance, Stage, Wire, answers, staged, until
from tucano.actors.messages import model
from tucano.actors.proxy import Timeouts

GET = b"GET / HTTP/1.1\r\nHost: hello\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: hello\r\nConnection: close\r\n\r\n"
SIZE = 20_000  # of an answer: less than the loop lets wait before it says that a client is slow


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


@pytest.fixture
def quick() -> Iterator[Stage]:
    with staged(timeouts=Timeouts(idle=0.3, stall=0.3, linger=0.3)) as made:
        yield made


def backlogs(stage: Stage) -> list[int]:
    """How many bytes wait in the proxy for each of its clients."""
    return [client.transport.get_write_buffer_size() for client in list(stage.proxy._serving.result().clients)]


def answered(stage: Stage) -> int:
    """How many requests have had their answer."""
    return sum(stats.classes.get(2, 0) for stats in stage.proxy.stats().values())


def unread(stage: Stage, wire: Wire, one: Instance) -> None:
    """Ask until a little of the answers does not fit into the kernel's buffers any more."""
    until(lambda: "hello" in stage.proxy.stats())
    while not any(backlogs(stage)):
        wire.send(GET)
        until(lambda: answered(stage) == len(one.heads))


@pytest.mark.parametrize("last", [b"", LAST, b"nonsense\r\n\r\n"], ids=["idle", "closing", "refused"])
def test_a_client_that_never_reads_its_last_answer_is_cut(quick: Stage, last: bytes) -> None:
    (one,) = quick.serve(answers(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + b"x" * SIZE))
    wire = quick.wire()
    wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):  # it was cut before it had its last word
        unread(quick, wire, one)
        wire.send(last)
    until(lambda: not backlogs(quick))


def test_a_client_that_never_reads_is_cut_though_it_has_closed_its_side() -> None:
    size = 40_000_000
    with staged(timeouts=Timeouts(idle=0.3, stall=0.3, linger=0.3)) as stage:
        stage.serve(
            answers(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size),
            timeouts=model.Timeouts(idle=0.3),
        )
        with stage.wire() as wire:
            wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            wire.send(GET)
            until(lambda: any(backlogs(stage)))
            wire.sock.shutdown(socket.SHUT_WR)
            until(lambda: not backlogs(stage))


def test_a_client_has_its_large_early_answer_to_the_end(stage: Stage) -> None:
    size = 40_000_000

    def script(instance: Instance, wire: Wire) -> None:
        wire.head()
        wire.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        wire.file.read()

    stage.serve(script)
    with stage.wire() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: hello\r\nContent-Length: 500000\r\n\r\n" + b"a" * 100_000)
        assert len(wire.reply().body) == size


def test_a_request_that_meets_the_end_of_the_connection_does_not_cut_the_answer_before_it(stage: Stage) -> None:
    size = 200_000  # more than the kernel takes; the client reads it in small pieces, each after a moment
    stage.serve(answers(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * size, close=True))  # its end is that of the connection
    with stage.wire() as wire:
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.send(GET)
        until(lambda: answered(stage) == 1)
        wire.send(GET)
        assert len(wire.reply().body) == size


def test_what_an_instance_says_before_it_closes_under_a_body_is_not_lost(stage: Stage) -> None:
    def script(instance: Instance, wire: Wire) -> None:
        instance.heads += [head] if (head := wire.head()) else []
        wire.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        wire.close()  # what it did not read makes this a reset

    stage.serve(script)
    said = []
    for _ in range(40):
        with stage.wire() as wire:
            wire.send(b"POST / HTTP/1.1\r\nHost: hello\r\nContent-Length: 900000\r\n\r\n" + b"x" * 900_000)
            said.append(wire.reply().status)
    assert set(said) == {413}


def test_a_body_goes_on_in_its_order_whatever_the_instance_says_meanwhile(stage: Stage) -> None:
    body = b"".join(b"%06d" % number for number in range(300_000))

    def script(instance: Instance, wire: Wire) -> None:
        while (head := wire.head()) is not None:
            read = b""
            while len(read) < len(body):
                read += wire.exactly(min(40_000, len(body) - len(read)))
                wire.send(b"HTTP/1.1 102 Processing\r\n\r\n")
            instance.heads.append(head)
            instance.bodies.append(read)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    (one,) = stage.serve(script)
    with stage.wire() as wire:
        for _ in range(3):
            wire.send(b"PUT / HTTP/1.1\r\nHost: hello\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            while (status := wire.reply().status) == 102:
                pass
            assert status == 200
    assert one.bodies == [body] * 3


def test_an_instance_that_answers_early_and_reads_no_more_is_let_go(stage: Stage) -> None:
    seen = threading.Event()

    def script(instance: Instance, wire: Wire) -> None:
        wire.head()
        instance.go.wait()
        wire.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
        seen.wait()

    (one,) = stage.serve(script)
    with stage.wire() as wire:
        wire.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):  # noqa: PT012 - it is not known which send is the one
            wire.send(b"POST / HTTP/1.1\r\nHost: hello\r\nContent-Length: 500000000\r\n\r\n")
            while True:
                wire.sock.send(b"a" * 65536)
        wire.sock.settimeout(10)
        one.go.set()
        assert wire.reply().status == 413
    (backend,) = stage.proxy._serving.result().table.backends()
    until(lambda: not backend.connections)
    seen.set()
