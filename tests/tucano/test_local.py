"""A real cluster inside a program, used; one for all tests here."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import eventually
from tests.tucano.cluster_kit import assert_nothing_runs_in
from tests.tucano.stand_in import write_service
from tucano import render
from tucano.cli.cluster import status_of
from tucano.client import ClusterError, DeployFailed
from tucano.client.failures import ClientError
from tucano.home import Home
from tucano.local import Cluster, local_cluster
from tucano.rates import Look, between

ROOT = Path(__file__).parents[2]
HELLO = ROOT / "examples" / "hello"


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> None:
    """Instead of the check after each test: the cluster lives on, and `cluster` sees to it that nothing of it stays."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with local_cluster(workers=2) as running:
        yield running
    assert not running.home.exists()
    assert_nothing_runs_in(running.home)


@pytest.fixture(scope="module")
def hello(cluster: Cluster) -> Cluster:
    cluster.deploy(HELLO, replicas=3)
    return cluster


def test_what_was_deployed_answers_and_is_balanced(hello: Cluster) -> None:
    [service] = [one for one in hello.services() if one.name == "hello"]
    assert (service.replicas, service.ready, service.state) == (3, 3, "done")
    answers = [hello.get("hello", "/Ada") for _ in range(30)]
    assert {(one.status, one.body) for one in answers} == {(200, b"Hello, Ada!\n")}
    assert len({one.headers["X-Tucano-Instance"] for one in answers}) == 3


def test_an_answer_of_404_is_an_answer(hello: Cluster) -> None:
    assert hello.get("nobody").status == 404


def test_the_client_reaches_the_whole_of_it(hello: Cluster) -> None:
    shown = hello.client.show("hello")
    assert {one.state for one in shown.instances} == {"ready"}
    assert all(one.pid and one.port for one in shown.instances)
    assert {node.role for node in hello.client.nodes()} == {"controller", "balancer", "worker"}
    assert {node.node for node in hello.client.ps()} == {"controller", "balancer", "worker-1", "worker-2"}
    assert "instance_ready" in {event.kind for event in hello.client.events(-1000)}
    assert any(one.service == "hello" and one.requests for one in hello.client.traffic())


def test_what_users_ask_is_seen_by_service_and_by_instance_and_in_the_log(hello: Cluster) -> None:
    one = Home(hello.home)
    before = Look(0.0, services=hello.client.traffic("hello"))
    answers = [hello.get("hello", "/Ada", headers={"X-Request-Id": f"mine-{n}"}) for n in range(30)]
    assert [answer.headers["X-Request-Id"] for answer in answers] == [f"mine-{n}" for n in range(30)]
    now = eventually(lambda: _counted(hello, before, 30))
    [service] = between(before, now).services
    assert (service.requests, service.errors, service.in_flight) == (30.0, 0.0, 0)
    assert 0 < (service.p50 or 0) <= (service.p99 or 0)
    assert sum(each.requests or 0.0 for each in service.instances) == 30.0
    assert {each.instance for each in service.instances} == {answer.headers["X-Tucano-Instance"] for answer in answers}
    assert 'tucano_request_seconds_bucket{service="hello",le="+Inf"}' in render.metrics(now.services)
    log = one.balancer("balancer") / "access.log"
    eventually(lambda: " hello mine-29\n" in log.read_text())
    assert [text.count("mine-7\n") for text in [log.read_text()]] == [1]
    assert str(log) in status_of(one, one.running(), None)["access_logs"]


def _counted(hello: Cluster, before: Look, many: int) -> Look | None:
    """A look a second later, when so many more requests have ended."""
    found = hello.client.traffic("hello")
    return Look(1.0, services=found) if sum(found[0].classes) - sum(before.services[0].classes) == many else None


def test_a_service_is_scaled_restarted_and_taken_down(hello: Cluster, tmp_path: Path) -> None:
    source = write_service(tmp_path / "other", name="other", replicas=1)
    (source / "app.py").write_text((HELLO / "app.py").read_text().replace("os.environ['GREETING']", "'Other'"))
    client = hello.client
    hello.deploy(source)
    client.scale("other", 3)
    client.wait_until_scaled("other", 3)
    before = {one.id for one in client.show("other").instances}
    client.wait_for_rollout("other", client.restart("other").revision)
    after = eventually(lambda: {one.id for one in client.show("other").instances} - before)
    eventually(lambda: {one.id for one in client.show("other").instances} == after, "the old ones are gone")
    assert len(after) == 3
    client.undeploy("other")
    client.wait_until_gone("other")
    with pytest.raises(ClusterError, match="other"):
        client.show("other")


def test_what_a_command_led_to_is_known_through_all_actors_and_nodes(hello: Cluster) -> None:
    accepted = hello.client.restart("hello")
    hello.client.wait_for_rollout("hello", accepted.revision)
    found = hello.client.trace(accepted.trace)
    assert {"controller/gateway", "controller/deployer", "controller/discovery"} < set(found.participants)
    assert any("/runner.hello-" in who for who in found.participants)
    said = [(one.sender, one.to, one.kind, one.what) for one in found.spans]
    assert ("controller/gateway", "controller/deployer", "ask", "deployer.Restart/1") in said
    place = {one.span: number for number, one in enumerate(found.spans)}
    assert all(place[one.parent] < place[one.span] for one in found.spans if one.parent in place)
    assert any(one.answers for one in found.spans)
    assert accepted.trace in {one.trace for one in hello.client.traces()}
    assert "participant p1 as controller/gateway" in render.sequence(found)
    assert "deployer.Restart" in render.conversation(found)


def test_a_service_that_exits_at_once_is_told_with_its_last_words(hello: Cluster, tmp_path: Path) -> None:
    source = write_service(tmp_path / "broken", name="broken", replicas=1)
    (source / "app.py").write_text("raise SystemExit('my last words')\n")
    with pytest.raises(DeployFailed, match="my last words"):
        hello.deploy(source, timeout=60)


def test_a_bad_release_leaves_the_old_one_serving(hello: Cluster, tmp_path: Path) -> None:
    source = write_service(tmp_path / "release", name="release", replicas=1)
    (source / "app.py").write_text((HELLO / "app.py").read_text().replace("os.environ['GREETING']", "'Good'"))
    hello.deploy(source)
    (source / "app.py").write_text("raise SystemExit(1)\n")
    with pytest.raises(DeployFailed):
        hello.deploy(source, timeout=60)
    shown = hello.client.show("release")
    assert (shown.state, shown.revision, shown.last_revision, shown.ready) == ("failed", 1, 2, 1)
    assert hello.get("release").body == b"Good, world!\n"


def test_a_log_is_read_through_the_cluster(hello: Cluster) -> None:
    one = hello.client.show("hello").instances[0]
    eventually(lambda: hello.get("hello").headers["X-Tucano-Instance"] == one.id)
    assert b"GET / HTTP/1.1" in eventually(lambda: hello.client.read_log(one.id).data)


def test_a_controller_that_is_killed_while_a_deployment_is_waited_for_does_not_fail_it(
    hello: Cluster, tmp_path: Path
) -> None:
    source = write_service(tmp_path / "slow", name="slow", replicas=1)
    (source / "app.py").write_text((HELLO / "app.py").read_text().replace("os.environ['GREETING']", "'Slow'"))
    gate = tmp_path / "gate"
    toml = source / "tucano.toml"
    toml.write_text(toml.read_text() + f'[build]\nscript = "until test -e {gate}; do sleep 0.05; done"\n')
    deploying = threading.Thread(target=lambda: hello.deploy(source, timeout=60))
    deploying.start()

    def is_building() -> bool:
        try:
            return any(one.state == "building" for one in hello.client.show("slow").instances)
        except ClusterError:
            return False

    eventually(is_building)
    os.kill(next(one.pid for one in hello.client.nodes() if one.role == "controller"), signal.SIGKILL)
    gate.touch()
    deploying.join(60)
    assert hello.get("slow").body == b"Slow, world!\n"


def test_a_home_in_use_is_told(cluster: Cluster) -> None:
    with pytest.raises(ClientError, match="already"), local_cluster(1, home=cluster.home):
        pass
    assert cluster.client.status().nodes
