"""What happens when things die: real processes, killed for real, while users' requests go on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.helpers import eventually
from tests.proc.kit import Users, gone, hello, instances, kill, pid_of, stopped, wait_for_ready
from tucano.local import Cluster


def test_requests_are_balanced_over_all_instances(cluster: Cluster, tmp_path: Path) -> None:
    cluster.deploy(hello(tmp_path / "hello", replicas=3))
    with Users(cluster, "hello", many=1) as users:
        eventually(lambda: len(users.answered) == 3)
        users.wait_for_more(90)
    assert users.failed == []
    assert set(users.answered) == {one.id for one in instances(cluster)}
    assert min(users.answered.values()) > 0.1 * users.answered.total()
    assert len({one.node for one in instances(cluster)}) == 3


@pytest.mark.parametrize("replicas", [1, 3])
def test_an_instance_that_is_killed_is_back_and_no_get_fails(cluster: Cluster, tmp_path: Path, replicas: int) -> None:
    cluster.deploy(hello(tmp_path / "hello", replicas=replicas))
    with Users(cluster, "hello") as users:
        for restarts in (1, 2):
            victim = instances(cluster)[0]
            kill(victim.pid)
            back = eventually(
                lambda victim=victim, restarts=restarts: next(  # type: ignore[misc]
                    (i for i in instances(cluster, state="ready") if i.id == victim.id and i.restarts == restarts), None
                )
            )
            assert back.pid != victim.pid
            assert back.port == victim.port
            users.wait_for_more()
    assert users.failed == []


def test_a_workers_process_that_is_killed_leaves_its_services_running_and_the_next_adopts_them(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.deploy(hello(tmp_path / "hello", replicas=3))
    before = {one.id: one.pid for one in instances(cluster)}
    with Users(cluster, "hello") as users:
        worker = pid_of(cluster, "worker-1")
        kill(worker)
        eventually(lambda: any(
            n.name == "worker-1" and n.pid not in (0, worker) and n.state == "ready" for n in cluster.client.nodes()
        ))  # fmt: skip
        users.wait_for_more()
        assert {one.id: one.pid for one in wait_for_ready(cluster, 3)} == before
        adopted = next(one for one in instances(cluster) if one.node == "worker-1")
        kill(adopted.pid)  # and the new worker notices
        eventually(lambda: any(i.id == adopted.id and i.restarts == 1 for i in instances(cluster, state="ready")))
    assert users.failed == []


def test_a_worker_that_is_killed_with_its_services_loses_no_replica(cluster: Cluster, tmp_path: Path) -> None:
    cluster.deploy(hello(tmp_path / "hello", replicas=3))
    victims = [one.pid for one in instances(cluster) if one.node == "worker-2"]
    with Users(cluster, "hello") as users:
        kill(pid_of(cluster, "worker-2"), *victims)
        eventually(lambda: not {one.pid for one in wait_for_ready(cluster, 3)} & set(victims))
        users.wait_for_more()
    assert users.failed == []


def test_a_machine_that_is_gone_has_its_replicas_placed_elsewhere_and_its_return_is_no_surplus(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.deploy(hello(tmp_path / "hello", replicas=3))
    lost = [one for one in instances(cluster) if one.node == "worker-3"]
    assert lost
    with Users(cluster, "hello") as users:
        with stopped(pid_of(cluster, "worker-3")):
            kill(*(one.pid for one in lost))
            elsewhere = eventually(lambda: (
                three := [i for i in instances(cluster, state="ready") if i.node != "worker-3"]
            ) and len(three) == 3 and three)  # fmt: skip
            assert not {one.id for one in elsewhere} & {one.id for one in lost}
            users.wait_for_more()
        eventually(lambda: {n.state for n in cluster.client.nodes()} == {"ready"})
        assert {one.id for one in wait_for_ready(cluster, 3)} == {one.id for one in elsewhere}
        users.wait_for_more()
    assert users.failed == []


def test_a_controller_that_is_killed_stops_neither_traffic_nor_services_and_the_next_knows_all(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.deploy(hello(tmp_path / "hello", replicas=3))
    before = {one.id: one.pid for one in instances(cluster)}
    with Users(cluster, "hello") as users:
        for _ in range(2):
            controller = pid_of(cluster, "controller")
            kill(controller)
            users.wait_for_more()
            eventually(lambda old=controller: pid_of(cluster, "controller") != old)  # type: ignore[misc]
        assert {one.id: one.pid for one in wait_for_ready(cluster, 3)} == before
        users.wait_for_more()
        cluster.client.scale("hello", 4)  # and it commands
        wait_for_ready(cluster, 4)
        victim = instances(cluster)[0]
        kill(victim.pid)  # and the balancer hears of changes again
        eventually(lambda: any(i.id == victim.id and i.restarts == 1 for i in instances(cluster, state="ready")))
        users.wait_for_more()
    assert users.failed == []


def test_a_deployment_that_was_acknowledged_survives_a_controller_killed_right_after(
    cluster: Cluster, tmp_path: Path
) -> None:
    for number in range(3):
        replicas = number % 2 + 1
        cluster.client.deploy(hello(tmp_path / "hello", replicas=replicas), wait=False)
        kill(pid_of(cluster, "controller"))
        wait_for_ready(cluster, replicas)
        assert cluster.client.show("hello").last_revision == number + 1


def test_a_balancer_that_is_killed_is_replaced_on_the_same_socket(cluster: Cluster, tmp_path: Path) -> None:
    cluster.deploy(hello(tmp_path / "hello", replicas=2))
    kill(pid_of(cluster, "balancer"))
    # nobody is refused: who connects now waits in the socket's queue, which the parent keeps open
    status, _, body = cluster.get("hello")
    assert (status, body[:5]) == (200, b"hello")


def test_a_rollout_under_load_fails_no_request(cluster: Cluster, tmp_path: Path) -> None:
    cluster.deploy(hello(tmp_path / "hello", replicas=3))
    with Users(cluster, "hello") as users:
        cluster.deploy(hello(tmp_path / "hello", replicas=3, greeting="hi"))
        old = set(users.answered)
        users.wait_for_more()
        cluster.client.scale("hello", 5)
        wait_for_ready(cluster, 5)
        cluster.client.scale("hello", 1)
        wait_for_ready(cluster, 1)
        cluster.client.restart("hello")
        users.wait_for_more()
    assert users.failed == []
    eventually(lambda: not old & {one.id for one in instances(cluster)}, "who was drained has stopped")
    assert cluster.get("hello")[2].startswith(b"hi ")


def test_every_component_is_an_actor_and_ps_shows_it(cluster: Cluster, tmp_path: Path) -> None:
    cluster.deploy(hello(tmp_path / "hello", replicas=2))
    nodes = {node.node: {actor.name for actor in node.actors} for node in cluster.client.ps()}
    assert nodes["controller"] >= {"gateway", "deployer", "worker_mgr", "discovery", "notifier"}
    assert nodes["balancer"] >= {"balancer"}
    assert nodes["worker-1"] >= {"collector", "scheduler", "builder", "supervisor"}


def test_undeploying_leaves_no_process(cluster: Cluster, tmp_path: Path) -> None:
    cluster.deploy(hello(tmp_path / "hello", replicas=3))
    pids = [one.pid for one in instances(cluster)]
    cluster.client.undeploy("hello")
    eventually(lambda: gone(*pids))
    assert cluster.get("hello")[0] == 404


def test_a_worker_that_cannot_write_gets_no_instance_and_says_why(cluster: Cluster, tmp_path: Path) -> None:
    cluster.deploy(hello(tmp_path / "hello", replicas=3))
    last = max(event.seq for event in cluster.client.events(-1000))
    full = psutil.Process(pid_of(cluster, "worker-2"))
    before = full.rlimit(psutil.RLIMIT_FSIZE)
    full.rlimit(psutil.RLIMIT_FSIZE, (0, before[1]))
    try:
        cluster.client.scale("hello", 6)
        cluster.client.wait_until_scaled("hello", 6)
        assert Counter(one.node for one in instances(cluster))["worker-2"] == 1
    finally:
        full.rlimit(psutil.RLIMIT_FSIZE, before)
    told = [event for event in cluster.client.events(last) if event.kind == "instance_refused"]
    assert told
    assert all(event.text.startswith("on worker-2: worker-2 cannot write to") for event in told)
    assert len({event.subject for event in told}) == len(told)
    log = cluster.home / "logs" / "controller.log"
    eventually(lambda: f"instance_refused {told[0].subject}: {told[0].text}" in log.read_text())
