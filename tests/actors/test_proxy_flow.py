"""Streaming, draining and stopping: nothing grows without bound, nothing open is cut short."""

import socket
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.actors.test_proxy_kit import Instance, Stage, Wire, staged, until
from tucano.actors.messages import model

GET = b"GET / HTTP/1.1\r\nHost: hello\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LARGE = 200 * 1024 * 1024


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged(hold=0.3) as made:
        yield made


def waits(instance: Instance, wire: Wire) -> None:
    """Answer when the test says so."""
    while (head := wire.head()) is not None:
        instance.heads.append(head)
        instance.go.wait()
        wire.send(OK)


def test_a_client_that_reads_slowly_slows_the_instance(stage: Stage) -> None:
    sent = 0

    def script(instance: Instance, wire: Wire) -> None:
        nonlocal sent
        wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
        piece = b"x" * 65536
        while sent < LARGE:
            wire.send(piece)
            sent += len(piece)
        wire.head()

    stage.serve(script)
    before = psutil.Process().memory_info().rss
    with stage.wire() as wire:
        wire.send(GET)
        assert wire.head() is not None
        steady(lambda: sent)
        assert sent < LARGE / 4, "the instance was not slowed"
        assert psutil.Process().memory_info().rss - before < 30e6
        left = LARGE
        while left:
            left -= len(wire.file.read1(min(left, 1 << 20)))
        assert psutil.Process().memory_info().rss - before < 50e6


def steady(what: object) -> None:
    """Wait until a figure has stopped growing."""
    assert callable(what)
    last, since = what(), time.monotonic()

    def resting() -> bool:
        nonlocal last, since
        if what() != last:
            last, since = what(), time.monotonic()
        return time.monotonic() - since > 0.3

    until(resting)


def test_an_instance_that_reads_slowly_slows_the_client(stage: Stage) -> None:
    received = 0

    def script(instance: Instance, wire: Wire) -> None:
        nonlocal received
        wire.head()
        instance.go.wait()
        while received < LARGE:
            received += len(wire.file.read1(1 << 20))
        wire.send(OK)
        wire.head()

    (one,) = stage.serve(script)
    sent = 0
    before = psutil.Process().memory_info().rss
    with stage.wire() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: hello\r\nContent-Length: %d\r\n\r\n" % LARGE)

        def upload() -> None:
            nonlocal sent
            piece = b"x" * 65536
            while sent < LARGE:
                wire.send(piece)
                sent += len(piece)

        uploading = threading.Thread(target=upload)
        uploading.start()
        steady(lambda: sent)
        assert sent < LARGE / 4, "the client was not slowed"
        assert psutil.Process().memory_info().rss - before < 30e6
        one.go.set()
        uploading.join()
        assert wire.reply().status == 200
        assert received == LARGE


def test_a_client_that_pipelines_without_end_is_not_read_without_end(stage: Stage) -> None:
    (one,) = stage.serve(waits)
    with stage.wire() as wire:
        wire.sock.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):  # noqa: PT012 - it is not known which send is the one
            while sent < LARGE:
                sent += wire.sock.send(GET * 1000)
        wire.sock.settimeout(10)
        assert len(one.heads) == 1
        one.go.set()
        assert [wire.reply().status for _ in range(1000)] == [200] * 1000


def test_pipelined_answers_wait_for_a_client_that_does_not_read(stage: Stage) -> None:
    size = 8 * 1024 * 1024

    def script(instance: Instance, wire: Wire) -> None:
        while (head := wire.head()) is not None:
            instance.heads.append(head)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)

    (one,) = stage.serve(script)
    with stage.wire() as wire:
        wire.send(GET * 20)
        steady(lambda: len(one.heads))
        assert len(one.heads) < 4
        assert [len(wire.reply().body) for _ in range(20)] == [size] * 20


def test_a_client_that_goes_on_sending_after_the_end_is_cut(stage: Stage) -> None:
    stage.serve()
    with stage.wire() as wire, pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012 - one of the sends
        wire.send(b"nonsense\r\n\r\n")
        while True:
            wire.send(b"a" * 65536)


def test_a_client_that_does_not_read_is_cut_after_a_while() -> None:
    def script(instance: Instance, wire: Wire) -> None:
        wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
        wire.send(b"x" * LARGE)

    with staged() as stage:
        (one,) = stage.serve(script, timeouts=model.Timeouts(idle=0.3))
        with stage.wire() as wire:
            wire.send(GET)
            until(lambda: one.errors)  # the instance's connection was closed under it
        until(lambda: not stage.proxy.in_flight())


def test_open_requests_are_counted_while_they_are_open(stage: Stage) -> None:
    (one,) = stage.serve(waits)
    with stage.wire() as first, stage.wire() as second:
        first.send(GET)
        second.send(GET)
        until(lambda: stage.proxy.in_flight() == {"hello-0": 2})
        assert stage.proxy.stats()["hello"].in_flight == 2
        one.go.set()
        assert [first.reply().status, second.reply().status] == [200, 200]
        until(lambda: stage.proxy.in_flight() == {})


def test_a_client_that_leaves_is_no_longer_counted(stage: Stage) -> None:
    (one,) = stage.serve(waits)
    wire = stage.wire()
    wire.send(GET)
    until(lambda: one.heads)
    wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wire.file.close()
    wire.sock.close()
    until(lambda: not stage.proxy.in_flight())
    assert stage.proxy.stats()["hello"].classes == {4: 1}


def test_a_draining_instance_takes_nothing_new_and_ends_what_it_has(stage: Stage) -> None:
    old, new = stage.instance("old", waits), stage.instance("new")
    stage.route(old.target())
    with stage.wire() as open_one:
        open_one.send(GET.replace(b"GET", b"PATCH"))  # what could be repeated would go elsewhere
        until(lambda: old.heads)
        stage.route(old.target(ready=False), new.target())
        assert stage.proxy.in_flight()["old"] >= 1
        assert {stage.ask().head.value(b"x-tucano-instance") for _ in range(10)} == {b"new"}
        stage.route(new.target())
        assert {stage.ask().head.value(b"x-tucano-instance") for _ in range(10)} == {b"new"}
        assert stage.proxy.in_flight() == {"old": 1}
        old.go.set()
        assert open_one.reply().head.value(b"x-tucano-instance") == b"old"
        until(lambda: stage.proxy.in_flight() == {})


def test_the_idle_connections_of_an_instance_that_leaves_are_closed(stage: Stage) -> None:
    ended = threading.Event()

    def script(instance: Instance, wire: Wire) -> None:
        wire.head()
        wire.send(OK)
        assert wire.head() is None
        ended.set()

    stage.serve(script)
    stage.ask()
    stage.proxy.apply({})
    assert ended.wait(10)
    assert stage.ask().status == 404


def test_routes_that_change_all_the_time_fail_no_request(stage: Stage) -> None:
    instances = stage.serve(count=3)
    done = threading.Event()
    statuses: list[int] = []

    def load() -> None:
        with stage.wire() as wire:
            while not done.is_set():
                statuses.append(wire.ask(GET).status)

    clients = [threading.Thread(target=load) for _ in range(4)]
    for client in clients:
        client.start()
    for turn in range(150):
        stage.route(*(one.target(ready=number != turn % 3) for number, one in enumerate(instances)))
        seen = len(statuses)
        until(lambda seen=seen: len(statuses) > seen)  # type: ignore[misc]
    done.set()
    for client in clients:
        client.join()
    assert set(statuses) == {200}


def test_stop_lets_open_requests_end(stage: Stage) -> None:
    (one,) = stage.serve(waits)
    with stage.wire() as busy, stage.wire() as idle:
        one.go.set()
        assert idle.ask(GET).status == 200
        one.go.clear()
        busy.send(GET)
        until(lambda: len(one.heads) == 2)
        stopping = threading.Thread(target=stage.proxy.stop, args=(10.0,))
        stopping.start()
        assert idle.closed()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(stage.address)
        one.go.set()
        reply = busy.reply()
        assert (reply.status, reply.head.value(b"connection")) == (200, b"close")
        assert busy.closed()
        stopping.join()


def test_a_connection_that_has_not_asked_yet_may_ask_once_while_stopping(stage: Stage) -> None:
    stage.serve()
    with stage.wire() as new, stage.wire() as old:
        assert old.ask(GET).status == 200  # by then the new one was accepted, too
        stopping = threading.Thread(target=stage.proxy.stop, args=(10.0,))
        stopping.start()
        assert old.closed()
        reply = new.ask(GET)
        assert (reply.status, reply.head.value(b"connection")) == (200, b"close")
        assert new.closed()
        stopping.join()


def test_stop_cuts_what_does_not_end_in_time(stage: Stage) -> None:
    (one,) = stage.serve(waits)
    with stage.wire() as wire:
        wire.send(GET)
        until(lambda: one.heads)
        stage.proxy.stop(0.1)
        assert wire.closed()
        assert not [thread for thread in threading.enumerate() if thread.name == "tucano-proxy"]


def test_stop_answers_what_is_held(stage: Stage) -> None:
    with staged(hold=30) as patient:
        patient.route(expected=True)
        with patient.wire() as wire:
            wire.send(GET)
            until(patient.open)
            patient.proxy.stop(0.1)
            assert wire.closed()
