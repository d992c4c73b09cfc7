"""What the tests of real clusters share: services to deploy, users who send requests, and killing."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psutil

from tests.helpers import eventually
from tucano.client.answers import InstanceInfo
from tucano.local import Cluster

APP = """\
import http.server, os, signal, sys, threading

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves whole: one that was begun and is cut by a kill cannot be repeated

    def do_GET(self):
        body = (os.environ.get("GREETING", "hello") + " " + os.environ["TUCANO_INSTANCE"]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler)
server.daemon_threads = False
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print("serving", flush=True)
server.serve_forever()
"""


def write(directory: Path, toml: str, **files: str) -> Path:
    """A service's directory; `app_py="..."` becomes `app.py`."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "tucano.toml").write_text(toml)
    for name, text in files.items():
        (directory / name.replace("_", ".")).write_text(text)
    return directory


def hello(directory: Path, replicas: int = 2, greeting: str = "hello", script: str = "exec python3 app.py") -> Path:
    """A service that greets."""
    toml = f"""
[service]
name = "hello"
replicas = {replicas}
[run]
script = "{script}"
env = {{ GREETING = "{greeting}" }}
[health]
http = "/"
"""
    return write(directory, toml, app_py=APP)


class Crowd(ABC):
    """So many threads that use a service until they are left; each goes on until `_stop` is set."""

    def __init__(self, many: int) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(many)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @abstractmethod
    def _run(self) -> None:
        """Use it."""


class Users(Crowd):
    """Several who send a GET after the other, each over a connection that is kept."""

    def __init__(self, cluster: Cluster, service: str, many: int = 3) -> None:
        super().__init__(many)
        self._port = cluster.running.http_port
        self._service = service
        self.answered: Counter[str] = Counter()  # by instance
        self.failed: list[str] = []

    def __enter__(self) -> Self:
        super().__enter__()
        self.wait_for_more(10)
        return self

    def wait_for_more(self, count: int = 50) -> None:
        """Wait until so many more requests have been answered."""
        goal = self.answered.total() + len(self.failed) + count
        eventually(lambda: self.answered.total() + len(self.failed) >= goal, f"{count} more answers")

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=15)
        while not self._stop.is_set():
            try:
                connection.request("GET", "/", headers={"Host": self._service})
                answer = connection.getresponse()
                body = answer.read().decode()
                who = answer.headers["X-Tucano-Instance"]
                if answer.status == 200 and who and body.endswith(who):
                    self.answered[who] += 1
                else:
                    self.failed.append(f"{answer.status} {who} {body[:200]}")
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
                connection.close()
            self._stop.wait(0.002)
        connection.close()


def instances(cluster: Cluster, service: str = "hello", state: str | None = None) -> list[InstanceInfo]:
    return [one for one in cluster.client.show(service).instances if state is None or one.state == state]


def wait_for_ready(cluster: Cluster, count: int, service: str = "hello") -> list[InstanceInfo]:
    """Wait until exactly so many instances are there, all ready."""

    def all_ready() -> list[InstanceInfo] | None:
        found = instances(cluster, service)
        return found if len(found) == count and all(one.state == "ready" for one in found) else None

    return eventually(all_ready, f"{count} ready instances of {service}", within=30) or []


def pid_of(cluster: Cluster, node: str) -> int:
    return next(one.pid for one in cluster.client.nodes() if one.name == node)


def kill(*pids: int, how: signal.Signals = signal.SIGKILL) -> None:
    for pid in pids:
        os.kill(pid, how)


def gone(*pids: int) -> bool:
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                return False
    return True


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that stands still, as a machine that is cut off does."""
    kill(pid, how=signal.SIGSTOP)
    try:
        yield
    finally:
        kill(pid, how=signal.SIGCONT)
