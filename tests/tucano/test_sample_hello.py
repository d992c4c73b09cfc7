"""The sample service of `tucano demo`, built and run as its own `tucano.toml` says."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import tucano
from tucano import spec

SAMPLE = Path(tucano.__file__).parent / "samples" / "hello"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("built") / "hello"
    shutil.copytree(SAMPLE, place, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["/bin/sh", "-ec", spec.load(SAMPLE).build.script], cwd=place, check=True, timeout=60)
    return place


class Hello:
    def __init__(self, place: Path) -> None:
        env = {"PATH": os.environ["PATH"], "HOST": "127.0.0.1", "PORT": "0", "TUCANO_INSTANCE": "hello-1", **RUN.env}
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", RUN.script], cwd=place, env=env, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.out = self.process.stdout
        self.port = int(self.out.readline().rsplit(":", 1)[1])

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def end(self) -> tuple[int, str]:
        """Asks it to end, and gives its exit code and what else it printed."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10), self.out.read()


RUN = spec.load(SAMPLE).run


@pytest.fixture
def hello(built: Path) -> Iterator[Hello]:
    service = Hello(built)
    yield service
    service.process.kill()
    service.process.wait()
    service.out.close()


def ask(connection: http.client.HTTPConnection, path: str, method: str = "GET") -> tuple[int, str]:
    connection.request(method, path)
    response = connection.getresponse()
    return response.status, response.read().decode()


def test_its_description_is_what_the_demo_promises() -> None:
    found = spec.load(SAMPLE)
    assert (found.name, found.replicas, found.health.http) == ("hello", 3, "/healthz")


def test_it_answers_on_one_kept_connection_and_logs_a_line_for_each_request_but_health_checks(hello: Hello) -> None:
    with contextlib.closing(hello.connect()) as connection:
        assert ask(connection, "/healthz") == (200, "ok\n")
        kept = connection.sock
        status, page = ask(connection, "/?x=1")
        assert status == 200
        assert page.startswith("Hello from Tucano\n")
        assert "hello-1" in page
        assert str(hello.process.pid) in page  # `exec`: the signal reaches Python, not a shell
        assert ask(connection, "/nowhere") == (404, "nothing at /nowhere\n")
        assert ask(connection, "/", "HEAD") == (200, "")
        assert connection.sock is kept
    code, log = hello.end()
    assert code == 0
    assert [line.split("'")[1] for line in log.splitlines()[:-1]] == [
        "GET /?x=1 HTTP/1.1", "GET /nowhere HTTP/1.1", "HEAD / HTTP/1.1",
    ]  # fmt: skip


def test_an_idle_kept_connection_does_not_delay_its_end(hello: Hello) -> None:
    with contextlib.closing(hello.connect()) as connection:
        ask(connection, "/healthz")
        assert hello.end()[0] == 0


def test_requests_in_flight_are_answered_while_it_ends(hello: Hello) -> None:
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(contextlib.closing(hello.connect())) for _ in range(20)]
        for connection in connections:
            ask(connection, "/healthz")  # accepted: none waits in the backlog
            connection.request("GET", "/")
        ended = threading.Thread(target=hello.end)
        ended.start()
        assert [connection.getresponse().status for connection in connections] == [200] * 20
        ended.join()
    assert hello.process.returncode == 0


def test_an_answer_that_is_half_sent_is_sent_to_its_end(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "large", symlinks=True)
    (tmp_path / "large" / "page.txt").write_text("x" * (32 << 20))  # more than the buffers of both ends hold
    hello = Hello(tmp_path / "large")
    with contextlib.closing(hello.connect()) as connection:
        connection.request("GET", "/")
        response = connection.getresponse()
        hello.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            hello.process.wait(0.3)  # it waits for us
        assert len(response.read()) == 32 << 20
    assert hello.process.wait(10) == 0
    hello.out.close()


def test_a_body_that_nobody_reads_is_not_taken_for_a_request(hello: Hello) -> None:
    with socket.create_connection(("127.0.0.1", hello.port), timeout=10) as client:
        client.sendall(
            b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 33\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in answer


def test_nonsense_is_refused_without_a_crash(hello: Hello) -> None:
    with socket.create_connection(("127.0.0.1", hello.port), timeout=10) as client:
        client.sendall(b"\x00\xff nonsense\r\n\r\n")
        assert b"400" in client.recv(65536)
    code, log = hello.end()
    assert code == 0
    assert "Traceback" not in log
