from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.helpers import eventually
from tucano.actors.proc.health import MAX_HEAD, Answer, Checks, Target


@pytest.fixture
def checks() -> Iterator[Checks]:
    made = Checks()
    made.join()
    yield made
    made.leave()
    eventually(lambda: not any(thread.name == "tucano-health" for thread in threading.enumerate()), "its thread ends")


@contextmanager
def serving(*answers: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server that gives each connection the next answer; the last is given to all that follow."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            rest = list(answers)
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return  # closed
                with connection:
                    connection.settimeout(5)
                    asked.append(connection.recv(65536))
                    if not asked[-1]:
                        return
                    try:
                        connection.sendall(rest.pop(0) if len(rest) > 1 else rest[0])
                    except OSError:
                        continue  # it had read enough

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], asked
        finally:
            socket.create_connection(listener.getsockname()).close()
            thread.join(10)


def target(port: int, path: str = "/healthz", timeout: float = 5.0) -> Target:
    return Target("127.0.0.1", port, "hello", path, timeout)


def once(checks: Checks, what: Target) -> Answer:
    told: queue.Queue[Answer] = queue.Queue()
    checks.once(what, told.put)
    return told.get(timeout=10)


@pytest.mark.parametrize(
    ("answer", "healthy", "said"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True, "status 200"),
        (b"HTTP/1.0 204 No Content\r\n\r\n", True, "status 204"),
        (b"HTTP/1.1 302 Found\r\n\r\n", True, "status 302"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", False, "status 404"),
        (b"HTTP/1.1 500\r\n\r\n", False, "status 500"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", True, "status 200"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (1 << 20), True, "status 200"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", False, "answered 'SSH-2.0-OpenSSH_9.2', which is no HTTP/1.1"),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", False, "answered 'HTTP/1.1 2x0 OK', which is no HTTP/1.1"),
        (b"", False, "it closed the connection without an answer"),
        (b"x" * (MAX_HEAD * 3), False, f"a line of its answer is longer than {MAX_HEAD} bytes"),
    ],
)
def test_only_2xx_and_3xx_are_healthy(checks: Checks, answer: bytes, healthy: bool, said: str) -> None:
    with serving(answer) as (port, _):
        assert once(checks, target(port)) == Answer(healthy, said)


def test_it_asks_as_a_user_of_the_service_would(checks: Checks) -> None:
    with serving(b"HTTP/1.1 200 OK\r\n\r\n") as (port, asked):
        once(checks, target(port, "/a?b=c"))
        lines = asked[0].decode().split("\r\n")
    assert lines[0] == "GET /a?b=c HTTP/1.1"
    assert {"Host: hello", "Connection: close"} <= set(lines)
    assert lines[-2:] == ["", ""]


def test_nobody_listening_is_refused(checks: Checks) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert once(checks, target(port)) == Answer(False, "connection refused")


def test_one_that_accepts_and_is_silent_times_out(checks: Checks) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert once(checks, target(port, timeout=0.1)) == Answer(False, "no answer within 0.1 s")
        assert once(checks, target(port, path="")) == Answer(True, "accepted the connection")


def test_it_goes_on_until_it_is_healthy_and_tells_once(checks: Checks) -> None:
    told: queue.Queue[Answer] = queue.Queue()
    with serving(b"HTTP/1.1 503 No\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\n\r\n") as (port, asked):
        check = checks.until_healthy(target(port), told.put)
        assert told.get(timeout=10) == Answer(True, "status 200")
        assert check.last.healthy
        assert len(asked) == 3
    assert told.empty()


def test_a_cancelled_check_tells_nothing(checks: Checks) -> None:
    told: list[Answer] = []
    with serving(b"HTTP/1.1 503 No\r\n\r\n") as (port, asked):
        check = checks.until_healthy(target(port), told.append)
        eventually(lambda: len(asked) > 1)
        assert check.last == Answer(False, "status 503")
        checks.cancel(check)
        eventually(lambda: check.task is not None and check.task.done())
    assert told == []


def test_the_thread_ends_with_the_last_user_and_comes_back(checks: Checks) -> None:
    other = Checks()
    for _ in range(3):
        other.join()
        other.join()
        other.leave()
        with serving(b"HTTP/1.1 200 OK\r\n\r\n") as (port, _):
            assert once(other, target(port)).healthy
        other.until_healthy(target(port), lambda _: None)
        other.leave()
    eventually(lambda: sum(thread.name == "tucano-health" for thread in threading.enumerate()) == 1)


def test_checks_of_many_do_not_wait_for_each_other(checks: Checks) -> None:
    told: queue.Queue[Answer] = queue.Queue()
    with socket.create_server(("127.0.0.1", 0)) as silent, serving(b"HTTP/1.1 200 OK\r\n\r\n") as (port, _):
        slow: list[Answer] = []
        for _ in range(20):
            checks.once(target(silent.getsockname()[1], timeout=60), slow.append)
        checks.once(target(port), told.put)
        assert told.get(timeout=10).healthy
        assert slow == []
