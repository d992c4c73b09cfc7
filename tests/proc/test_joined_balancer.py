"""A controller on its own, and a worker and a balancer with homes and addresses of their own, as on other machines."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import eventually
from tests.proc.kit import hello
from tests.tucano.cluster_kit import assert_nothing_runs_in
from tests.tucano.test_cli import data, good, tucano
from tucano.home import Home


class Three:
    """The homes of three machines."""

    def __init__(self, path: Path) -> None:
        self.home, self.worker, self.edge = (path / name for name in ("home", "worker", "edge"))
        self.port = 0
        good(self.home, "init")
        good(self.home, "controller", "--detach", "--listen", "127.0.0.1")
        self.tokens = {name: path / f"{name}.token" for name in ("w", "b")}
        for name, file in self.tokens.items():
            done = tucano(self.home, "key", "add", name, "--role", "node", "--out", file)
            assert done.returncode == 0, done.stderr
        good(self.worker, "worker", "--join", self.tokens["w"], "--address", "127.0.0.2", "--detach")
        self.start_balancer("--join", self.tokens["b"], "--address", "127.0.0.3")

    def start_balancer(self, *options: object) -> None:
        good(self.edge, "balancer", *options, "--port", self.port, "--detach")
        running = Home(self.edge).running()
        assert running is not None
        assert running.users == f"http://127.0.0.3:{running.http_port}"
        self.port = running.http_port

    def get(self) -> int:
        request = urllib.request.Request(f"http://127.0.0.3:{self.port}", headers={"Host": "hello"})
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code

    def nodes(self) -> dict[str, str]:
        return {one["name"]: one["role"] for one in data(self.home, "nodes")["nodes"] if one["state"] == "ready"}

    def pid(self, name: str) -> int:
        return next(int(one["pid"]) for one in data(self.home, "nodes")["nodes"] if one["name"] == name)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    made = Three(tmp_path_factory.mktemp("three"))
    yield made
    for home in (made.edge, made.worker, made.home):
        good(home, "down")
        assert_nothing_runs_in(home)


@pytest.fixture(autouse=True)
def cluster() -> None:
    """Not for this file: its cluster is another one."""


@pytest.fixture(scope="module", autouse=True)
def _no_service_is_left() -> None:
    """Not for this file: its cluster is another one."""


def test_a_balancer_elsewhere_serves_what_workers_elsewhere_run(three: Three, tmp_path: Path) -> None:
    assert three.nodes() == {"controller": "controller", "w": "worker", "b": "balancer"}
    good(three.home, "deploy", hello(tmp_path / "hello", replicas=2))
    eventually(lambda: three.get() == 200)
    good(three.home, "restart", "hello")
    assert three.get() == 200


def test_it_goes_on_while_the_controller_is_dead_and_when_it_is_killed_itself(three: Three) -> None:
    pids = {name: three.pid(name) for name in ("controller", "b")}
    os.kill(pids["controller"], 9)
    assert three.get() == 200
    eventually(lambda: len(three.nodes()) == 3 and three.pid("controller") != pids["controller"])
    os.kill(pids["b"], 9)
    assert three.get() == 200  # after a while in the socket's queue
    eventually(lambda: "b" in three.nodes() and three.pid("b") != pids["b"])


def test_it_comes_back_without_its_token_and_a_home_keeps_its_role(three: Three) -> None:
    good(three.edge, "down")
    done = tucano(three.edge, "worker", "--detach")
    assert done.returncode == 1
    assert "is the home of balancer b, which cannot become a worker" in done.stderr
    three.start_balancer()
    eventually(lambda: three.get() == 200)


def test_services_at_loopback_are_not_looked_for_on_the_balancers_own_machine(three: Three) -> None:
    """The controller's cluster comes up with workers of its own, which listen at 127.0.0.1."""
    good(three.home, "down")
    good(three.home, "up", "--detach", "--workers", 1, "--port", 0)
    eventually(lambda: {"w", "b", "worker-1", "balancer"} <= three.nodes().keys())
    good(three.home, "scale", "hello", 4)
    assert {one["node"] for one in data(three.home, "show", "hello")["instances"]} == {"w", "worker-1"}
    for _ in range(8):
        assert three.get() == 200
    events = data(three.home, "events", "-n", 100)["events"]
    assert any(one["kind"] == "instances_unreachable" and one["subject"] == "b" for one in events)
