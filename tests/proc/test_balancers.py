"""Several balancer processes on one port, killed and replaced for real while users' requests go on."""

from __future__ import annotations

import shutil
import signal
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import tucano
from tests.certs import make, needs_openssl, number, tls, trusting
from tests.helpers import eventually
from tests.proc.kit import Users, hello, instances, kill, pid_of, stopped, wait_for_ready
from tucano.certs import Certs
from tucano.home import Home
from tucano.local import Cluster

BALANCERS = ("balancer", "balancer-2")
MANY = 40  # connections that reach both balancers, but for once in a million million


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two balancers, with TLS and the front for this machine's programs."""
    home = tmp_path_factory.mktemp("balancers") / "home"
    with tucano.local_cluster(workers=2, balancers=2, https_port=0, inside_port=0, home=home) as running:
        running.client.status()
        yield running


def served(cluster: Cluster) -> dict[str, int]:
    """Requests by balancer, from their logs."""
    logs = {name: Home(cluster.home).balancer(name) / "access.log" for name in BALANCERS}
    return {name: len(log.read_bytes().splitlines()) if log.exists() else 0 for name, log in logs.items()}


def replaced(cluster: Cluster, name: str, before: int) -> None:
    """Wait until another process is that node."""
    eventually(lambda: any(
        node.name == name and node.state == "ready" and node.pid not in (0, before) for node in cluster.client.nodes()
    ))  # fmt: skip


def test_connections_are_spread_and_the_traffic_is_added_up(cluster: Cluster, tmp_path: Path) -> None:
    cluster.deploy(hello(tmp_path / "hello"))

    def both() -> bool:
        assert cluster.get("hello").status == 200
        return all(served(cluster).values())

    eventually(both)
    (traffic,) = cluster.client.traffic()
    assert traffic.requests == eventually(lambda: (n := sum(served(cluster).values())) >= traffic.requests and n)
    assert {one.name for one in cluster.client.nodes() if one.role == "balancer"} == set(BALANCERS)


def test_one_that_is_killed_refuses_nobody_and_takes_only_its_own_open_connections_with_it(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.deploy(hello(tmp_path / "hello"))
    with Users(cluster, "hello", many=6) as users:
        for name in BALANCERS:
            pid = pid_of(cluster, name)
            own = {one.raddr.port for one in psutil.Process(pid).net_connections("tcp")
                   if one.raddr and one.laddr.port == cluster.running.http_port}  # fmt: skip
            before = len(users.failed)
            kill(pid)
            users.wait_for_more()
            replaced(cluster, name, pid)
            assert len(users.failed) - before <= len(own)
    assert "Refused" not in "".join(users.failed)


def test_one_that_is_told_to_end_hands_over_and_no_request_fails(cluster: Cluster, tmp_path: Path) -> None:
    cluster.deploy(hello(tmp_path / "hello"))
    with Users(cluster, "hello", many=6) as users:
        for name in BALANCERS * 2:
            pid = pid_of(cluster, name)
            kill(pid, how=signal.SIGTERM)
            replaced(cluster, name, pid)
            users.wait_for_more()
    assert users.failed == []


def test_a_rollout_fails_no_request(cluster: Cluster, tmp_path: Path) -> None:
    cluster.deploy(hello(tmp_path / "hello"))
    with Users(cluster, "hello", many=6) as users:
        cluster.deploy(hello(tmp_path / "hello", greeting="hi"))
        old = set(users.answered)
        cluster.client.restart("hello")
        users.wait_for_more()
    assert users.failed == []
    eventually(lambda: not old & {one.id for one in instances(cluster)}, "who was drained has stopped")


def test_a_balancer_that_stands_still_holds_up_no_rollout(cluster: Cluster, tmp_path: Path) -> None:
    cluster.deploy(hello(tmp_path / "hello"))
    before = {one.id for one in instances(cluster)}
    with stopped(pid_of(cluster, "balancer-2")):
        eventually(lambda: any(n.name == "balancer-2" and n.state != "ready" for n in cluster.client.nodes()))
        cluster.client.restart("hello")
        eventually(lambda: not before & {one.id for one in instances(cluster)})
    eventually(lambda: all(node.state == "ready" for node in cluster.client.nodes() if node.role != "worker"))
    wait_for_ready(cluster, 2)
    for _ in range(8):  # both have the new routes
        assert cluster.get("hello").status == 200


def test_programs_of_this_machine_have_a_front_of_their_own(cluster: Cluster, tmp_path: Path) -> None:
    cluster.deploy(hello(tmp_path / "hello"))
    request = urllib.request.Request(f"http://127.0.0.1:{cluster.running.inside_port}", headers={"Host": "hello"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
        assert answer.status == 200


@needs_openssl
def test_a_certificate_is_renewed_under_load_without_a_lost_connection(cluster: Cluster, tmp_path: Path) -> None:
    cluster.deploy(hello(tmp_path / "hello"))
    address = ("127.0.0.1", cluster.running.https_port)
    certs = Certs(Home(cluster.home))
    pairs = [make(tmp_path / name, "hello.example.org") for name in ("old", "new")]
    trust = trusting(*(cert for cert, _ in pairs))
    certs.add("hello.example.org", *pairs[0])

    def shown() -> str | None:
        try:
            with tls(address, "hello.example.org", trust) as connection:
                return number(connection)
        except ssl.SSLError:
            return None  # the balancer has not looked yet

    first = eventually(lambda: all(seen := [shown() for _ in range(MANY)]) and seen[0])
    failed: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        with tls(address, "hello.example.org", trust) as kept, kept.makefile("rb") as reader:
            while not stop.wait(0.002):
                kept.sendall(b"GET / HTTP/1.1\r\nHost: hello.example.org\r\n\r\n")
                line = reader.readline()
                if not line.startswith(b"HTTP/1.1 200"):
                    failed.append(repr(line))
                    return
                length = 0
                while (header := reader.readline()) != b"\r\n":
                    if header.lower().startswith(b"content-length:"):
                        length = int(header.split(b":")[1])
                reader.read(length)

    users = [threading.Thread(target=ask) for _ in range(3)]
    for user in users:
        user.start()
    certs.add("hello.example.org", *pairs[1])
    eventually(lambda: (seen := {shown() for _ in range(MANY)}) and first not in seen and None not in seen)
    stop.set()
    for user in users:
        user.join()
    assert failed == []


@needs_openssl
def test_a_certificate_that_is_spoilt_is_an_event_and_the_one_before_serves(cluster: Cluster, tmp_path: Path) -> None:
    cert, key = make(tmp_path / "one", "spoilt.example.org")
    Certs(Home(cluster.home)).add("spoilt.example.org", cert, key)
    trust = trusting(cert)
    address = ("127.0.0.1", cluster.running.https_port)

    def serves() -> bool:
        try:
            for _ in range(MANY):
                tls(address, "spoilt.example.org", trust).close()
        except ssl.SSLError:
            return False
        return True

    eventually(serves)
    other, _ = make(tmp_path / "two", "spoilt.example.org")
    shutil.copy(other, Home(cluster.home).tls / "spoilt.example.org" / "cert.pem")
    eventually(lambda: {"balancer", "balancer-2"} <= {
        event.subject for event in cluster.client.events(-50) if event.kind == "certificate_refused"
    })  # fmt: skip
    assert serves()
