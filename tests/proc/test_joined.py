"""A cluster with keys, and a worker with a home and an address of its own, as on another machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq

import tucano as library
from tests.helpers import eventually
from tests.proc.kit import hello
from tests.transport.rings import tapped
from tests.tucano.cluster_kit import assert_nothing_runs_in, processes_of
from tests.tucano.test_cli import MAIN, data, environment, good, tucano
from tucano.client import ClusterError
from tucano.home import Home
from tucano.token import parse


@pytest.fixture(scope="module", autouse=True)
def _no_service_is_left() -> None:
    """Not for this file: its cluster is another one."""


class Two:
    """The controller's home, and the homes of other machines with their tokens."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.home, self.away = path / "home", path / "away"
        self.edge, self.ann, self.root = (path / f"{name}.token" for name in ("edge", "ann", "root"))

    def start(self) -> None:
        good(self.home, "init")
        good(self.home, "up", "--detach", "--workers", 1, "--port", 0, "--listen", "127.0.0.1")
        for name, role, file in (
            ("edge", "node", self.edge),
            ("ann", "reader", self.ann),
            ("root", "admin", self.root),
        ):
            done = tucano(self.home, "key", "add", name, "--role", role)
            assert done.returncode == 0, done.stderr
            file.write_text(done.stdout)
        good(self.away, "worker", "--join", self.edge, "--address", "127.0.0.2", "--detach")

    def nodes(self, state: str = "ready") -> set[str]:
        return {one["name"] for one in data(self.home, "nodes")["nodes"] if one["state"] == state}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    made = Two(tmp_path_factory.mktemp("two"))
    made.start()
    yield made
    for home in (made.away, made.home):
        good(home, "down")
        assert_nothing_runs_in(home)


@pytest.fixture(autouse=True)
def cluster() -> None:
    """Not for this file: its cluster is another one."""


def secrets_of(two: Two) -> dict[str, str]:
    found = {path.stem: json.loads(path.read_text())["secret"] for path in (two.home / "keys").glob("*.key")}
    return found | {path.stem: parse(path.read_text()).secret for path in (two.edge, two.ann, two.root)}


def get(two: Two) -> str:
    running = Home(two.home).running()
    assert running is not None
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(urllib.request.Request(running.users, headers={"Host": "hello"}), timeout=30) as answer:
        return str(answer.headers["X-Tucano-Instance"])


def test_its_services_answer_through_the_balancer_and_no_key_reaches_them(two: Two, tmp_path: Path) -> None:
    assert two.nodes() == {"controller", "balancer", "worker-1", "edge"}
    script = "env > environment; python3 -c 'import socket' && exec python3 app.py"
    good(two.home, "deploy", hello(tmp_path / "hello", replicas=4, script=script))
    shown: list[dict[str, Any]] = data(two.home, "show", "hello")["instances"]
    away = {one["id"] for one in shown if one["node"] == "edge"}
    assert len(away) == 2
    for identifier in away:
        eventually(lambda identifier=identifier: get(two) == identifier)  # type: ignore[misc]
    for one in shown:
        sockets = [each.laddr.ip for each in psutil.Process(one["pid"]).net_connections() if each.status == "LISTEN"]
        assert sockets == ["127.0.0.2" if one["id"] in away else "127.0.0.1"]
    assert "serving" in good(two.home, "logs", sorted(away)[0])

    environments = [psutil.Process(one["pid"]).environ() for one in shown]
    lines = " ".join(processes_of(two.path))
    files = [path for home in (two.home, two.away) for path in home.rglob("*") if path.is_file()]
    others = b"".join(path.read_bytes() for path in files if path.parent.name != "keys")
    for secret in secrets_of(two).values():
        assert secret not in lines
        assert secret.encode() not in others
        for env in environments:
            assert all(secret not in value for value in env.values())
    for token in (two.edge, two.ann, two.root):
        assert token.read_text()[10:50] not in lines
        assert token.read_text()[10:50].encode() not in others
        assert all("TOKEN" not in name for env in environments for name in env)


def test_a_token_that_another_machine_uses_is_refused_with_what_to_do(two: Two, tmp_path: Path) -> None:
    done = tucano(tmp_path / "third", "worker", "--join", two.edge, "--address", "127.0.0.3", "--detach")
    assert done.returncode == 1
    assert "the cluster hears another edge: a token is for one machine" in done.stderr
    assert "tucano key add NAME --role node" in done.stderr
    assert_nothing_runs_in(tmp_path / "third")
    assert "edge" in two.nodes(), "the one that was there before"


def test_from_another_machine_readers_look_and_administrators_do_all(two: Two) -> None:
    for token in (two.ann, two.ann.read_text(), two.root):
        with library.connect(token=token) as client:
            assert client.status().services == 1
    with library.connect(token=two.ann) as reader, pytest.raises(ClusterError, match="needs the role admin") as caught:
        reader.scale("hello", 3)
    assert caught.value.code == "forbidden"
    with library.connect(token=two.root) as admin:
        admin.scale("hello", 3)
        admin.wait_until_scaled("hello", 3)


def test_commands_go_by_a_login_a_token_file_or_the_environment(two: Two) -> None:
    logged_in = two.path / "laptop"
    good(logged_in, "login", two.ann)
    assert data(logged_in, "services")["services"][0]["name"] == "hello"
    assert data(logged_in, "status")["services"] == 1
    nowhere = two.path / "nowhere"
    assert "hello" in good(nowhere, "--token-file", two.ann, "services")
    command = [*MAIN, "services"]
    env = environment(nowhere, TUCANO_TOKEN=two.ann.read_text())
    assert "hello" in subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True).stdout
    done = tucano(logged_in, "scale", "hello", 2)
    assert (done.returncode, "needs the role admin" in done.stderr) == (1, True)
    assert "the role node" in tucano(two.away, "services").stderr
    cluster = Home(two.home).identity()
    for place, by in ((two.away, []), (nowhere, ["--token-file", two.edge])):
        said = good(place, *by, "status")
        assert said.startswith(f"cluster   {cluster}, at tcp://")
        assert "edge" in said


def test_who_follows_events_ends_with_the_reason_when_the_key_is_revoked(two: Two) -> None:
    token = two.path / "eve.token"
    token.write_text(tucano(two.home, "key", "add", "eve", "--role", "reader").stdout)
    command = [*MAIN, "--token-file", str(token), "events", "-f"]
    with subprocess.Popen(
        command, env=environment(two.path / "nowhere"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline()
        good(two.home, "key", "revoke", "eve")
        _, told = follower.communicate(timeout=60)
    assert follower.returncode == 1
    assert "the key of eve has been revoked" in told


def test_a_client_without_a_key_is_told_that_it_needs_one(two: Two) -> None:
    running = Home(two.home).running()
    assert running is not None
    with library.connect(address=running.door, timeout=2) as client, pytest.raises(ClusterError, match="keys"):
        client.status()


def test_nothing_that_is_said_at_the_door_can_be_overheard(two: Two) -> None:
    running = Home(two.home).running()
    assert running is not None
    with tapped(running.zmq_port) as tap:
        token = parse(two.root.read_text())
        one = type(token)(**{**{f: getattr(token, f) for f in token.__struct_fields__},
                             "door": f"tcp://127.0.0.1:{tap.port}"})  # fmt: skip
        with library.connect(token=one.text()) as client:
            assert client.show("hello").name == "hello"
        heard = bytes(tap.heard)
    assert b"CURVE" in heard
    assert b"hello" not in heard
    assert b"show" not in heard


def test_a_worker_elsewhere_survives_its_controller_and_its_own_process_and_keeps_its_services(two: Two) -> None:
    before = {one["pid"] for one in data(two.home, "show", "hello")["instances"] if one["node"] == "edge"}
    pids = {one["name"]: one["pid"] for one in data(two.home, "nodes")["nodes"]}
    for name in ("controller", "edge"):
        os.kill(pids[name], 9)

    def back() -> bool:
        found = {one["name"]: one for one in data(two.home, "nodes")["nodes"]}
        return all(found[n]["state"] == "ready" and found[n]["pid"] != pids[n] for n in ("controller", "edge"))

    eventually(back)
    eventually(lambda: data(two.home, "services")["services"][0]["ready"] == 3)
    assert before == {one["pid"] for one in data(two.home, "show", "hello")["instances"] if one["node"] == "edge"}


def test_a_cluster_that_goes_down_and_up_is_joined_again_at_the_same_ports(two: Two) -> None:
    was = Home(two.home).running()
    good(two.home, "down")
    good(two.home, "up", "--detach", "--workers", 1, "--port", 0)
    now = Home(two.home).running()
    assert was is not None
    assert now is not None
    assert (was.host, was.zmq_port) == (now.host, now.zmq_port)
    eventually(lambda: "edge" in two.nodes())


IMPATIENT = "from tucano import parent; parent.ANSWER = 0.0; parent.main()"


def test_a_worker_that_has_joined_before_waits_for_its_controller(two: Two) -> None:
    good(two.away, "down")
    good(two.home, "down")
    command = [sys.executable, "-c", IMPATIENT, "--home", str(two.away), "--joined", "worker"]
    with subprocess.Popen(command, env=environment(two.away), stderr=subprocess.DEVNULL) as waiting:
        eventually(lambda: (running := Home(two.away).running()) and running.nodes)
        good(two.home, "up", "--detach", "--workers", 1, "--port", 0)
        eventually(lambda: (running := Home(two.away).running()) and running.ready)
        good(two.away, "down")
        assert waiting.wait(60) == 0
    good(two.away, "worker", "--detach")
    eventually(lambda: "edge" in two.nodes())


def test_a_key_that_is_revoked_takes_its_worker_out_and_lets_it_in_no_more(two: Two) -> None:
    eventually(lambda: data(two.home, "services")["services"][0]["ready"] == 3)
    good(two.home, "key", "revoke", "edge")
    eventually(lambda: "edge" in two.nodes("gone"))
    log = two.away / "logs" / "edge.log"
    eventually(lambda: "controller does not admit our key: if it has been revoked" in log.read_text())
    eventually(lambda: data(two.home, "services")["services"][0]["ready"] == 3)
    good(two.away, "down")
    done = tucano(two.away, "worker", "--detach")
    assert done.returncode == 1
    assert "does not admit this key" in done.stderr
    assert_nothing_runs_in(two.away)


def test_the_bridge_is_closed_to_clients(two: Two) -> None:
    listening = Home(two.home).listening()
    assert listening is not None
    token = parse(two.root.read_text())
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with context, context.socket(zmq.DEALER) as dealer:
        dealer.set(zmq.LINGER, 0)
        dealer.curve_serverkey, dealer.curve_publickey, dealer.curve_secretkey = (
            key.encode() for key in (token.controller, token.public, token.secret)
        )
        monitor = dealer.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH)
        dealer.connect(token.bridge)
        assert monitor.poll(10_000)
        assert int.from_bytes(monitor.recv_multipart()[0][:2], "little") == zmq.EVENT_HANDSHAKE_FAILED_AUTH
        dealer.disable_monitor()
        monitor.close()
