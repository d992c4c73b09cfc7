"""Clients and instances that mean no good, or have no time: others are served meanwhile, and nothing grows."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
from collections.abc import Iterator

import psutil
import pytest

from tests.actors.test_proxy_kit import Instance, Stage, Wire, staged, until
from tucano.actors.proxy import Service, Timeouts

GET = b"GET / HTTP/1.1\r\nHost: hello\r\n\r\n"
EVIL = b"GET / HTTP/1.1\r\nHost: evil\r\n\r\n"
LARGE = 100_000_000  # bytes that nobody will take
MANY = 1500  # idle connections: two descriptors each, as both ends are in this process


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


def serve(stage: Stage, evil: Instance) -> None:
    """Service `hello`, which is polite, and `evil`."""
    stage.proxy.apply(
        {
            "hello": Service("hello", (stage.instance("hello-0").target(),), expected=False),
            "evil": Service("evil", (evil.target(),), expected=False),
        }
    )


def served(stage: Stage, times: int = 50) -> None:
    """Another client is served, again and again."""
    with stage.wire() as wire:
        assert [wire.ask(GET).status for _ in range(times)] == [200] * times


@contextlib.contextmanager
def bounded(megabytes: int) -> Iterator[None]:
    """Our process, in which the proxy runs, does not grow by more."""
    before = psutil.Process().memory_info().rss
    yield
    assert psutil.Process().memory_info().rss - before < megabytes << 20


def test_heads_that_never_end_are_answered_408_and_hold_up_nobody() -> None:
    with staged(timeouts=Timeouts(head=1.0)) as stage:
        stage.serve()
        slow = [stage.wire() for _ in range(200)]
        for wire in slow:
            wire.send(b"GET / HTTP/1.1\r\nX: ")
        served(stage)
        assert {wire.reply().status for wire in slow} == {408}
        assert all(wire.closed() for wire in slow)


def test_a_request_that_comes_byte_by_byte_is_taken(stage: Stage) -> None:
    (one,) = stage.serve()
    head = b"POST / HTTP/1.1\r\nHost: hello\r\nX: " + b"x" * 3000 + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    with stage.wire() as wire:
        wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head + b"5\r\nhello\r\n1;a=b\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n":
            wire.send(bytes((byte,)))
        assert wire.reply().status == 200
    assert one.bodies == [b"hello!"]


def test_clients_that_never_read_their_large_answers_hold_up_nobody(stage: Stage) -> None:
    def script(instance: Instance, wire: Wire) -> None:
        wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
        instance.heads.append(None)  # type: ignore[arg-type]
        for _ in range(LARGE // 100_000):
            wire.send(b"x" * 100_000)

    evil = stage.instance("evil-0", script)
    serve(stage, evil)
    with bounded(64):
        deaf = [stage.wire() for _ in range(30)]
        for wire in deaf:
            wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            wire.send(EVIL)
        until(lambda: len(evil.heads) == len(deaf))
        served(stage)


def test_instances_that_never_read_large_bodies_hold_up_nobody(stage: Stage) -> None:
    def script(instance: Instance, wire: Wire) -> None:
        instance.go.wait()

    serve(stage, stage.instance("evil-0", script))
    with bounded(64):
        for _ in range(12):
            wire = stage.wire()
            wire.sock.settimeout(0.1)
            with pytest.raises(TimeoutError):  # noqa: PT012 - it is not known which send is the one
                wire.send(b"POST / HTTP/1.1\r\nHost: evil\r\nContent-Length: %d\r\n\r\n" % LARGE)
                while True:
                    wire.sock.send(b"x" * 1_000_000)
        served(stage)


def test_a_flood_of_tiny_chunks_holds_up_nobody(stage: Stage) -> None:
    def swallow(instance: Instance, wire: Wire) -> None:
        while wire.file.read1(1 << 20):
            pass

    serve(stage, stage.instance("evil-0", swallow))
    stopped = threading.Event()

    def flood() -> None:
        with stage.wire() as wire, contextlib.suppress(OSError):  # the end of the test cuts it
            wire.send(b"POST / HTTP/1.1\r\nHost: evil\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not stopped.is_set():
                wire.send(b"1\r\nx\r\n" * 20_000)

    floods = [threading.Thread(target=flood) for _ in range(2)]
    for thread in floods:
        thread.start()
    try:
        served(stage)
    finally:
        stopped.set()
        for thread in floods:
            thread.join()


def test_idle_connections_cost_little_and_hold_up_nobody(stage: Stage) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 3 * MANY:
        pytest.skip(f"a process may have {hard} descriptors here, which are not enough")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3 * MANY), hard))
    stage.serve()
    with contextlib.ExitStack() as stack, bounded(64):
        idle = [stack.enter_context(socket.create_connection(stage.address)) for _ in range(MANY)]
        served(stage)
        idle[0].sendall(GET)
        idle[-1].sendall(GET)
        assert idle[0].recv(12) == idle[-1].recv(12) == b"HTTP/1.1 200"
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
