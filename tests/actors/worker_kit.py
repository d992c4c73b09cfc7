"""A worker's actors with a stand-in controller beside them: a probe that takes what they report, and real artifacts."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.helpers import eventually
from tucano.actors.builder import Builder
from tucano.actors.collector import Collector
from tucano.actors.disk import artifact
from tucano.actors.kernel import Actor, Child, Law, Refused, System, Tree
from tucano.actors.messages import gateway, supervisor, worker_mgr
from tucano.actors.messages.model import Build, Health, Instance, Run, Spec
from tucano.actors.supervisor import Supervisor

FAST = Law(intensity=100, period=1.0, first=0.0, base=0.001, ceiling=0.01)

SERVER = """
import http.server, os, signal, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        code = 503 if os.path.exists("sick") else 200
        body = os.environ.get("GREETING", "hello").encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
print("serving", flush=True)
http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""
RUN = "exec python3 app.py"


class Probe(Actor):
    """The worker manager, as far as a worker sees it."""

    def __init__(self, heard: list[Any], deaf: threading.Event) -> None:
        super().__init__()
        self._heard = heard
        self._deaf = deaf

    def receive(self, message: Any) -> Any:
        if message == "crash":
            raise RuntimeError("as told")
        if self._deaf.is_set():
            raise Refused("unreachable", "as told")
        self._heard.append(message)
        return None


class Shelf(Actor):
    """The gateway, as far as a builder sees it."""

    Inbox = gateway.ReadArtifact

    def __init__(self, root: Path, deaf: threading.Event, asked: list[tuple[int, int]] | None = None) -> None:
        super().__init__()
        self._root = root
        self._asked = asked
        self._deaf = deaf

    def receive(self, message: gateway.ReadArtifact) -> bytes:
        if self._deaf.is_set():
            raise Refused("unreachable", "as told")
        if self._asked is not None:
            self._asked.append((message.offset, message.limit))
        path = self._root / message.artifact
        if not path.exists():
            raise Refused("not_found", "no such artifact")
        with path.open("rb") as file:
            file.seek(message.offset)
            return file.read(message.limit)


class Worker:
    """A worker in this process."""

    def __init__(self, home: Path, shelf: Path) -> None:
        self.home = home
        self.shelf = shelf
        shelf.mkdir(parents=True, exist_ok=True)
        self.heard: list[Any] = []
        self.deaf, self.shelf_deaf = threading.Event(), threading.Event()
        self.system = System("w1")

    def start(self) -> Worker:
        self.system.run(
            [
                Child("worker_mgr", Probe, {"heard": self.heard, "deaf": self.deaf}),
                Child("gateway", Shelf, {"root": self.shelf, "deaf": self.shelf_deaf}),
                Child("collector", Collector),
                Child("builder", Builder, {"home": self.home, "gateway": "w1/gateway"}),
                Child("runners", Tree, {"law": FAST}),
                Child(
                    "supervisor", Supervisor, {"home": self.home, "controller": "w1/worker_mgr", "bridge": "tcp://x:1"}
                ),
            ],
            law=FAST,
        )
        eventually(lambda: self.said(worker_mgr.Hello), "it says hello")
        return self

    def said(self, kind: type) -> list[Any]:
        return [message for message in self.heard if isinstance(message, kind)]

    def reports(self, identifier: str) -> list[Instance]:
        changes = [message.instance for message in self.said(worker_mgr.InstanceChanged)]
        return [instance for instance in changes if instance.id == identifier]

    def last(self, identifier: str) -> Instance:
        return self.reports(identifier)[-1]

    def until(self, identifier: str, *states: str, within: float = 20.0) -> Instance:
        eventually(
            lambda: (reports := self.reports(identifier)) and reports[-1].state in states,
            f"{identifier} {states}; {[r.state for r in self.reports(identifier)]}",
            within,
        )
        return self.last(identifier)

    def pack(self, files: Mapping[str, str | bytes]) -> artifact.Artifact:
        return pack(self.shelf, files)

    def order(self, identifier: str, files: Mapping[str, str | bytes] | None = None, **options: Any) -> supervisor.Run:
        return order(self.pack(files or {"app.py": SERVER}), identifier, **options)

    def run(self, identifier: str, files: Mapping[str, str | bytes] | None = None, **options: Any) -> supervisor.Run:
        made = self.order(identifier, files, **options)
        self.ask(made)
        return made

    def ask(self, message: Any, name: str = "supervisor", timeout: float = 20.0) -> Any:
        return self.system.ref(name).ask(message, timeout=timeout)

    def log(self, identifier: str, **options: Any) -> str:
        return str(self.ask(supervisor.ReadLog(identifier, **options)).data, "utf-8")


def pack(shelf: Path, files: Mapping[str, str | bytes]) -> artifact.Artifact:
    """Pack files and put them on the shelf."""
    place = shelf / f"src-{len(list(shelf.iterdir()))}"
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    packed = artifact.pack(place, shelf / "packed")
    (shelf / "packed").rename(shelf / packed.sha256)
    return packed


def order(
    packed: artifact.Artifact,
    identifier: str,
    script: str = RUN,
    build: str = "",
    env: dict[str, str] | None = None,
    grace: float = 5.0,
    build_timeout: float = 60.0,
    health: Health | None = None,
) -> supervisor.Run:
    """What the controller says to have an instance run."""
    spec = Spec(
        identifier.rpartition("-")[0],
        Run(script, env or {}, grace),
        Build(build, build_timeout),
        health or Health(http="/", interval=0.05, timeout=2.0, deadline=30.0),
    )
    return supervisor.Run(identifier, spec, 1, packed.sha256, packed.size)


@contextmanager
def worker(home: Path, shelf: Path, *, leave: bool = False) -> Iterator[Worker]:
    """A worker that stops all its instances at the end, or leaves them running."""
    made = Worker(home, shelf).start()
    try:
        yield made
    finally:
        if not leave:
            made.ask(supervisor.StopAll(), timeout=30)
        assert made.system.stop(10), "actors did not stop in time"
        eventually(lambda: not busy_threads(), f"threads end: {busy_threads()}")
        if not leave:
            assert not strays(home), "processes are left behind"


def busy_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tucano-")]


def strays(home: Path) -> list[int]:
    """Living processes that work in a home's directories."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                if str(home) in str((path / "cwd").readlink()):
                    found.append(int(path.name))
            except OSError:
                continue  # ended, or a kernel's
    return found


def get(instance: Instance) -> str:
    with urllib.request.urlopen(f"http://{instance.host}:{instance.port}/", timeout=5) as answer:
        return str(answer.read(), "utf-8")
