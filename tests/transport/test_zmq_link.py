"""What only the link over sockets does; what every link does is in tests/contract."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
import zmq

from tests.helpers import eventually
from tests.transport.box import CLUSTER, Box, tell
from tucano.transport import wire
from tucano.transport.zmq_link import ZmqLink


@pytest.fixture
def node() -> Iterator[tuple[ZmqLink, Box]]:
    """Receives at a socket that it was given."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    link, box = ZmqLink("a", CLUSTER, address, fd=listener.detach()), Box()
    assert link.address == address
    link.start(box)
    yield link, box
    link.close()


def test_a_node_receives_at_an_inherited_socket(node: tuple[ZmqLink, Box]) -> None:
    a, box_a = node
    b = ZmqLink("b", CLUSTER)
    b.start(Box())
    b.connect("a", a.address)
    assert b.send("a", tell("x"))
    eventually(lambda: box_a.got == [("b", tell("x"))])
    b.close()


@pytest.mark.parametrize(
    ("address", "frames"),
    [
        ("tcp://127.0.0.1:1", [wire.encode([tell("x")]), b"two parts"]),
        ("tcp://-:1", [wire.encode([tell("x")])]),
    ],
    ids=["two parts", "no address to answer at"],
)
def test_what_only_a_stranger_would_send_is_refused_each_time(
    node: tuple[ZmqLink, Box], address: str, frames: list[bytes]
) -> None:
    a, box_a = node
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.set(zmq.ROUTING_ID, wire.routing_id(wire.Peer(CLUSTER, "evil", 1, address)))
    dealer.connect(a.address)
    for count in (1, 2):
        dealer.send_multipart(frames)
        eventually(lambda count=count: a.refused == count)  # type: ignore[misc]
    dealer.close()
    context.term()
    assert not box_a.got
    assert not box_a.news
    assert not a.connected("evil")


@pytest.mark.parametrize("address", ["tcp://12.1:1", "tcp://-:1", "tcp://192.0.2.1:1"])
def test_who_claims_the_name_of_another_from_where_nobody_can_be_told_so_is_refused(
    node: tuple[ZmqLink, Box], address: str
) -> None:
    a, box_a = node
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with context, context.socket(zmq.DEALER) as good, context.socket(zmq.DEALER) as evil:
        for dealer, incarnation, at in ((good, 1, "tcp://127.0.0.1:1"), (evil, 2, address)):
            dealer.set(zmq.ROUTING_ID, wire.routing_id(wire.Peer(CLUSTER, "b", incarnation, at)))
            dealer.set(zmq.LINGER, 0)
            dealer.connect(a.address)
            dealer.send(wire.encode([tell(str(incarnation))]))
            eventually(lambda: box_a.tags() == ["1"])
        eventually(lambda: a.refused == 1)
        good.send(wire.encode([tell("still heard")]))
        eventually(lambda: box_a.tags() == ["1", "still heard"])


@contextlib.contextmanager
def other(name: str, address: str) -> Iterator[subprocess.Popen[str]]:
    """A node in a process of its own; see `other_node`."""
    command = [sys.executable, "-m", "tests.transport.other_node", name, address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            assert process.stdin is not None
            process.stdin.close()


def test_a_process_that_is_suspended_is_down_and_up_again_when_it_goes_on(node: tuple[ZmqLink, Box]) -> None:
    a, box_a = node
    with other("b", a.address) as process:
        eventually(lambda: a.connected("b"))
        process.send_signal(signal.SIGSTOP)
        eventually(lambda: not a.connected("b"))
        assert [why[:6] for _, why in box_a.news] == ["up", "silent"]
        process.send_signal(signal.SIGCONT)
        eventually(lambda: [why[:6] for _, why in box_a.news] == ["up", "silent", "up"])
        assert a.connected("b")
        assert a.send("b", tell("again"))
        eventually(lambda: "again" in box_a.tags())
    eventually(lambda: box_a.news[-1] == ("b", "left"))


def test_a_process_that_is_killed_is_down_and_its_name_free_for_the_next(node: tuple[ZmqLink, Box]) -> None:
    a, box_a = node
    with other("b", a.address) as process:
        eventually(lambda: a.connected("b"))
        process.kill()
    with other("b", a.address):
        eventually(lambda: [why[:6] for _, why in box_a.news] in (["up", "replac", "up"], ["up", "silent", "up"]))
        assert a.send("b", tell("x"))
        eventually(lambda: box_a.tags() == ["x"])


def test_a_second_process_of_a_name_says_that_it_is_taken(node: tuple[ZmqLink, Box]) -> None:
    a, box_a = node
    with other("b", a.address):
        eventually(lambda: a.connected("b"))
        with other("b", a.address) as second:
            assert second.stdout is not None
            connected, taken = sorted(second.stdout.readline() for _ in range(2))
            assert connected == "connected\n"
            assert taken.startswith("taken a the name b is taken: a node that lives has it, at tcp:")
    assert box_a.news[0] == ("b", "up")
    assert a.refused


def test_who_connects_anew_is_heard_although_its_old_connection_looks_alive(node: tuple[ZmqLink, Box]) -> None:
    a, box_a = node
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    dealers = [context.socket(zmq.DEALER) for _ in range(3)]
    for number, dealer in enumerate(dealers):
        dealer.set(zmq.ROUTING_ID, wire.routing_id(wire.Peer(CLUSTER, "b", 1, "tcp://127.0.0.1:1")))
        dealer.set(zmq.LINGER, 0)
        dealer.connect(a.address)
        dealer.send(wire.encode([tell(str(number))]))
        eventually(lambda number=number: box_a.tags() == [str(n) for n in range(number + 1)])  # type: ignore[misc]
    assert box_a.news == [("b", "up")]
    for dealer in dealers:
        dealer.close()
    context.term()


def test_a_connection_that_is_made_anew_says_that_it_is_the_later_one(node: tuple[ZmqLink, Box]) -> None:
    """And what the earlier one still had on its way, as behind a cut cable, is not heard after it: at most too late."""
    a, box_a = node
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with context, context.socket(zmq.ROUTER) as ear:
        ear.set(zmq.RCVTIMEO, 20_000)
        a.connect("b", f"tcp://127.0.0.1:{ear.bind_to_random_port('tcp://127.0.0.1')}")
        seen = [wire.read_routing_id(ear.recv_multipart()[0]).connection]
        a._ways["b"].forget(renew=True)
        while (latest := wire.read_routing_id(ear.recv_multipart()[0]).connection) == seen[0]:
            continue
        assert latest > seen[0]
        b = wire.routing_id(wire.Peer(CLUSTER, "b", 1, "tcp://127.0.0.1:9"))
        with contextlib.ExitStack() as stack:
            early, late = (stack.enter_context(context.socket(zmq.DEALER)) for _ in range(2))
            for number, dealer in enumerate((early, late), 1):
                dealer.set(zmq.ROUTING_ID, wire.for_connection(b, number, number))
                dealer.set(zmq.LINGER, 0)
                dealer.connect(a.address)
                dealer.send(wire.encode([tell(str(number))]))
                eventually(lambda number=number: len(box_a.got) == number)  # type: ignore[misc]
            before = a.refused
            early.send(wire.encode([tell("from before")]))
            eventually(lambda: a.refused == before + 1)
        assert box_a.got == [("b", tell("1")), ("b", tell("2"))]
