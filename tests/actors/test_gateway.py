"""The gateway with a real socket and a real record."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest
import zmq

from tests.actors.builders import instance, service, spec, worker
from tests.actors.test_conversation import TRACE, said
from tests.actors.test_discovery import record
from tests.helpers import eventually
from tucano.actors.disk.artifact_store import Store
from tucano.actors.gateway import AT_ONCE, STREAMS, Gateway
from tucano.actors.kernel import Child, Lifecycle, Refused, Span, System, TraceInfo
from tucano.actors.messages.deployer import Accepted, Deploy, Scale
from tucano.actors.messages.discovery import Put, Record
from tucano.actors.messages.gateway import ReadArtifact
from tucano.actors.messages.model import TraceId
from tucano.actors.messages.node import Actors, ReadTrace, ReadTraces, Traced, Traces
from tucano.actors.messages.worker_mgr import AllMetrics
from tucano.testing import Probe
from tucano.transport.curve import dial
from tucano.transport.security import Pair, Ring
from tucano.transport.zmq_door import ZmqDoor

Start = Callable[..., System]


class Client:
    """A client in plain pyzmq."""

    def __init__(self, address: str, kind: int = zmq.DEALER, own: Pair | None = None, server: str = "") -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self.context.socket(kind)
        self.socket.setsockopt(zmq.RCVTIMEO, 20_000)
        self.socket.setsockopt(zmq.LINGER, 0)
        if own is not None:
            dial(self.socket, own, server)
        self.socket.connect(address)

    def send(self, op: str, identifier: int = 1, **args: Any) -> None:
        self.socket.send(msgpack.packb({"v": 1, "id": identifier, "op": op, "args": args}))

    def receive(self) -> dict[str, Any]:
        answer = msgpack.unpackb(self.socket.recv())
        assert isinstance(answer, dict)
        return answer

    def ask(self, op: str, **args: Any) -> dict[str, Any]:
        self.send(op, **args)
        return self.receive()

    def close(self) -> None:
        self.socket.close()
        self.context.term()


class Desk:
    """A gateway, its neighbours, and its clients."""

    def __init__(self, node: Start, path: Path, port: int, ring: Ring | None = None) -> None:
        self.deployer = Probe(lambda message: Accepted("hello", 7))
        manager = Probe(lambda message: AllMetrics(()))
        address = f"tcp://127.0.0.1:{port}"
        about = {"node": "controller", "since": 0.0, "cluster": "c", "version": "v", "http_port": 1, "zmq_port": port}
        args = {"make_door": partial(ZmqDoor, address, ring=ring), "artifacts": partial(Store, path / "artifacts")}
        gateway = Child("gateway", Gateway, {**args, "about": about})
        self.talk: list[Span] = []
        teller = Probe(self._tell)
        self.node = node(
            record(path), gateway, deployer=self.deployer, worker_mgr=manager, supervisor=Probe(), node=teller
        )
        self.address = address
        self.clients: list[Client] = []

    def _tell(self, message: Any) -> Any:
        """What a node's `node` says."""
        match message:
            case ReadTrace(trace):
                return Traced("controller", tuple(span for span in self.talk if span.trace == trace))
            case ReadTraces():
                known = {span.trace: span for span in reversed(self.talk)}
                return Traces("controller", tuple(TraceInfo(t, span.sent, span.what, 1) for t, span in known.items()))
            case _:
                return Actors("controller", 1, (), (Lifecycle(1, 2.0, "actor_crashed", "gateway", "why"),), 3)

    def client(self, kind: int = zmq.DEALER, own: Pair | None = None, server: str = "") -> Client:
        made = Client(self.address, kind, own, server)
        self.clients.append(made)
        return made


def free_port() -> int:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with context, context.socket(zmq.ROUTER) as probe:
        return probe.bind_to_random_port("tcp://127.0.0.1")


@pytest.fixture
def desk(node: Start, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(node, tmp_path, free_port())
    yield made
    for client in made.clients:
        client.close()


@pytest.mark.parametrize("kind", [zmq.DEALER, zmq.REQ])
def test_a_client_is_answered_with_its_own_number(desk: Desk, kind: int) -> None:
    client = desk.client(kind)
    client.send("ping", 42)
    assert client.receive() == {"id": 42, "ok": {}}


def test_what_the_record_knows_is_shown(desk: Desk) -> None:
    discovery = desk.node.ref("discovery")
    discovery.ask(Put("service/hello", service=service(3, rollout="done")), timeout=5)
    discovery.ask(Put("instance/hello-1", instance=instance("hello-1", number=3, pid=9)), timeout=5)
    discovery.ask(Put("worker/worker-1", worker=worker()), timeout=5)
    client = desk.client()
    eventually(lambda: "ok" in client.ask("status"))
    assert client.ask("services")["ok"] == {
        "services": [
            {
                "name": "hello",
                "replicas": 2,
                "ready": 1,
                "state": "done",
                "revision": 3,
                "detail": "",
                "protocol": "http",
                "port": None,
            }
        ]
    }
    shown = client.ask("show", name="hello")["ok"]
    assert shown["instances"][0]["pid"] == 9
    assert shown["spec"]["run"]["script"] == "true"
    assert [node["name"] for node in client.ask("nodes")["ok"]["nodes"]] == ["controller", "worker-1"]
    assert client.ask("show", name="nobody")["error"] == {
        "code": "not_found", "message": "no service is called 'nobody'; there are: hello"
    }  # fmt: skip


def test_commands_go_to_the_deployer_and_its_refusals_come_back(desk: Desk) -> None:
    client = desk.client()
    accepted = client.ask("scale", name="hello", replicas=3)["ok"]
    assert accepted.keys() == {"service", "revision", "trace"}
    assert (accepted["service"], accepted["revision"]) == ("hello", 7)
    assert desk.deployer.wait_for(Scale) == Scale("hello", 3)

    def refuse(_: Any) -> Any:
        raise Refused("conflict", "not now")

    desk.deployer.answer = refuse
    assert client.ask("restart", name="hello")["error"] == {"code": "conflict", "message": "not now"}


def test_each_command_begins_a_conversation_of_its_own(desk: Desk) -> None:
    client = desk.client()
    begun = [client.ask(op, name="hello")["ok"]["trace"] for op in ("restart", "undeploy", "restart")]
    assert len(set(begun)) == 3
    assert all(msgspec.convert(one, TraceId) for one in begun)


def test_a_conversation_is_read_by_its_id(desk: Desk) -> None:
    client = desk.client()
    desk.talk = [said("controller.1", what="deployer.Scale/1"), said("controller.2", "controller.1", 0.5)]
    found = client.ask("trace", id=TRACE)["ok"]
    assert [one["span"] for one in found["spans"]] == ["controller.1", "controller.2"]
    assert [one["trace"] for one in client.ask("traces")["ok"]["traces"]] == [TRACE]
    unknown = client.ask("trace", id="0" * 16)["error"]
    assert unknown["code"] == "not_found"
    assert "no node remembers a conversation 0000000000000000" in unknown["message"]


def test_the_actors_of_a_node_are_told_with_what_happened_to_them(desk: Desk) -> None:
    [shown] = desk.client().ask("ps")["ok"]["nodes"]
    assert (shown["dead_letters"], [event["what"] for event in shown["events"]]) == (3, ["actor_crashed"])
    assert desk.client().ask("ps", node="nowhere")["error"]["code"] == "not_found"


def test_a_node_that_is_gone_or_does_not_answer_is_told_of_and_all_stand_in_one_order(desk: Desk) -> None:
    gone = msgspec.structs.replace(worker("worker-2"), state="gone", since=9.0)
    for one in (worker("worker-3"), gone, worker("worker-1")):
        desk.node.ref("discovery").ask(Put(f"worker/{one.name}", worker=one), timeout=5)
    client = desk.client()
    shown = eventually(lambda: (found := client.ask("ps")["ok"]["nodes"])[3:] and found, "all nodes are known")
    assert [(one["node"], one["state"], one["since"]) for one in shown[1:]] == [
        ("worker-1", "silent", None), ("worker-2", "gone", 9.0), ("worker-3", "silent", None),
    ]  # fmt: skip
    assert client.ask("ps", node="worker-2")["ok"]["nodes"] == [shown[2]]


def test_a_client_that_asks_without_end_is_refused_and_another_is_answered(desk: Desk) -> None:
    entered, gate = threading.Event(), threading.Event()

    def hang(_: object) -> None:
        entered.set()
        gate.wait(20)

    busy = threading.Thread(target=desk.deployer.do, args=(hang,))
    busy.start()
    try:
        assert entered.wait(20)
        flood = desk.client()
        for number in range(AT_ONCE + 50):
            flood.send("scale", number + 1, name="hello", replicas=1)
        refused = [flood.receive() for _ in range(50)]
        assert {answer["id"] for answer in refused} == set(range(AT_ONCE + 1, AT_ONCE + 51))
        assert {answer["error"]["code"] for answer in refused} == {"unavailable"}
        assert desk.client().ask("ping") == {"id": 1, "ok": {}}
    finally:
        gate.set()
        busy.join()
    assert sorted(flood.receive()["id"] for _ in range(AT_ONCE)) == list(range(1, AT_ONCE + 1))
    assert flood.ask("ping") == {"id": 1, "ok": {}}


def test_an_artifact_is_uploaded_in_pieces_and_deployed_only_when_it_is_whole(desk: Desk) -> None:
    data = bytes(range(256)) * 100
    sha = hashlib.sha256(data).hexdigest()
    client = desk.client()
    wanted = msgspec.to_builtins(spec())
    assert client.ask("deploy", spec=wanted, artifact=sha, size=len(data))["error"]["code"] == "not_found"
    assert client.ask("upload", artifact=sha, size=len(data), offset=0, data=data[:100])["ok"] == {"next": 100}
    assert client.ask("upload", artifact=sha, size=len(data), offset=999, data=b"x")["ok"] == {"next": 100}
    assert client.ask("upload", artifact=sha, size=len(data), offset=100, data=data[100:])["ok"] == {"next": len(data)}
    assert client.ask("artifact", artifact=sha)["ok"]["has"] is True
    assert "ok" in client.ask("deploy", spec=wanted, artifact=sha, size=len(data))
    assert desk.deployer.wait_for(Deploy).spec == spec()
    assert desk.node.ref("gateway").ask(ReadArtifact(sha, 10, 20), timeout=5) == data[10:30]


def test_a_damaged_upload_is_refused(desk: Desk) -> None:
    client = desk.client()
    answer = client.ask("upload", artifact="0" * 64, size=3, offset=0, data=b"abc")
    assert answer["error"]["code"] == "refused"
    assert client.ask("artifact", artifact="0" * 64)["ok"]["has"] is False


def test_events_are_a_stream_until_it_is_cancelled(desk: Desk) -> None:
    client = desk.client()
    client.send("events", 5, since=-10, follow=True)
    assert client.receive() == {"id": 5, "ok": {"events": []}}
    desk.node.ref("discovery").tell(Record("kind", "hello", "text"))
    item = client.receive()
    assert (item["id"], item["item"]["events"][0]["text"]) == (5, "text")
    assert client.ask("cancel", id=5)["ok"] == {"cancelled": True}
    desk.node.ref("discovery").ask(Record("kind", "hello", "unheard"), timeout=5)
    assert client.ask("ping") == {"id": 1, "ok": {}}


@pytest.mark.parametrize(
    ("request_", "code", "said"),
    [
        ({"v": 1, "id": 3, "op": "fly"}, "unknown_op", "no operation is called 'fly'; there are: artifact, cancel"),
        ({"v": 1, "id": 3, "op": "scale", "args": {"name": "x", "replicas": 0}}, "bad_request", "`replicas`"),
        ({"v": 1, "id": 3, "op": "scale", "args": {"name": "x", "replicas": 10**6}}, "bad_request", "`replicas`"),
        ({"v": 1, "id": 3, "op": "scale", "args": {"name": "x"}}, "bad_request", "`replicas`"),
        ({"v": 1, "id": 3, "op": "scale", "args": {"name": "x", "replicas": 1, "to": 2}}, "bad_request", "`to`"),
        ({"v": 1, "id": 3, "op": "show", "args": {"name": 7}}, "bad_request", "show: `name` is to be `str`, got `int`"),
        ({"v": 1, "id": 3, "op": "ps", "args": {"node": ""}}, "bad_request", "ps: `node` is to be a name (a-z"),
        ({"v": 1, "id": 3, "op": "trace", "args": {"id": "x"}}, "bad_request", "16 lower-case hexadecimal digits"),
        ({"v": 1, "id": 3, "op": "artifact", "args": {"artifact": "../../etc/passwd"}}, "bad_request", "`artifact`"),
        ({"v": 1, "id": 3, "op": "logs", "args": {"id": "nobody"}}, "not_found", "no instance is called 'nobody'"),
        ({"v": 2, "id": 3, "op": "ping"}, "bad_request", "not a request"),
        ({"id": 3}, "bad_request", "not a request"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(desk: Desk, request_: Any, code: str, said: str) -> None:
    client = desk.client()
    client.socket.send(msgpack.packb(request_))
    answer = client.receive()
    assert answer["id"] == 3
    assert answer["error"]["code"] == code
    assert said in answer["error"]["message"]


@pytest.mark.parametrize("frame", [b"", b"\xc1", b"\xff" * 100, b"\x91" * 5000, b"GET / HTTP/1.1\r\n\r\n", b"\x93\x01"])
def test_a_frame_that_is_no_request_is_refused_and_harms_nobody(desk: Desk, frame: bytes) -> None:
    client = desk.client()
    client.socket.send(frame)
    assert client.receive()["error"]["code"] == "bad_request"
    assert client.ask("ping") == {"id": 1, "ok": {}}
    assert next(actor for actor in desk.node.snapshot() if actor.name == "gateway").restarts == 0


def test_a_gateway_that_crashes_answers_at_the_same_address(desk: Desk) -> None:
    client = desk.client()
    assert client.ask("ping") == {"id": 1, "ok": {}}
    desk.node.ref("gateway").tell(ReadArtifact(None, 0))  # type: ignore[arg-type]
    eventually(lambda: next(actor for actor in desk.node.snapshot() if actor.name == "gateway").restarts == 1)
    fresh = desk.client()
    assert fresh.ask("ping") == {"id": 1, "ok": {}}


def test_a_stream_goes_on_when_the_record_has_crashed(desk: Desk) -> None:
    client = desk.client()
    client.send("events", 5, since=-10, follow=True)
    assert client.receive() == {"id": 5, "ok": {"events": []}}
    desk.node.ref("discovery").tell(Put("service/hello", service=object()))  # type: ignore[arg-type]
    eventually(lambda: next(actor for actor in desk.node.snapshot() if actor.name == "discovery").restarts == 1)
    desk.node.ref("discovery").tell(Record("kind", "hello", "afterwards"))
    assert client.receive()["item"]["events"][0]["text"] == "afterwards"


def test_no_more_streams_are_followed_than_there_may_be(desk: Desk) -> None:
    client = desk.client()
    answers = {}
    for number in range(STREAMS + 1):
        client.send("events", number, since=-1, follow=True)
        while number not in answers:
            said = client.receive()
            if "item" not in said:
                answers[said["id"]] = said
    assert answers[STREAMS]["error"]["code"] == "unavailable"
    assert all("ok" in answers[number] for number in range(STREAMS))
