"""A cluster on two machines with a cable between them that is slow, loses packets, or is cut."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.helpers import eventually
from tests.proc.cable import FAR, NEAR, Machines, machines, obstacle
from tests.proc.kit import hello
from tests.tucano.cluster_kit import assert_nothing_runs_in
from tests.tucano.test_cli import MAIN, environment

if why := obstacle():
    pytest.skip(why, allow_module_level=True)

pytestmark = pytest.mark.skipif(not os.environ.get("TUCANO_LONG"), reason="takes minutes: TUCANO_LONG=1 runs it")

SECONDS = 30.0
"""That a partition lasts."""

GET = """
import sys, urllib.request
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for _ in range(8):
    with direct.open(urllib.request.Request(sys.argv[1], headers={"Host": "hello"}), timeout=30) as answer:
        print(answer.status)
"""


@pytest.fixture(autouse=True)
def _no_service_is_left() -> None:
    """Not for this file."""


class TwoMachines:
    """The controller and a worker near, and another worker far."""

    def __init__(self, there: Machines, path: Path) -> None:
        self.there, self.cable = there, there.cable
        self.home, self.away = path / "home", path / "away"
        self.run(NEAR, self.home, "init")
        self.run(NEAR, self.home, "up", "--detach", "--workers", 1, "--port", 0, "--listen", NEAR)
        self.run(NEAR, self.home, "key", "add", "edge", "--role", "node", "--out", path / "edge.token")
        self.run(FAR, self.away, "worker", "--join", path / "edge.token", "--detach")

    def run(self, machine: str, home: Path, *args: object) -> str:
        command = self.there.on(machine, [*MAIN, *map(str, args)])
        done = subprocess.run(command, env=environment(home), capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def data(self, *args: object) -> Any:
        return json.loads(self.run(NEAR, self.home, *args, "--json"))

    def states(self) -> dict[str, str]:
        return {node["name"]: node["state"] for node in self.data("nodes")["nodes"]}

    def placed(self) -> Counter[str]:
        """How many instances are on each worker, if all are ready."""
        shown = self.data("show", "hello")["instances"]
        return Counter(one["node"] for one in shown) if all(one["state"] == "ready" for one in shown) else Counter()

    def running_far(self) -> set[int]:
        """The service's processes that there are on the far machine, whatever the record says."""
        found = set()
        for process in psutil.process_iter(["cmdline", "cwd"]):
            line, place = process.info["cmdline"] or [], process.info["cwd"] or ""
            if "app.py" in line and place.startswith(str(self.away)):
                found.add(process.pid)
        return found

    def events(self, *kinds: str) -> list[str]:
        return [e["kind"] for e in self.data("events", "-n", "1000")["events"] if e["kind"] in kinds]

    def get(self) -> str:
        """Statuses of requests from a user on the near machine."""
        users = f"http://{NEAR}:{self.data('status')['http_port']}/"
        command = self.there.on(NEAR, [MAIN[0], "-c", GET, users])
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout

    def close(self) -> None:
        self.cable.is_cut, self.cable.loss, self.cable.delay = False, 0.0, 0.0
        for machine, home in ((FAR, self.away), (NEAR, self.home)):
            self.run(machine, home, "down")
            assert_nothing_runs_in(home)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoMachines]:
    with machines() as there:
        made = TwoMachines(there, tmp_path_factory.mktemp("two"))
        try:
            eventually(lambda: set(made.states().values()) == {"ready"})
            yield made
        finally:
            made.close()


@pytest.fixture(autouse=True)
def _whole(cluster: TwoMachines) -> Iterator[None]:
    yield
    cluster.cable.is_cut, cluster.cable.loss, cluster.cable.delay = False, 0.0, 0.0


def test_what_is_far_and_slow_is_deployed_serves_and_is_not_given_up(cluster: TwoMachines, tmp_path: Path) -> None:
    cluster.cable.delay = 0.2
    cluster.run(NEAR, cluster.home, "deploy", hello(tmp_path / "hello", replicas=4))
    assert cluster.placed() == {"worker-1": 2, "edge": 2}
    assert cluster.get().split() == ["200"] * 8
    assert not cluster.events("worker_silent", "worker_lost")


def test_a_cable_that_loses_one_packet_in_twenty_loses_no_worker(cluster: TwoMachines) -> None:
    cluster.cable.loss, cluster.cable.delay = 0.05, 0.005
    cluster.run(NEAR, cluster.home, "scale", "hello", 6)
    cluster.run(NEAR, cluster.home, "restart", "hello")
    eventually(lambda: cluster.placed().total() == 6, within=60)
    assert cluster.get().split() == ["200"] * 8
    assert cluster.cable.lost > 10
    assert not cluster.events("worker_lost")


def test_what_a_cut_takes_away_is_replaced_and_afterwards_there_are_as_many_as_wanted(cluster: TwoMachines) -> None:
    cluster.run(NEAR, cluster.home, "scale", "hello", 4)
    eventually(lambda: cluster.placed().total() == 4 and len(cluster.running_far()) == cluster.placed()["edge"])
    cluster.cable.is_cut, began = True, time.monotonic()
    eventually(lambda: cluster.states()["edge"] == "gone", within=30)
    gone = time.monotonic() - began
    eventually(lambda: cluster.placed() == {"worker-1": 4}, within=30)
    replaced = time.monotonic() - began
    assert cluster.get().split() == ["200"] * 8
    assert cluster.running_far()  # their worker is alone, and keeps them
    eventually(lambda: time.monotonic() - began > SECONDS, within=60)
    assert cluster.placed() == {"worker-1": 4}
    cluster.cable.is_cut, healed = False, time.monotonic()
    eventually(lambda: cluster.states()["edge"] == "ready", within=30)
    back = time.monotonic() - healed
    eventually(
        lambda: cluster.placed().total() == 4 and len(cluster.running_far()) == cluster.placed()["edge"],
        "exactly those that are wanted run", within=30,
    )  # fmt: skip
    agreed = time.monotonic() - healed
    assert cluster.get().split() == ["200"] * 8
    cluster.run(NEAR, cluster.home, "scale", "hello", 6)  # it is a worker as any other again
    eventually(lambda: cluster.placed().total() == 6 and cluster.placed()["edge"] > 0, within=30)
    print(f"gone after {gone:.1f} s, replaced after {replaced:.1f} s; back {back:.1f} s after, agreed {agreed:.1f} s")
