from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.actors.builders import instance, worker
from tests.actors.test_discovery import record
from tests.helpers import eventually
from tucano.actors.kernel import Child, StopChild, System, Tree
from tucano.actors.messages.deployer import InstanceReported, InventoryReported
from tucano.actors.messages.discovery import Put, Range
from tucano.actors.messages.notifier import Notify
from tucano.actors.messages.worker_mgr import AllMetrics, Hello, InstanceChanged, Metrics, ShowMetrics
from tucano.actors.worker_mgr import WorkerMgr
from tucano.testing import Probe

Start = Callable[..., System]
MANAGER = Child("worker_mgr", WorkerMgr, {"patience": 0.1})


def hello(name: str, *instances: str) -> Hello:
    return Hello(name, 7, "tcp://127.0.0.1:1", 2, 1 << 30, tuple(instance(i) for i in instances))


def state(here: System, name: str) -> str:
    entries = here.ref("discovery").ask(Range(f"worker/{name}"), timeout=5).entries
    return entries[0].worker.state if entries else "unknown"


def test_a_worker_that_says_hello_is_ready_and_what_it_runs_is_passed_on(node: Start, tmp_path: Path) -> None:
    deployer, people = Probe(), Probe()
    tree = Child("tree", Tree, {"children": [Probe().child("supervisor")]})
    here = node(record(tmp_path), MANAGER, tree, deployer=deployer, notifier=people)
    eventually(lambda: here.ref("supervisor").is_alive())
    here.ref("worker_mgr").ask(hello("controller", "a"), timeout=5)
    assert deployer.wait_for(InventoryReported).instances[0].id == "a"
    eventually(lambda: state(here, "controller") == "ready")
    here.ref("worker_mgr").tell(InstanceChanged(instance("a", "unready", node="controller")))
    assert deployer.wait_for(InstanceReported).instance.state == "unready"

    here.ref("tree").ask(StopChild("supervisor"), timeout=5)
    eventually(lambda: state(here, "controller") == "gone")
    assert people.wait_for(Notify).kind == "worker_lost"

    here.ref("worker_mgr").tell(Metrics("controller", 0.5, 100, ()))  # a word of it is enough: it is back
    eventually(lambda: state(here, "controller") in ("ready", "silent"))


def test_a_worker_on_a_node_that_is_not_connected_is_silent_then_gone(node: Start, tmp_path: Path) -> None:
    here = node(record(tmp_path), MANAGER, deployer=Probe(), notifier=Probe())
    here.ref("worker_mgr").ask(hello("far"), timeout=5)
    eventually(lambda: state(here, "far") == "gone")


def test_a_balancer_that_is_silent_has_longer_to_come_back(node: Start, tmp_path: Path) -> None:
    people = Probe()
    here = node(record(tmp_path), MANAGER, deployer=Probe(), notifier=people)
    here.ref("worker_mgr").ask(msgspec.structs.replace(hello("edge"), role="balancer"), timeout=5)
    eventually(lambda: state(here, "edge") == "silent")
    here.ref("worker_mgr").ask(hello("far"), timeout=5)
    eventually(lambda: state(here, "far") == "gone")
    assert state(here, "edge") == "silent"
    assert people.wait_for(Notify).subject == "far"


def test_who_says_hello_again_has_been_there_since_the_first_time(node: Start, tmp_path: Path) -> None:
    here = node(record(tmp_path), MANAGER, deployer=Probe(), notifier=Probe(), supervisor=Probe())
    here.ref("worker_mgr").ask(hello("controller"), timeout=5)
    first = here.ref("discovery").ask(Range("worker/"), timeout=5).entries[0].worker
    here.ref("worker_mgr").ask(hello("controller"), timeout=5)
    assert here.ref("discovery").ask(Range("worker/"), timeout=5).entries[0].worker == first


def test_metrics_are_shown_of_those_that_are_there(node: Start, tmp_path: Path) -> None:
    here = node(record(tmp_path), MANAGER, deployer=Probe(), notifier=Probe(), supervisor=Probe())
    here.ref("worker_mgr").ask(hello("controller"), timeout=5)
    here.ref("worker_mgr").ask(Metrics("stranger", 0.5, 100, ()), timeout=5)
    here.ref("worker_mgr").ask(Metrics("controller", 0.25, 100, ()), timeout=5)
    shown = here.ref("worker_mgr").ask(ShowMetrics(), timeout=5)
    assert shown == AllMetrics((Metrics("controller", 0.25, 100, ()),))


def test_a_new_manager_gives_known_workers_time_to_say_hello(node: Start, tmp_path: Path) -> None:
    here = node(record(tmp_path), deployer=Probe(), notifier=Probe())
    here.ref("discovery").ask(Put("worker/w", worker=worker("w")), timeout=5)
    here.stop(5)
    again = node(record(tmp_path), MANAGER, deployer=Probe(), notifier=Probe())
    again.ref("worker_mgr").ask(ShowMetrics(), timeout=5)
    assert state(again, "w") == "ready"
