"""The command line with a real cluster: up, used, down, nothing left."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import eventually
from tests.tucano.cluster_kit import assert_nothing_runs_in, processes_of
from tests.tucano.test_cli import MAIN, data, environment, good, tucano
from tucano.home import Home

HELLO = Path(__file__).parents[2] / "examples" / "hello"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home whose cluster, if any, is taken down after the test."""
    place = tmp_path / "home"
    yield place
    good(place, "down")
    assert_nothing_runs_in(place)


def up(home: Path, *more: object) -> dict[str, object]:
    done = tucano(home, "up", "--detach", "--workers", 1, "--port", 0, "--json", *more)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_cluster_goes_up_serves_and_goes_down_without_a_trace(home: Path) -> None:
    found = up(home)
    assert found["running"]
    status = data(home, "status")
    assert {key: status[key] for key in ("pid", "http_port", "zmq_port")} == {
        key: found[key] for key in ("pid", "http_port", "zmq_port")
    }
    assert {node["name"]: node["state"] for node in status["nodes"]} == {
        "controller": "ready", "balancer": "ready", "worker-1": "ready",
    }  # fmt: skip
    assert good(home, "deploy", HELLO).splitlines()[-2].startswith("hello runs: curl")
    shown = data(home, "show", "hello")
    assert [one["state"] for one in shown["instances"]] == ["ready", "ready"]
    assert "GREETING" in good(home, "show", "hello")
    assert '"Hello"' not in good(home, "show", "hello", "--json")
    assert good(home, "scale", "hello", 3).splitlines()[-2] == "hello has 3 replicas"
    assert "rollout_done" in good(home, "events")
    assert "runner.hello-" in good(home, "ps", "worker-1")
    assert "worker-1" in good(home, "nodes")
    assert good(home, "restart", "hello").splitlines()[-2] == "hello is restarted"
    assert good(home, "undeploy", "hello").splitlines()[-2] == "hello is taken down"
    assert data(home, "services") == {"services": []}
    assert "stopped" in good(home, "down", "--purge")
    assert not home.exists()


def test_the_actors_of_a_cluster_are_watched_while_they_work(home: Path) -> None:
    running = up(home, "--access-log", "json")
    accepted = json.loads(tucano(home, "deploy", HELLO, "--json").stdout)
    assert len(accepted["trace"]) == 16
    found = data(home, "top", "--interval", 0.2)
    assert {actor["node"] for actor in found["actors"]} == {"controller", "balancer", "worker-1"}
    assert all(actor["messages"] is not None for actor in found["actors"])
    gateway = next(actor for actor in found["actors"] if actor["name"] == "gateway")
    assert gateway["messages"] > 0  # we have asked it
    [service] = data(home, "top", "hello", "--interval", 0.2)["services"]
    first, second = sorted(one["id"] for one in data(home, "show", "hello")["instances"])
    assert [one["instance"] for one in service["instances"]] == [first, second]
    assert second in good(home, "top", "hello", "--interval", 0.1)
    assert "tucano services" in tucano(home, "top", "nobody", "--interval", 0.1).stderr
    assert good(home, "metrics").endswith("# EOF\n")
    ask = urllib.request.Request(f"http://127.0.0.1:{running['http_port']}/Ada", headers={"Host": "hello"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(ask) as answer:
        asked = answer.headers["X-Request-Id"]
    [log] = data(home, "status")["access_logs"]
    [line] = eventually(lambda: Path(log).read_text().splitlines())
    logged = json.loads(line)
    assert (logged["request_id"], logged["service"], logged["target"]) == (asked, "hello", "/Ada")
    assert logged["instance"] in (first, second)
    lines = good(home, "ps", "controller", "--events", "--crashes").splitlines()
    assert lines[0].startswith("controller, pid ")
    assert lines[-1] == "no actor has crashed"
    assert "traces" in data(home, "trace")
    assert "no node remembers a conversation" in tucano(home, "trace", "0" * 16).stderr


def test_a_second_one_from_the_same_home_is_refused_with_the_ports_of_the_first(home: Path) -> None:
    found = up(home)
    done = tucano(home, "up", "--port", 0)
    assert done.returncode == 1
    assert f"http://127.0.0.1:{found['http_port']}" in done.stderr


@pytest.mark.parametrize("detach", [["--detach"], []])
def test_a_port_in_use_says_whose(home: Path, detach: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = tucano(home, "up", "--workers", 1, "--port", port, *detach)
    assert done.returncode == 1
    assert f"port {port} is in use by" in done.stderr
    assert str(os.getpid()) in done.stderr
    assert "--port" in done.stderr


def test_in_the_foreground_ctrl_c_stops_everything_in_order(home: Path) -> None:
    command = [*MAIN, "up", "--workers", "1", "--port", "0"]
    with subprocess.Popen(command, env=environment(home), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(5)]
        assert "1 worker ready; stop it with Ctrl-C" in said[1]
        assert f"tucano deploy DIR --home {home}" not in "".join(said)  # TUCANO_HOME says it already
        good(home, "deploy", HELLO)
        assert processes_of(home)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert Home(home).running() is None
    assert_nothing_runs_in(home)


def test_down_ends_what_a_killed_parent_left(home: Path) -> None:
    found = up(home)
    good(home, "deploy", HELLO)
    os.kill(int(str(found["pid"])), signal.SIGKILL)
    eventually(lambda: Home(home).running() is None)
    done = tucano(home, "services")
    assert done.returncode == 3
    assert "gone without having been stopped" in done.stderr
    assert processes_of(home)
    assert "ended what was left behind: " in good(home, "down")
    assert_nothing_runs_in(home)


def test_a_copy_of_a_home_is_a_home_where_nothing_runs(home: Path, tmp_path: Path) -> None:
    up(home)
    good(home, "deploy", HELLO)
    before = {one["pid"] for one in data(home, "show", "hello")["instances"]}
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", home, copy], check=True, timeout=60)
    for command in ("status", "services"):
        done = tucano(copy, command)
        assert (done.returncode, f"no cluster runs from {copy}: start one" in done.stderr) == (3, True)
    assert "no cluster runs" in good(copy, "down", "--purge")
    assert not copy.exists()
    assert {one["pid"] for one in data(home, "show", "hello")["instances"] if one["state"] == "ready"} == before


def test_a_home_that_is_moved_while_its_cluster_runs_is_still_its_home(home: Path, tmp_path: Path) -> None:
    up(home)
    moved = home.rename(tmp_path / "moved")
    assert data(moved, "status")["running"]
    assert "stopped" in good(moved, "down")
    assert_nothing_runs_in(home)


def test_up_after_a_killed_parent_takes_its_services_over(home: Path) -> None:
    found = up(home)
    good(home, "deploy", HELLO)
    before = {one["pid"] for one in data(home, "show", "hello")["instances"]}
    os.kill(int(str(found["pid"])), signal.SIGKILL)
    eventually(lambda: Home(home).running() is None)
    up(home)
    eventually(lambda: data(home, "services")["services"][0]["ready"] == 2)
    assert {one["pid"] for one in data(home, "show", "hello")["instances"]} == before
