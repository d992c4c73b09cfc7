from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import zmq

from tests.helpers import eventually
from tucano.transport import wire
from tucano.transport.link import Kind, Letter
from tucano.transport.zmq_link import ZmqLink

CLUSTER = "0123456789abcdef"


class Box:
    """Keeps what a link delivers."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Letter]] = []
        self.news: list[tuple[str, str]] = []

    def letters(self, node: str, batch: Sequence[Letter]) -> None:
        self.got += [(node, letter) for letter in batch]

    def peer_up(self, node: str) -> None:
        self.news.append((node, "up"))

    def peer_down(self, node: str, why: str) -> None:
        self.news.append((node, why))


Make = Callable[..., tuple[ZmqLink, Box]]


@pytest.fixture
def make() -> Iterator[Make]:
    links: list[ZmqLink] = []

    def start(node: str, **options: Any) -> tuple[ZmqLink, Box]:
        link, box = ZmqLink(node, options.pop("cluster", CLUSTER), **options), Box()
        links.append(link)
        link.start(box)
        return link, box

    yield start
    for link in links:
        link.close()


def tell(text: str) -> Letter:
    return Letter(Kind.TELL, "someone", "", 0, 0, text)


def test_letters_arrive_in_order_and_answers_find_the_way_back(make: Make) -> None:
    (a, box_a), (b, box_b) = make("a"), make("b")
    assert not a.send("b", tell("nobody is connected yet"))
    a.connect("b", b.address)
    for i in range(5000):
        assert a.send("b", tell(str(i)))
    eventually(lambda: len(box_b.got) == 5000)
    assert [letter.tag for _, letter in box_b.got] == [str(i) for i in range(5000)]
    assert b.send("a", tell("back"))
    eventually(lambda: box_a.got)
    assert box_a.got[0] == ("b", tell("back"))
    assert a.connected("b")
    assert b.connected("a")


def test_a_node_that_leaves_says_so(make: Make) -> None:
    (a, box_a), (b, _) = make("a"), make("b")
    a.connect("b", b.address)
    eventually(lambda: a.connected("b"))
    b.close()
    eventually(lambda: ("b", "left") in box_a.news)
    assert not a.connected("b")


def test_a_restarted_node_is_a_new_node_on_the_same_socket(make: Make) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    a, box_a = make("a")
    b, _ = make("b", bind=address, fd=listener.detach())
    a.connect("b", address)
    eventually(lambda: b.connected("a"))
    b.close()
    eventually(lambda: ("b", "left") in box_a.news)
    _, box_b2 = make("b", bind=address)
    eventually(lambda: a.connected("b"))
    assert a.send("b", tell("again"))
    eventually(lambda: box_b2.got)
    assert box_b2.got == [("a", tell("again"))]


def test_strangers_and_nonsense_are_refused_and_counted_and_harm_nobody(make: Make) -> None:
    (a, box_a), (b, _) = make("a"), make("b")
    other, _ = make("c", cluster="f" * 16)
    other.connect("a", a.address)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    good = wire.routing_id(wire.Peer(CLUSTER, "evil", 1, "tcp://127.0.0.1:1"))
    for identity, frames in [
        (b"stranger", [b"hello"]),
        (good, [b"\xff\xff"]),
        (good, [b"\x91" * 100_000]),
        (good, [b""]),
        (good, [wire.encode([tell("x")]), b"two parts"]),
    ]:
        dealer = context.socket(zmq.DEALER)
        dealer.set(zmq.ROUTING_ID, identity)
        dealer.set(zmq.LINGER, 2000)
        dealer.connect(a.address)
        dealer.send_multipart(frames)
        dealer.close()
    eventually(lambda: a.refused >= 6)
    b.connect("a", a.address)
    assert b.send("a", tell("still there"))
    eventually(lambda: ("b", tell("still there")) in box_a.got)
    assert {node for node, _ in box_a.got} == {"b"}
    context.term()


def test_a_full_queue_refuses(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tucano.transport.outgoing.QUEUE", 10)
    a, _ = make("a")
    hole = socket.create_server(("127.0.0.1", 0))  # accepts, never speaks
    a.connect("b", f"tcp://127.0.0.1:{hole.getsockname()[1]}")
    assert [a.send("b", tell("x")) for _ in range(20)].count(True) <= 10
    hole.close()
