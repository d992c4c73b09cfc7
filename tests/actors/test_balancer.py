"""The balancer actor with a real data path, a real record and real instances."""

from __future__ import annotations

import http.client
import os
import random
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.actors.builders import instance, service, worker
from tests.actors.test_discovery import record
from tests.helpers import eventually
from tucano.actors.balancer import Balancer
from tucano.actors.kernel import Child, Refused, System
from tucano.actors.messages.balancer import SaveDue, ShowTraffic, WatchDue
from tucano.actors.messages.deployer import Drained
from tucano.actors.messages.discovery import Delete, Entries, Put, Watch
from tucano.actors.messages.worker_mgr import Hello
from tucano.actors.proxy import Proxy
from tucano.testing import Probe

Start = Callable[..., System]


@pytest.fixture
def backend() -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"hi")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def front() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def balancer(front: socket.socket, path: Path) -> Child:
    def make_proxy() -> Proxy:
        return Proxy(front.dup(), access_log=path / "access.log", chance=random.Random(1))

    arguments = {"make_proxy": make_proxy, "cache": path / "routes", "address": "tcp://127.0.0.1:1"}
    return Child("balancer", Balancer, arguments)


def get(front: socket.socket) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", front.getsockname()[1], timeout=20)
    connection.request("GET", "/", headers={"Host": "hello"})
    status = connection.getresponse().status
    connection.close()
    return status


def fill(here: System, port: int) -> None:
    discovery = here.ref("discovery")
    discovery.ask(Put("worker/worker-1", worker=worker()), timeout=5)
    discovery.ask(Put("service/hello", service=service(rollout="done", replicas=1)), timeout=5)
    discovery.ask(Put("instance/a", instance=instance("a", port=port)), timeout=5)


def test_routes_follow_the_record(node: Start, front: socket.socket, backend: int, tmp_path: Path) -> None:
    manager, deployer = Probe(), Probe()
    here = node(record(tmp_path), balancer(front, tmp_path), worker_mgr=manager, deployer=deployer)
    assert manager.wait_for(Hello).role == "balancer"
    assert get(front) == 404
    fill(here, backend)
    eventually(lambda: get(front) == 200)
    traffic = here.ref("balancer").ask(ShowTraffic(), timeout=5)
    assert traffic.services[0].service == "hello"
    assert traffic.services[0].requests >= 1
    here.ref("discovery").ask(Put("instance/a", instance=instance("a", "draining", port=backend)), timeout=5)
    assert deployer.wait_for(Drained) == Drained(("a",), here.ref("balancer").node, os.getpid())
    assert get(front) == 503
    here.ref("discovery").ask(Delete("instance/a"), timeout=5)
    here.ref("discovery").ask(Delete("service/hello"), timeout=5)
    eventually(lambda: get(front) == 404)


def test_a_new_balancer_answers_nobody_before_it_has_routes(
    node: Start, front: socket.socket, backend: int, tmp_path: Path
) -> None:
    here = node(record(tmp_path), balancer(front, tmp_path), worker_mgr=Probe(), deployer=Probe())
    fill(here, backend)
    eventually(lambda: get(front) == 200)
    here.stop(10)
    waiting: list[int] = []
    user = threading.Thread(target=lambda: waiting.append(get(front)))
    user.start()  # waits in the socket's queue
    node(record(tmp_path), balancer(front, tmp_path), worker_mgr=Probe(), deployer=Probe())
    user.join(20)
    assert waiting == [200]


def test_a_new_balancer_serves_with_the_last_routes_while_the_controller_is_away(
    node: Start, front: socket.socket, backend: int, tmp_path: Path
) -> None:
    here = node(record(tmp_path), balancer(front, tmp_path), worker_mgr=Probe(), deployer=Probe())
    fill(here, backend)
    eventually(lambda: get(front) == 200)
    eventually(lambda: b"instance/a" in ((tmp_path / "routes").read_bytes() if (tmp_path / "routes").exists() else b""))
    here.stop(10)
    node(balancer(front, tmp_path))  # no record, no manager
    assert get(front) == 200


def test_a_full_disk_does_not_touch_the_routes_in_use(
    node: Start, front: socket.socket, backend: int, tmp_path: Path
) -> None:
    (tmp_path / "routes.part").mkdir()  # what is to be written cannot be
    here = node(record(tmp_path), balancer(front, tmp_path), worker_mgr=Probe(), deployer=Probe())
    fill(here, backend)
    eventually(lambda: get(front) == 200)
    here.ref("balancer").ask(SaveDue(), timeout=5)
    assert get(front) == 200
    assert next(actor for actor in here.snapshot() if actor.name == "balancer").restarts == 0


def test_a_record_that_is_away_is_asked_once_at_a_time(node: Start, front: socket.socket, tmp_path: Path) -> None:
    asked = Probe(lambda _: _refuse())
    here = node(balancer(front, tmp_path), discovery=asked, worker_mgr=Probe(), deployer=Probe())
    asked.wait_for(Watch)
    for _ in range(50):
        here.ref("balancer").ask(WatchDue(), timeout=5)
    asked.answer = lambda _: Entries(0, ())
    eventually(lambda: get(front) == 404)  # it has been answered, and serves
    assert len(asked.all(Watch)) < 50


def _refuse() -> None:
    raise Refused("unreachable", "away")
