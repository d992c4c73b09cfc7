"""What only the link over sockets does; what every link does is in tests/contract."""

from __future__ import annotations

import socket
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
