"""The deployer with a real record; workers are probes that say what a worker would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.actors.builders import ARTIFACT, spec, worker
from tests.actors.test_discovery import record
from tests.helpers import eventually
from tucano.actors.deployer import Deployer
from tucano.actors.kernel import Child, Refused, System
from tucano.actors.messages import supervisor
from tucano.actors.messages.deployer import (
    Accepted,
    Deploy,
    Drained,
    InstanceReported,
    InventoryReported,
    Restart,
    Scale,
    Undeploy,
)
from tucano.actors.messages.discovery import Follow, Put, Range
from tucano.actors.messages.model import Event, Instance, Service
from tucano.actors.messages.notifier import Notify
from tucano.testing import Probe

Start = Callable[..., System]


class Cluster:
    """A controller whose only worker is this node's own `supervisor` probe."""

    def __init__(self, node: Start, path: Path) -> None:
        self.worker = Probe()
        self.people = Probe()
        self.node = node(record(path), Child("deployer", Deployer), supervisor=self.worker, notifier=self.people)
        self.ref = self.node.ref("deployer")
        self.node.ref("discovery").ask(Put("worker/controller", worker=worker("controller")), timeout=5)
        self.balancer("balancer")

    def balancer(self, name: str, state: Any = "ready") -> None:
        """Let the record say that such a balancer is there."""
        known = worker(name, state, role="balancer", pid=7)
        self.node.ref("discovery").ask(Put(f"worker/{name}", worker=known), timeout=5)

    def ask(self, message: Any) -> Any:
        def answered() -> Any:
            try:
                return self.ref.ask(message, timeout=5)
            except Refused as refused:
                if refused.code == "unavailable":
                    return None
                raise

        return eventually(answered)

    def deploy(self, replicas: int = 2) -> Accepted:
        answer = self.ask(Deploy(spec(replicas=replicas), ARTIFACT, 100))
        assert isinstance(answer, Accepted)
        return answer

    def instances(self, state: str | None = None) -> list[Instance]:
        entries = self.node.ref("discovery").ask(Range("instance/"), timeout=5).entries
        return [e.instance for e in entries if state is None or e.instance.state == state]

    def service(self) -> Service | None:
        entries = self.node.ref("discovery").ask(Range("service/hello"), timeout=5).entries
        return entries[0].service if entries else None

    def events(self, kind: str) -> list[Event]:
        found = self.node.ref("discovery").ask(Follow(-100), timeout=5).events
        return [event for event in found if event.kind == kind]

    def say(self, instance: Instance, state: Any, **more: Any) -> None:
        said = msgspec.structs.replace(instance, state=state, pid=1, port=2, served=state == "ready", **more)
        self.ref.tell(InstanceReported(said))

    def bring_up(self, count: int) -> list[Instance]:
        """Have every pending instance say that it is ready, until `count` are."""

        def all_ready() -> list[Instance] | None:
            for one in self.instances("pending"):
                self.say(one, "ready")
            ready = self.instances("ready")
            return ready if len(ready) >= count else None

        return eventually(all_ready) or []


@pytest.fixture
def cluster(node: Start, tmp_path: Path) -> Cluster:
    return Cluster(node, tmp_path)


def test_a_deployment_is_durable_and_its_instances_are_ordered_from_workers(cluster: Cluster) -> None:
    assert cluster.deploy(2) == Accepted("hello", 1)
    assert cluster.service() is not None
    orders = eventually(lambda: len(cluster.worker.all(supervisor.Run)) >= 2 and cluster.worker.all(supervisor.Run))
    assert {order.id for order in orders} == {one.id for one in cluster.instances()}
    cluster.bring_up(2)
    eventually(lambda: (s := cluster.service()) and s.rollout == "done")


def test_an_order_that_was_lost_is_given_again(cluster: Cluster) -> None:
    cluster.deploy(1)
    first = cluster.worker.wait_for(supervisor.Run)
    eventually(lambda: len([o for o in cluster.worker.all(supervisor.Run) if o.id == first.id]) >= 2)


def test_scaling_restarting_and_removing(cluster: Cluster) -> None:
    cluster.deploy(1)
    cluster.bring_up(1)
    cluster.ask(Scale("hello", 3))
    cluster.bring_up(3)
    assert cluster.ask(Restart("hello")) == Accepted("hello", 2)
    fresh = eventually(lambda: [i for i in cluster.instances("pending") if i.revision == 2])
    cluster.say(fresh[0], "ready")
    draining = eventually(lambda: cluster.instances("draining"))
    cluster.ref.tell(Drained((draining[0].id,), "balancer", 7))
    assert cluster.worker.wait_for(supervisor.Stop).id == draining[0].id
    cluster.ask(Undeploy("hello"))
    for _ in range(4):
        for one in cluster.instances():
            cluster.ref.tell(Drained((one.id,), "balancer", 7))
            cluster.say(one, "stopped")
    eventually(lambda: cluster.service() is None and not cluster.instances())


def test_a_draining_instance_is_stopped_when_every_balancer_that_is_heard_is_done_with_it(cluster: Cluster) -> None:
    cluster.balancer("balancer-2")
    cluster.deploy(2)
    cluster.bring_up(2)
    cluster.ask(Scale("hello", 1))
    one = eventually(lambda: cluster.instances("draining"))[0]
    cluster.ref.tell(Drained((one.id,), "balancer", 7))
    cluster.ref.tell(Drained((one.id,), "balancer-2", 6))  # the process before: this one has not said so
    cluster.ask(Scale("hello", 1))  # an answer comes after all that was told before
    assert not cluster.worker.all(supervisor.Stop)
    cluster.balancer("balancer-2", "silent")
    cluster.ref.tell(Drained((one.id,), "balancer", 7))
    assert cluster.worker.wait_for(supervisor.Stop).id == one.id


@pytest.mark.parametrize("message", [Scale("nobody", 2), Restart("nobody"), Undeploy("nobody")])
def test_an_unknown_service_is_refused_with_the_known_ones(cluster: Cluster, message: Any) -> None:
    cluster.deploy(1)
    with pytest.raises(Refused, match="no service is called 'nobody'; there are: hello"):
        cluster.ask(message)


def test_a_revision_that_fails_is_taken_back_and_people_are_told(cluster: Cluster) -> None:
    cluster.deploy(1)
    cluster.bring_up(1)
    eventually(lambda: (s := cluster.service()) and s.rollout == "done")
    assert cluster.deploy(1).revision == 2
    new = eventually(lambda: [i for i in cluster.instances() if i.revision == 2])[0]
    cluster.say(new, "failed", detail="exited with status 3\nlast words")
    service = eventually(lambda: (s := cluster.service()) and s.rollout == "failed" and s)
    assert service.target.number == 1
    assert "exited with status 3\nlast words" in service.detail
    assert [i.revision for i in cluster.instances("ready")] == [1]
    assert cluster.worker.wait_for(supervisor.Stop).id == new.id
    assert "hello" in cluster.people.wait_for(Notify).subject


def test_an_instance_that_its_worker_does_not_know_is_replaced(cluster: Cluster) -> None:
    cluster.deploy(1)
    gone = cluster.bring_up(1)[0]
    cluster.ref.tell(InventoryReported("controller", ()))
    eventually(lambda: [i for i in cluster.instances("pending") if i.id != gone.id])


def test_why_a_worker_cannot_take_an_instance_is_told_once_and_it_waits_where_no_other_is(cluster: Cluster) -> None:
    cluster.deploy(1)
    one = eventually(lambda: cluster.instances("pending"))[0]
    for _ in range(3):
        cluster.say(one, "pending", detail="no room")
    cluster.ask(Scale("hello", 1))  # an answer comes after all that was told before
    assert [(i.id, i.detail) for i in cluster.instances("pending")] == [(one.id, "no room")]
    assert [e.text for e in cluster.events("instance_refused")] == ["on controller: no room"]
    told = eventually(lambda: cluster.people.all(Notify))
    assert [(n.subject, n.text) for n in told] == [(one.id, "on controller: no room")]
    cluster.say(one, "ready")
    cluster.say(one, "pending", detail="said before")
    eventually(lambda: (s := cluster.service()) and s.rollout == "done")
    assert [(i.id, i.detail) for i in cluster.instances("ready")] == [(one.id, "")]


def test_an_instance_that_its_worker_cannot_take_goes_to_another_one(cluster: Cluster) -> None:
    cluster.deploy(2)
    refused = eventually(lambda: len(found := cluster.instances("pending")) == 2 and found)
    cluster.node.ref("discovery").ask(Put("worker/other", worker=worker("other")), timeout=5)
    for one in refused:
        cluster.say(one, "pending", detail="no room")
    eventually(lambda: [i.node for i in cluster.instances()] == ["other", "other"])
    stops = eventually(lambda: len(found := cluster.worker.all(supervisor.Stop)) >= 2 and found)
    assert {stop.id for stop in stops} == {one.id for one in refused}
    cluster.say(refused[0], "building")  # an order that was on its way has found room
    eventually(lambda: [stop.id for stop in cluster.worker.all(supervisor.Stop)].count(refused[0].id) == 2)
    assert cluster.service().rollout == "rolling"  # type: ignore[union-attr]


def test_an_instance_that_nobody_wants_is_stopped(cluster: Cluster) -> None:
    cluster.deploy(1)
    stray = Instance("hello-stray", "hello", 1, "controller", "ready")
    cluster.ref.tell(InventoryReported("controller", (stray,)))
    assert cluster.worker.wait_for(supervisor.Stop).id == "hello-stray"


def test_a_deployer_that_crashes_goes_on_where_it_was(cluster: Cluster) -> None:
    cluster.deploy(2)
    cluster.bring_up(2)
    before = {one.id for one in cluster.instances("ready")}
    cluster.ref.tell(InventoryReported("controller", None))  # type: ignore[arg-type]
    eventually(lambda: next(i for i in cluster.node.snapshot() if i.name == "deployer").restarts == 1)
    cluster.ask(Scale("hello", 3))
    cluster.bring_up(3)
    assert before < {one.id for one in cluster.instances("ready")}


def test_commands_wait_for_the_disk_and_are_refused_when_it_is_full(cluster: Cluster, tmp_path: Path) -> None:
    import sqlite3

    cluster.deploy(1)
    cluster.bring_up(1)
    eventually(lambda: (s := cluster.service()) and s.rollout == "done")
    other = sqlite3.connect(tmp_path / "record.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Refused, match="cannot be written"):
        cluster.ref.ask(Scale("hello", 5), timeout=30)
    other.execute("ROLLBACK")
    other.close()
    assert cluster.service().replicas == 1  # type: ignore[union-attr]
    cluster.ask(Scale("hello", 2))
    cluster.bring_up(2)
