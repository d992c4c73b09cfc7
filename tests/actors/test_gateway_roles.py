"""The clients' door with keys: who may ask for what, and what a revoked key is good for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zmq

from tests.actors.builders import service, spec
from tests.actors.test_gateway import Client, Desk, Start, free_port
from tests.helpers import eventually
from tests.transport.rings import Book
from tests.transport.test_curve import NO_WAY
from tucano.actors.messages import operations
from tucano.actors.messages.discovery import Put, Record
from tucano.client import ClusterError
from tucano.client.follower import Follower
from tucano.client.reach import Reach
from tucano.transport.curve import new_pair
from tucano.transport.security import Insecure, Role
from tucano.transport.zmq_door import ZmqDoor

LOOKS = {"ping", "status", "nodes", "services", "show", "artifact", "events", "cancel", "logs", "ps", "traffic"} | {
    "trace",
    "traces",
}


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def desk(node: Start, tmp_path: Path, book: Book) -> Iterator[Desk]:
    made = Desk(node, tmp_path, free_port(), book.ring("controller"))
    yield made
    for client in made.clients:
        client.close()


def enter(desk: Desk, book: Book, name: str, role: Role) -> Client:
    return desk.client(own=book.add(name, role), server=book.pairs["controller"].public)


def test_readers_look_nodes_look_for_themselves_and_all_else_is_for_administrators() -> None:
    everything = operations.OPERATIONS.items()
    assert {op for op, kind in everything if "reader" in kind.ROLES} == LOOKS
    assert {op for op, kind in everything if "node" in kind.ROLES} == {"ping", "nodes"}
    assert all("admin" in kind.ROLES for _, kind in everything)


def test_an_administrator_may_do_all(desk: Desk, book: Book) -> None:
    client = enter(desk, book, "root", "admin")
    assert client.ask("scale", name="hello", replicas=3)["ok"]["revision"] == 7


@pytest.mark.parametrize("role", ["reader", "node"])
def test_who_may_only_look_changes_nothing_and_is_told_how_to_get_there(desk: Desk, book: Book, role: Role) -> None:
    client = enter(desk, book, "ann", role)
    assert client.ask("ping") == {"id": 1, "ok": {}}
    for op, args in (
        ("scale", {"name": "hello", "replicas": 3}),
        ("restart", {"name": "hello"}),
        ("undeploy", {"name": "hello"}),
        ("upload", {"artifact": "0" * 64, "size": 3, "offset": 0, "data": b"abc"}),
        ("deploy", {"spec": msgspec.to_builtins(spec()), "artifact": "0" * 64, "size": 3}),
    ):
        error = client.ask(op, **args)["error"]
        assert error["code"] == "forbidden"
        for said in (f"{op} needs the role admin", f"ann has the role {role}", "tucano key add NAME --role admin"):
            assert said in error["message"]
    assert not desk.deployer.all(object)


def test_a_node_may_not_look_at_services(desk: Desk, book: Book) -> None:
    error = enter(desk, book, "edge", "node").ask("services")["error"]
    assert error["code"] == "forbidden"


def test_a_reader_does_not_see_what_may_be_secret(desk: Desk, book: Book) -> None:
    of_secrets = service(1)
    run = msgspec.structs.replace(of_secrets.target.spec.run, env={"PASSWORD": "xyzzy"})
    target = msgspec.structs.replace(of_secrets.target, spec=msgspec.structs.replace(of_secrets.target.spec, run=run))
    put = Put("service/hello", service=msgspec.structs.replace(of_secrets, target=target))
    desk.node.ref("discovery").ask(put, timeout=5)
    for name, role, seen in (("root", "admin", "xyzzy"), ("ann", "reader", "***")):
        client = enter(desk, book, name, role)  # type: ignore[arg-type]
        eventually(lambda client=client: "ok" in client.ask("show", name="hello"))  # type: ignore[misc]
        assert client.ask("show", name="hello")["ok"]["spec"]["run"]["env"] == {"PASSWORD": seen}


def test_a_revoked_key_is_refused_at_once_by_a_text_and_its_stream_ends(desk: Desk, book: Book) -> None:
    client, other = enter(desk, book, "ann", "reader"), enter(desk, book, "bob", "reader")
    for each in (client, other):
        each.send("events", 5, since=-10, follow=True)
        assert each.receive()["id"] == 5
    book.revoke("ann")
    desk.node.ref("discovery").tell(Record("kind", "hello", "after it"))
    assert other.receive()["item"]["events"][0]["text"] == "after it"
    for answer, identifier in ((client.receive(), 5), (client.ask("ping"), 1)):
        assert (answer["id"], answer["error"]["code"]) == (identifier, "forbidden")
        assert "the key of ann has been revoked" in answer["error"]["message"]


def test_the_stream_of_a_revoked_key_ends_when_nothing_happens_too(desk: Desk, book: Book) -> None:
    client = enter(desk, book, "ann", "reader")
    client.send("events", 5, since=-10, follow=True)
    assert client.receive()["ok"] == {"events": []}
    book.revoke("ann")
    assert client.receive()["error"]["code"] == "forbidden"


def test_who_follows_with_a_key_that_is_revoked_is_told_and_comes_in_no_more(desk: Desk, book: Book) -> None:
    reach = Reach(desk.address, book.add("ann", "reader"), book.pairs["controller"].public)
    with Follower(lambda: reach) as follower:
        assert follower.open(20.0)
        book.revoke("ann")
        with pytest.raises(ClusterError, match="the key of ann has been revoked") as caught:
            follower.next(20.0)
        assert caught.value.code == "forbidden"
    with Follower(lambda: reach) as late, pytest.raises(ClusterError, match="does not admit this key"):
        late.next(20.0)


def refused(address: str, client: Client, event: int) -> bool:
    monitor = client.socket.get_monitor_socket()
    client.socket.connect(address)
    found = 0
    while not found & event and monitor.poll(10_000):
        found = int.from_bytes(monitor.recv_multipart()[0][:2], "little")
    client.socket.disable_monitor()
    monitor.close()
    return bool(found & event)


def test_strangers_and_revoked_keys_are_not_let_in(desk: Desk, book: Book) -> None:
    server = book.pairs["controller"].public
    assert enter(desk, book, "ann", "reader").ask("ping") == {"id": 1, "ok": {}}
    book.revoke("ann")
    for pair in (book.pairs["ann"], new_pair()):
        assert refused(desk.address, desk.client(own=pair, server=server), zmq.EVENT_HANDSHAKE_FAILED_AUTH)
    assert refused(desk.address, desk.client(), NO_WAY)


@pytest.mark.parametrize("bind", ["tcp://0.0.0.0:0", "tcp://192.0.2.1:0"])
def test_a_door_beyond_this_machine_needs_keys(bind: str) -> None:
    with pytest.raises(Insecure, match="tucano init"):
        ZmqDoor(bind)
