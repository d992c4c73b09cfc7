"""ZeroMQ services on a real cluster: Majordomo clients, instances that die, rollouts."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
import zmq

import tucano
from tests.helpers import eventually
from tests.proc.kit import Crowd, gone, instances, kill, pid_of, wait_for_ready, write
from tucano.actors.proxy.mdp import ERROR
from tucano.local import Cluster

# What the README shows, and SIGTERM: answer what is there, then end.
APP = """\
import os, signal, zmq

socket = zmq.Context().socket(zmq.{kind})
socket.bind(os.environ["TUCANO_ENDPOINT"])
ending = []
signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
while not (ending and not socket.poll(100)):
    if socket.poll(100):
        *envelope, body = socket.recv_multipart()
        socket.send_multipart([*envelope, body + b" " + os.environ["TUCANO_INSTANCE"].encode()])
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with tucano.local_cluster(workers=2, mdp_port=0) as running:
        running.client.status()
        yield running


def service(directory: Path, kind: str = "REP", replicas: int = 2, repeat: bool = False) -> Path:
    toml = f"""
[service]
name = "echo"
replicas = {replicas}
[run]
script = "exec {sys.executable} app.py"
[route]
protocol = "zmq"
[balance]
repeat = {str(repeat).lower()}
"""
    return write(directory, toml, app_py=APP.replace("{kind}", kind))


class Users(Crowd):
    """DEALER clients, each with several requests in flight; each request is answered once, or that is an error."""

    def __init__(self, cluster: Cluster, many: int = 2, in_flight: int = 10) -> None:
        super().__init__(many)
        self._address = f"tcp://127.0.0.1:{cluster.running.mdp_port}"
        self._in_flight = in_flight
        self.answered: Counter[str] = Counter()  # by instance
        self.errors: list[bytes] = []
        self.wrong: list[object] = []
        self.connections: list[object] = []

    def __enter__(self) -> Self:
        super().__enter__()
        self.wait_for_more(10)
        return self

    def wait_for_more(self, count: int = 200) -> None:
        goal = self.answered.total() + count
        eventually(lambda: self.answered.total() >= goal or self.wrong, f"{count} more answers")

    def _run(self) -> None:
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.set(zmq.LINGER, 0)
            socket.set(zmq.RCVTIMEO, 20_000)
            monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
            socket.connect(self._address)
            asked = told = 0
            answered: set[int] = set()
            try:
                while told < asked or not self._stop.is_set():
                    while asked - told < self._in_flight and not self._stop.is_set():
                        socket.send_multipart([b"", b"MDPC01", b"echo", b"%d" % asked])
                        asked += 1
                    self._take(socket.recv_multipart(), answered)
                    told += 1
                if socket.poll(200):
                    self.wrong.append(socket.recv_multipart())
            except zmq.Again:
                self.wrong.append(f"{asked - told} were never answered")
            while monitor.poll(0):
                self.connections.append(monitor.recv_multipart())
            socket.disable_monitor()
            monitor.close()

    def _take(self, frames: list[bytes], answered: set[int]) -> None:
        if frames[3] == ERROR:
            self.errors.append(frames[4])
            return
        number, _, instance = frames[3].decode().partition(" ")
        self.answered[instance] += 1
        if int(number) in answered:
            self.wrong.append(frames)
        answered.add(int(number))


@pytest.mark.parametrize("kind", ["REP", "ROUTER"])
def test_requests_are_balanced_and_told_about(cluster: Cluster, tmp_path: Path, kind: str) -> None:
    cluster.deploy(service(tmp_path / "echo", kind))
    with Users(cluster) as users:
        users.wait_for_more()
        both = {one.id for one in instances(cluster, "echo")}
        eventually(lambda: set(users.answered) == both, "each has answered: one may have shaken hands later")
    assert (users.errors, users.wrong) == ([], [])
    assert next(one for one in cluster.client.traffic() if one.service == "echo").requests == users.answered.total()
    shown = cluster.client.show("echo")
    assert (shown.protocol, shown.port) == ("zmq", None)
    assert cluster.client.status().mdp_port == cluster.running.mdp_port
    assert cluster.get("echo").status == 404  # it is no HTTP service


@pytest.mark.parametrize("repeat", [True, False])
def test_an_instance_that_is_killed_leaves_no_request_unanswered(
    cluster: Cluster, tmp_path: Path, repeat: bool
) -> None:
    cluster.deploy(service(tmp_path / "echo", repeat=repeat))
    with Users(cluster) as users:
        for restarts in (1, 2):
            victim = instances(cluster, "echo")[0]
            kill(victim.pid)
            eventually(lambda victim=victim, restarts=restarts: any(  # type: ignore[misc]
                i.id == victim.id and i.restarts == restarts for i in instances(cluster, "echo", "ready")
            ))  # fmt: skip
            users.wait_for_more()
    assert users.wrong == []
    if repeat:
        assert users.errors == []
    else:
        assert set(users.errors) <= {b"502"}
        assert len(users.errors) <= 40  # what was there when it died


def test_a_rollout_loses_no_request(cluster: Cluster, tmp_path: Path) -> None:
    cluster.deploy(service(tmp_path / "echo"))
    with Users(cluster) as users:
        old = set(users.answered)
        cluster.client.restart("echo")
        eventually(lambda: len(set(users.answered) - old) == 2)
        eventually(lambda: not old & {one.id for one in instances(cluster, "echo")})
        users.wait_for_more()
        cluster.client.scale("echo", 3)
        wait_for_ready(cluster, 3, "echo")
        cluster.client.scale("echo", 1)
        wait_for_ready(cluster, 1, "echo")
        users.wait_for_more()
    assert (users.errors, users.wrong) == ([], [])


def test_a_balancer_that_is_killed_is_found_again_by_its_clients(cluster: Cluster, tmp_path: Path) -> None:
    cluster.deploy(service(tmp_path / "echo"))
    kill(pid_of(cluster, "balancer"))
    with Users(cluster) as users:
        users.wait_for_more()
    assert (users.errors, users.wrong) == ([], [])


def test_balancers_that_are_replaced_under_load_lose_no_request_and_no_connection(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.deploy(service(tmp_path / "echo"))
    with Users(cluster, many=4) as users:
        for _ in range(3):
            pid = pid_of(cluster, "balancer")
            kill(pid, how=signal.SIGTERM)
            eventually(lambda pid=pid: gone(pid) and pid_of(cluster, "balancer") not in (0, pid))  # type: ignore[misc]
            users.wait_for_more()
    assert (users.errors, users.wrong) == ([], [])
    assert len(users.connections) == 4
