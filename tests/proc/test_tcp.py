"""TCP services on a real cluster: killed instances, a killed balancer, rollouts."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import eventually
from tests.proc.kit import Crowd, instances, kill, pid_of, wait_for_ready, write
from tucano.client.failures import ClusterError, DeployFailed
from tucano.local import Cluster

# Speaks first, as databases do, then answers each line; SIGTERM: no new connections, the open ones go on to their end.
APP = """\
import os, signal, socketserver, threading

class Talk(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(os.environ["TUCANO_INSTANCE"].encode() + b"\\n")
        for line in self.rfile:
            self.wfile.write(line[::-1].strip() + b"\\n")

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = False

server = Server((os.environ["HOST"], int(os.environ["PORT"])), Talk)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()
"""


def service(directory: Path, port: int, name: str = "db", replicas: int = 2) -> Path:
    toml = f"""
[service]
name = "{name}"
replicas = {replicas}
[run]
script = "exec python3 app.py"
[route]
protocol = "tcp"
port = {port}
"""
    return write(directory, toml, app_py=APP)


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class User:
    """A connection: who is at its other end says so."""

    def __init__(self, port: int) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.lines = self.connection.makefile("rb")
        try:
            self.instance = self.lines.readline().decode().strip()
        except OSError:
            self.close()
            raise

    def says(self, word: bytes) -> bytes:
        self.connection.sendall(word + b"\n")
        return self.lines.readline().strip()

    def close(self) -> None:
        self.lines.close()
        self.connection.close()


@contextlib.contextmanager
def user(port: int) -> Iterator[User]:
    one = User(port)
    try:
        yield one
    finally:
        one.close()


class Visitors(Crowd):
    """Who connects, talks and leaves, again and again; nobody may be refused or cut."""

    def __init__(self, port: int) -> None:
        super().__init__(3)
        self._port = port
        self.served = 0
        self.failed: list[str] = []

    def wait_for_more(self, count: int = 50) -> None:
        goal = self.served + len(self.failed) + count
        eventually(lambda: self.served + len(self.failed) >= goal)

    def _run(self) -> None:
        while not self._stop.wait(0.002):
            try:
                with user(self._port) as one:
                    if one.says(b"abc") != b"cba":
                        self.failed.append(f"{one.instance}: no answer")
                    self.served += 1
            except OSError as error:
                self.failed.append(repr(error))


def test_connections_are_balanced_and_told_about(cluster: Cluster, tmp_path: Path, port: int) -> None:
    cluster.deploy(service(tmp_path / "db", port))
    with user(port) as one, user(port) as other:
        assert {one.instance, other.instance} == {each.id for each in instances(cluster, "db")}
        assert one.says(b"hello") == b"olleh"
        traffic = next(each for each in cluster.client.traffic() if each.service == "db")
        assert (traffic.requests, traffic.in_flight) == (2, 2)
    shown = cluster.client.show("db")
    assert (shown.protocol, shown.port, shown.detail) == ("tcp", port, "")
    cluster.client.undeploy("db")
    cluster.client.wait_until_gone("db")

    def refused() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    eventually(refused, "the port is given back")


def test_an_instance_that_is_killed_cuts_its_connections_and_new_ones_go_elsewhere(
    cluster: Cluster, tmp_path: Path, port: int
) -> None:
    cluster.deploy(service(tmp_path / "db", port))
    with user(port) as one, Visitors(port) as visitors:
        visitors.wait_for_more(10)
        victim = next(each for each in instances(cluster, "db") if each.id == one.instance)
        kill(victim.pid)
        with contextlib.suppress(ConnectionResetError):
            assert one.says(b"hello") == b""
        with user(port) as other:
            assert other.says(b"hello") == b"olleh"
        visitors.wait_for_more()
    assert len(visitors.failed) <= 3  # those that were on it when it died
    wait_for_ready(cluster, 2, "db")


def test_a_lone_instance_that_is_killed_is_waited_for(cluster: Cluster, tmp_path: Path, port: int) -> None:
    cluster.deploy(service(tmp_path / "db", port, replicas=1))
    kill(instances(cluster, "db")[0].pid)
    with user(port) as one:
        assert one.says(b"hello") == b"olleh"


def test_a_balancer_that_is_killed_refuses_nobody(cluster: Cluster, tmp_path: Path, port: int) -> None:
    cluster.deploy(service(tmp_path / "db", port))
    for _ in range(2):
        kill(pid_of(cluster, "balancer"))
        with user(port) as one:  # waits in the queue of the socket, which the parent holds
            assert one.says(b"hello") == b"olleh"
        eventually(lambda: all(node.state == "ready" for node in cluster.client.nodes()))


def test_a_rollout_fails_nobody_and_lets_open_connections_end(cluster: Cluster, tmp_path: Path, port: int) -> None:
    cluster.deploy(service(tmp_path / "db", port))
    with Visitors(port) as visitors, user(port) as one:
        released = threading.Thread(target=cluster.client.restart, args=("db",))
        released.start()
        eventually(lambda: one.instance in {i.id for i in instances(cluster, "db", "draining")})
        assert one.says(b"hello") == b"olleh"
        one.close()
        released.join()
        eventually(lambda: one.instance not in {i.id for i in instances(cluster, "db")})
        visitors.wait_for_more()
    assert visitors.failed == []


def test_a_port_in_use_is_told_until_it_is_free(cluster: Cluster, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DeployFailed) as failed:
            cluster.deploy(service(tmp_path / "db", port))
        assert f"balancer cannot listen: port {port} is in use by process {os.getpid()}" in failed.value.detail
        assert cluster.client.show("db").detail in failed.value.detail
    eventually(lambda: not cluster.client.show("db").detail)
    with user(port) as one:
        assert one.says(b"hello") == b"olleh"
    kinds = [event.kind for event in cluster.client.events() if event.subject == "db"]
    assert kinds.index("port_refused") < kinds.index("port_opened")


def test_what_the_deployer_can_know_is_refused_at_once(cluster: Cluster, tmp_path: Path, port: int) -> None:
    cluster.deploy(service(tmp_path / "db", port))
    with pytest.raises(ClusterError, match=f"port {port} is that of db"):
        cluster.deploy(service(tmp_path / "other", port, name="other"))
    with pytest.raises(ClusterError, match="is the cluster's own, for users' HTTP"):
        cluster.deploy(service(tmp_path / "other", cluster.running.http_port, name="other"))
    toml = '[service]\nname = "db"\n[run]\nscript = "true"\n'
    with pytest.raises(ClusterError, match="speaks tcp, and cannot become http"):
        cluster.deploy(write(tmp_path / "db", toml))


def test_a_service_may_move_to_another_port(cluster: Cluster, tmp_path: Path, port: int) -> None:
    cluster.deploy(service(tmp_path / "db", port))
    with socket.create_server(("127.0.0.1", 0)) as free:
        another = free.getsockname()[1]
    cluster.deploy(service(tmp_path / "db", another))
    with user(another) as one:
        assert one.says(b"hello") == b"olleh"
