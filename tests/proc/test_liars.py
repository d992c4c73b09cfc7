"""A node that has been let in by its own key, and speaks in the names of others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import tucano as library
from tests.actors.builders import instance, worker
from tests.helpers import eventually
from tests.proc.kit import hello
from tests.tucano.cluster_kit import assert_nothing_runs_in
from tests.tucano.test_cli import good, tucano
from tucano.actors.kernel import Message, Refused
from tucano.actors.messages import deployer, discovery, notifier, supervisor, worker_mgr
from tucano.actors.messages.model import Event
from tucano.testing import Probe
from tucano.token import parse


@pytest.fixture(scope="module", autouse=True)
def _no_service_is_left() -> None:
    """Not for this file: its cluster is another one."""


@pytest.fixture(autouse=True)
def cluster() -> None:
    """Not for this file: its cluster is another one."""


RUNS = Probe()
"""The supervisor of the node that lies."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a cluster with keys, which runs `hello` on its one worker."""
    place = tmp_path_factory.mktemp("liars")
    good(place / "home", "init")
    good(place / "home", "up", "--detach", "--workers", 1, "--port", 0)
    good(place / "home", "deploy", hello(place / "hello", replicas=1))
    yield place / "home"
    good(place / "home", "down")
    assert_nothing_runs_in(place)


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[library.client.Client]:
    with library.connect(home) as administrator:
        administrator.status()  # connects: the socket is the module's, not the first test's
        yield administrator


@pytest.fixture(scope="module")
def liar(home: Path) -> Iterator[library.Node]:
    """A node of the cluster, by its token, that is connected to the controller."""
    token = home.parent / "liar.token"
    token.write_text(tucano(home, "key", "add", "liar", "--role", "node").stdout)
    children = [Probe().child("probe"), RUNS.child("supervisor")]
    with library.Node("liar", children, listen="127.0.0.1:0", token=token) as node:
        node.connect("controller", parse(token.read_text()).bridge.removeprefix("tcp://"))
        eventually(lambda: node.ref("controller/worker_mgr").is_alive())
        manager = node.ref("controller/worker_mgr")
        manager.ask(worker_mgr.ShowMetrics(), timeout=10)
        manager.ask(worker_mgr.Metrics("liar", 0.5, 1, ()), timeout=10)  # opens its lane, there and back
        yield node


def refusals(client: library.client.Client, actor: str) -> list[str]:
    """What an actor of the controller's has refused."""
    (controller,) = client.ps("controller")
    return [one.detail for one in controller.events if (one.what, one.who) == ("message_refused", actor)]


THERE = instance("hello-1", node="worker-1")
FALSE: list[tuple[str, Message]] = [
    ("worker_mgr", worker_mgr.Hello("worker-1", 1, "tcp://127.0.0.1:9", 1, 1, ())),
    ("worker_mgr", worker_mgr.Hello("balancer", 1, "tcp://127.0.0.1:9", 1, 1, (), "balancer")),
    ("worker_mgr", worker_mgr.Metrics("worker-1", 0.5, 1, ())),
    ("worker_mgr", worker_mgr.InstanceChanged(THERE)),
    ("worker_mgr", supervisor.Inventory("worker-1", ())),
    ("deployer", deployer.InstanceReported(THERE)),
    ("deployer", deployer.InventoryReported("worker-1", ())),
    ("deployer", deployer.Undeploy("hello")),
    ("deployer", discovery.Changed(0, 1, (discovery.Entry("worker/worker-1", 1, worker=worker(state="gone")),))),
    ("discovery", discovery.Put("worker/worker-1", worker=worker("worker-1", "gone"))),
    ("discovery", discovery.Delete("service/hello")),
    ("discovery", discovery.Record("service_removed", "hello", "")),
    ("gateway", discovery.Happened((Event(10**6, 0.0, "service_removed", "hello", ""),))),
    ("notifier", notifier.Notify("worker_lost", "worker-1", "")),
]  # fmt: skip


@pytest.mark.parametrize(("to", "said"), FALSE, ids=lambda value: value if isinstance(value, str) else value.TAG)
def test_what_a_node_says_in_the_name_of_another_is_refused_and_seen(
    client: library.client.Client, liar: library.Node, to: str, said: Message
) -> None:
    with pytest.raises(Refused, match="liar says in the name of") as refused:
        liar.ref(f"controller/{to}").ask(said, timeout=10)
    assert refused.value.code == "forbidden"
    assert any("liar says in the name of" in detail for detail in refusals(client, to))
    (left,) = client.show("hello").instances
    assert (left.node, left.state) == ("worker-1", "ready")


@pytest.mark.parametrize("actor", ["deployer", "gateway", "root"])
def test_a_node_may_not_stop_an_actor_of_another(liar: library.Node, actor: str) -> None:
    with pytest.raises(Refused, match="are not stopped by other nodes") as refused:
        liar.ref(f"controller/{actor}").stop(timeout=10)
    assert refused.value.code == "forbidden"
    assert liar.ref("controller/worker_mgr").ask(worker_mgr.ShowMetrics(), timeout=10)


def test_a_node_is_not_told_what_is_secret_in_the_environment_of_services(liar: library.Node) -> None:
    entries = liar.ref("controller/discovery").ask(discovery.Range("service/"), timeout=10).entries
    seen = [entry.service.target.spec.run.env for entry in entries if entry.service is not None]
    assert seen == [{"GREETING": ""}]


def test_a_node_may_not_have_another_told_of_the_record(liar: library.Node) -> None:
    balancer = liar.ref("balancer/balancer")
    for false in (discovery.Watch(balancer, ()), discovery.Follow(0, balancer)):
        with pytest.raises(Refused, match="in the name of 'balancer'"):
            liar.ref("controller/discovery").ask(false, timeout=10)
    mine = discovery.Watch(liar.ref("probe"), ("worker/",))
    known = liar.ref("controller/discovery").ask(mine, timeout=10)
    assert "worker/worker-1" in {entry.key for entry in known.entries}


def test_a_node_that_claims_the_instance_of_another_is_not_believed(
    client: library.client.Client, liar: library.Node
) -> None:
    (real,) = client.show("hello").instances
    claimed = instance(real.id, "failed", node="liar")
    manager = liar.ref("controller/worker_mgr")
    manager.ask(worker_mgr.InstanceChanged(claimed), timeout=10)
    manager.ask(supervisor.Inventory("liar", (instance(real.id, "failed", node="worker-1"),)), timeout=10)
    eventually(lambda: len(RUNS.all(supervisor.Stop)) == 2)
    assert {stop.id for stop in RUNS.all(supervisor.Stop)} == {real.id}  # as the record has it, it does not run there
    assert client.show("hello").instances == [real]


def test_what_components_say_to_themselves_is_not_taken_from_elsewhere(
    client: library.client.Client, liar: library.Node
) -> None:
    for to, note in (
        ("worker_mgr", worker_mgr.PatienceDue("worker-1", 0.0)),
        ("deployer", deployer.Loaded(None)),
    ):
        with pytest.raises(Refused, match="no message is called") as refused:
            liar.ref(f"controller/{to}").ask(note, timeout=10)
        assert refused.value.code == "not_understood"
    assert {node.state for node in client.nodes()} == {"ready"}
