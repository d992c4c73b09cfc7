from __future__ import annotations

import os
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq

from tests.helpers import eventually
from tests.tucano.stand_in import Die, Refuse, StandIn, instance, write_service
from tucano.client import Client, ClusterError, DeployFailed, NoCluster, Progress, connect
from tucano.home import Home, Running
from tucano.spec import SpecError


@pytest.fixture
def client(stand_in: StandIn) -> Iterator[Client]:
    with connect(stand_in.home.path) as made:
        yield made


def ops(stand_in: StandIn) -> list[str]:
    return [op for op, _ in stand_in.asked]


# Reaching a cluster


def test_a_home_where_none_runs_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(NoCluster, match=r"no cluster runs from .*tucano up --workers 2"):
        connect(tmp_path)


def test_a_home_whose_cluster_died_says_so(tmp_path: Path) -> None:
    Home(tmp_path).announce(Running(2**22 - 1, 1.0, 1, 1, 1, {}))
    with pytest.raises(NoCluster, match=r"gone without having been stopped.*tucano down"):
        connect(tmp_path)


def test_the_pid_of_a_dead_cluster_that_somebody_else_has_now_is_no_cluster(tmp_path: Path) -> None:
    Home(tmp_path).announce(Running(os.getpid(), 1.0, 1, 1, 1, {}))
    with pytest.raises(NoCluster):
        connect(tmp_path)


def test_nobody_at_the_address_is_told_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with connect(address=address, timeout=0.2) as client, pytest.raises(ClusterError, match=address) as caught:
            client.status()
    assert caught.value.code == "timeout"


def test_what_is_no_cluster_at_the_address_is_told() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as odd:
        port = odd.bind_to_random_port("tcp://127.0.0.1")

        def answer_nonsense() -> None:
            odd.send_multipart([odd.recv_multipart()[0], b"\xc1 nonsense"])

        thread = threading.Thread(target=answer_nonsense)
        thread.start()
        address = f"tcp://127.0.0.1:{port}"
        with connect(address=address, timeout=5) as client, pytest.raises(ClusterError, match="no Tucano cluster"):
            client.status()
        thread.join()


# Looks


def test_each_look_is_a_typed_value_and_unknown_fields_are_ignored(stand_in: StandIn, client: Client) -> None:
    stand_in._deploy({"name": "hello", "replicas": 2}, "a" * 64)
    stand_in.logs["hello-10"] = b"line\n"
    status = client.status()
    assert (status.zmq_port, status.services, status.nodes[1].name) == (stand_in.port, 1, "worker-1")
    assert client.nodes()[1].cpus == 2
    assert [(one.name, one.ready, one.state) for one in client.services()] == [("hello", 2, "done")]
    assert [one.id for one in client.show("hello").instances] == ["hello-10", "hello-11"]
    assert client.events(-1)[0].subject == "hello"
    assert client.read_log("hello-10").data == b"line\n"
    assert client.ps()[0].actors[0].kind == "Tree"
    assert client.traffic()[0].requests == 50
    assert client.traces()[0].what == "m.Go/1"
    assert [(one.span, one.answers) for one in client.trace("0" * 15 + "1").spans] == [("a.1", ""), ("b.1", "a.1")]


def test_a_refusal_has_its_code_and_text(client: Client) -> None:
    with pytest.raises(ClusterError, match="no service is called 'nobody'") as caught:
        client.show("nobody")
    assert caught.value.code == "not_found"


def test_a_look_waits_for_a_controller_that_is_coming_up(stand_in: StandIn, client: Client) -> None:
    refusals = iter(range(3))

    def not_yet(op: str, args: dict[str, Any]) -> None:
        if next(refusals, None) is not None:
            raise Refuse("unavailable: the controller is starting")

    stand_in.before = not_yet
    assert client.services() == []


def test_a_look_survives_a_controller_that_dies_under_it(stand_in: StandIn, client: Client) -> None:
    client.status()
    dead = threading.Event()

    def die_once(op: str, args: dict[str, Any]) -> None:
        if not dead.is_set():
            dead.set()
            raise Die

    stand_in.before = die_once
    found: list[Any] = []
    looking = threading.Thread(target=lambda: found.append(client.services()))
    looking.start()
    assert dead.wait(10)
    stand_in.kill()
    stand_in.start()
    looking.join(15)
    assert found == [[]]


def test_a_restart_whose_answer_is_lost_is_not_sent_again(stand_in: StandIn, client: Client) -> None:
    stand_in._deploy({"name": "hello", "replicas": 1}, "a" * 64)

    def die(op: str, args: dict[str, Any]) -> None:
        raise Die

    stand_in.before = die
    with pytest.raises(ClusterError, match="whether that was done is not known"):
        client.restart("hello")
    stand_in.kill()
    assert ops(stand_in).count("restart") == 1


def test_several_threads_may_share_a_client(stand_in: StandIn, client: Client) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.extend(len(client.nodes()) for _ in range(20))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [2] * 80


# Deployments


def test_a_deployment_uploads_what_is_missing_and_waits_until_it_serves(
    stand_in: StandIn, client: Client, tmp_path: Path
) -> None:
    service = write_service(tmp_path / "big", noise=random.Random(1).randbytes(1_500_000).hex())
    seen: list[Progress] = []
    accepted = client.deploy(service, progress=seen.append)
    assert (accepted.service, accepted.revision, accepted.trace) == ("hello", 1, "0" * 15 + "1")
    uploads = [args for op, args in stand_in.asked if op == "upload"]
    assert len(uploads) > 2
    assert max(len(args["data"]) for args in uploads) == 512 * 1024
    assert [len(archive) for archive in stand_in.artifacts.values()] == [uploads[0]["size"]]
    stages = [one.stage for one in seen]
    assert sorted(set(stages), key=stages.index) == ["packed", "upload", "accepted", "rollout"]
    assert (seen[-1].done, seen[-1].total) == (2, 2)


def test_what_the_cluster_has_already_is_not_uploaded_again(stand_in: StandIn, client: Client, service: Path) -> None:
    client.deploy(service)
    assert client.deploy(service, replicas=3).revision == 2
    assert ops(stand_in).count("upload") == 1
    assert stand_in.services["hello"]["replicas"] == 3


def test_an_upload_goes_on_where_it_broke_off(stand_in: StandIn, client: Client, tmp_path: Path) -> None:
    service = write_service(tmp_path / "big", noise=random.Random(1).randbytes(1_500_000).hex())
    chunks = iter(range(2))

    def break_off(op: str, args: dict[str, Any]) -> None:
        if op == "upload" and next(chunks, None) is None:
            raise Refuse("refused: the disk is full")

    stand_in.before = break_off
    with pytest.raises(ClusterError, match="the disk is full"):
        client.deploy(service)
    stand_in.before = lambda op, args: None
    stand_in.asked.clear()
    client.deploy(service)
    assert next(args["offset"] for op, args in stand_in.asked if op == "upload") == 2 * 512 * 1024


def test_a_wrong_description_is_told_before_anything_is_sent(stand_in: StandIn, client: Client, service: Path) -> None:
    with pytest.raises(SpecError, match="replicas"):
        client.deploy(service, replicas=0)
    assert stand_in.asked == []


def test_a_failed_rollout_says_why(stand_in: StandIn, client: Client, service: Path) -> None:
    def fail(shown: dict[str, Any]) -> None:
        stand_in.change("hello", state="failed", detail="the build failed\nno such file")

    stand_in.on_deploy = fail
    with pytest.raises(DeployFailed, match="no such file") as caught:
        client.deploy(service)
    assert (caught.value.service, caught.value.revision, caught.value.trace) == ("hello", 1, "0" * 15 + "1")


def test_a_rollout_that_somebody_supersedes_is_told(stand_in: StandIn, client: Client, service: Path) -> None:
    stand_in.on_deploy = lambda shown: stand_in.change("hello", last_revision=7)
    with pytest.raises(DeployFailed, match=r"superseded.* revision 7"):
        client.deploy(service)


def test_a_rollout_that_is_not_done_in_time_says_where_it_stands(
    stand_in: StandIn, client: Client, service: Path
) -> None:
    stand_in.on_deploy = lambda shown: shown["instances"].append(instance("hello-x", state="building"))
    with pytest.raises(ClusterError, match=r"0 of 2 ready \(hello-x building\)") as caught:
        client.deploy(service, timeout=3.0)
    assert caught.value.code == "timeout"


def test_a_controller_killed_while_a_deployment_is_waited_for_does_not_fail_it(
    stand_in: StandIn, client: Client, service: Path
) -> None:
    stand_in.on_deploy = lambda shown: None
    looked = threading.Event()

    def tell(progress: Progress) -> None:
        if progress.service is not None:
            looked.set()

    done = threading.Thread(target=lambda: client.deploy(service, progress=tell))
    done.start()
    assert looked.wait(10)
    stand_in.kill()
    stand_in.start()
    stand_in.finish("hello")
    done.join(15)
    assert not done.is_alive()
    assert ops(stand_in).count("deploy") == 1


@pytest.mark.parametrize("taken", [True, False])
def test_a_deployment_whose_answer_is_lost_is_taken_once(
    stand_in: StandIn, client: Client, service: Path, taken: bool
) -> None:
    died = threading.Event()

    def die_once(op: str, args: dict[str, Any]) -> None:
        if op == "deploy" and not died.is_set():
            died.set()
            raise Die

    setattr(stand_in, "after" if taken else "before", die_once)
    accepted: list[Any] = []
    deploying = threading.Thread(target=lambda: accepted.append(client.deploy(service)))
    deploying.start()
    assert died.wait(10)
    stand_in.kill()
    stand_in.start()
    deploying.join(15)
    assert [one.revision for one in accepted] == [1]
    assert stand_in.services["hello"]["last_revision"] == 1


def test_a_cluster_that_is_stopped_ends_the_wait(stand_in: StandIn, client: Client, service: Path) -> None:
    stand_in.on_deploy = lambda shown: None
    failed: list[BaseException] = []

    def deploy() -> None:
        try:
            client.deploy(service)
        except NoCluster as error:
            failed.append(error)

    deploying = threading.Thread(target=deploy)
    deploying.start()
    eventually(lambda: "deploy" in ops(stand_in))
    stand_in.close()
    deploying.join(20)
    assert len(failed) == 1


# Streams


def test_events_are_followed_across_a_restart_of_the_controller_none_twice(stand_in: StandIn, client: Client) -> None:
    for number in range(5):
        stand_in.say("past", "hello", str(number))
    texts: list[str] = []
    following = client.follow_events(last=2)
    texts += [next(following).text for _ in range(2)]
    stand_in.say("now", "hello", "while it is there")
    texts.append(next(following).text)
    stand_in.kill()
    stand_in.say("now", "hello", "while it is away")
    stand_in.start()
    texts.append(next(following).text)
    following.close()
    assert texts == ["3", "4", "while it is there", "while it is away"]


def test_a_log_is_followed_until_its_instance_is_gone(stand_in: StandIn, client: Client) -> None:
    stand_in.logs["hello-1"] = b"one\n"
    following = client.follow_log("hello-1")
    assert next(following) == b"one\n"
    stand_in.logs["hello-1"] += b"two\n"
    assert next(piece for piece in following if piece) == b"two\n"
    del stand_in.logs["hello-1"]
    assert b"".join(following) == b""


def test_the_wire_is_msgpack_maps_as_the_readme_says(stand_in: StandIn) -> None:
    with zmq.Context() as context, context.socket(zmq.REQ) as plain:
        plain.connect(f"tcp://127.0.0.1:{stand_in.port}")
        plain.send(msgpack.packb({"v": 1, "id": 7, "op": "services", "args": {}}))
        assert msgpack.unpackb(plain.recv()) == {"id": 7, "ok": {"services": []}}
        plain.setsockopt(zmq.LINGER, 0)
