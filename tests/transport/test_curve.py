"""Links with keys, over real sockets: strangers, revoked keys, false names, and what can be overheard."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import zmq

from tests.helpers import eventually
from tests.transport.box import CLUSTER, Box, tell
from tests.transport.rings import Book, tapped
from tucano.transport import wire
from tucano.transport.curve import ZAP, Curve, dial, new_pair
from tucano.transport.security import Insecure, Pair, Role, UnknownKey
from tucano.transport.zmq_link import ZmqLink

NO_WAY = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
"""Which of the two a client sees depends on who hears first that there is no common language."""

Join = Callable[..., tuple[ZmqLink, Box]]


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def join(book: Book) -> Iterator[Join]:
    """Starts links with keys."""
    made: list[ZmqLink] = []

    def start(name: str, key: str = "", role: Role = "node") -> tuple[ZmqLink, Box]:
        link, box = ZmqLink(name, CLUSTER, ring=book.ring(key or name, role)), Box()
        link.start(box)
        made.append(link)
        return link, box

    yield start
    for link in made:
        link.close()


class Stranger:
    """A DEALER in plain pyzmq, which says to be whom it likes."""

    def __init__(self, address: str, name: str, own: Pair | None = None, server: str = "") -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.set(zmq.ROUTING_ID, wire.routing_id(wire.Peer(CLUSTER, name, 2**50, "tcp://127.0.0.1:9")))
        self.socket.set(zmq.LINGER, 0)
        if own is not None:
            dial(self.socket, own, server)
        self.monitor = self.socket.get_monitor_socket()
        self.socket.connect(address)
        self.socket.send(wire.encode([tell("secret")]))

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.disable_monitor()
        self.monitor.close()
        self.socket.close()
        self.context.term()

    def wait_for(self, event: int) -> None:
        """Wait until this has happened, or another of these events."""

        def happened() -> bool:
            assert self.monitor.poll(10_000)
            return bool(int.from_bytes(self.monitor.recv_multipart()[0][:2], "little") & event)

        eventually(happened)


def meet(a: ZmqLink, b: ZmqLink) -> None:
    a.connect("b", b.address)
    eventually(lambda: a.connected("b") and b.connected("a"))


def test_nodes_with_admitted_keys_meet_and_speak_both_ways(join: Join) -> None:
    (a, box_a), (b, box_b) = join("a"), join("b")
    meet(a, b)
    assert a.send("b", tell("there"))
    assert b.send("a", tell("back"))
    eventually(lambda: box_b.tags() == ["there"] and box_a.tags() == ["back"])
    assert (a.refused, b.refused) == (0, 0)


def test_who_has_no_key_is_not_heard(join: Join) -> None:
    a, box = join("a")
    with Stranger(a.address, "b") as stranger:
        stranger.wait_for(NO_WAY)
    assert not box.got
    assert not box.news


def test_who_has_a_key_that_nobody_knows_is_not_let_in(join: Join, book: Book) -> None:
    a, box = join("a")
    book.add("b")
    with Stranger(a.address, "b", new_pair(), book.pairs["a"].public) as stranger:
        stranger.wait_for(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
    assert not box.got


def test_who_is_called_by_a_false_key_learns_nothing(join: Join, book: Book) -> None:
    a, box = join("a")
    with Stranger(a.address, "b", book.add("b"), new_pair().public) as stranger:
        stranger.wait_for(NO_WAY)
    assert not box.got


@pytest.mark.parametrize("role", ["admin", "reader"])
def test_a_clients_key_does_not_open_the_bridge(join: Join, book: Book, role: Role) -> None:
    a, box = join("a")
    with Stranger(a.address, "b", book.add("b", role), book.pairs["a"].public) as stranger:
        stranger.wait_for(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
    assert not box.got


def test_a_node_that_says_to_be_another_is_refused_and_the_other_is_still_heard(join: Join, book: Book) -> None:
    (a, box_a), (b, _) = join("a"), join("b")
    meet(a, b)
    before = list(box_a.news)
    with Stranger(a.address, "b", book.add("evil"), book.pairs["a"].public) as stranger:
        eventually(lambda: a.refused == 1)
        stranger.socket.send(wire.encode([tell("again")]))
        eventually(lambda: a.refused == 2)
    assert b.send("a", tell("mine"))
    eventually(lambda: box_a.tags() == ["mine"])
    assert box_a.news == before


def test_who_is_admitted_and_says_to_be_another_does_not_cut_that_one_off(join: Join, book: Book) -> None:
    (a, box_a), (b, _) = join("a"), join("b")
    evil = book.add("evil")
    b.connect("a", a.address)
    eventually(lambda: a.connected("b") and b.connected("a"))
    said = b._identities["control"]  # all that others know of it
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        for number in range(100):
            assert b.send("a", tell(str(number)))
            if number % 20 == 0:
                before = a.refused
                socket = context.socket(zmq.DEALER)
                socket.set(zmq.ROUTING_ID, said)
                socket.set(zmq.LINGER, 0)
                dial(socket, evil, book.pairs["a"].public)
                socket.connect(a.address)
                socket.send(wire.encode([tell("evil")]))
                eventually(lambda before=before: a.refused > before)  # type: ignore[misc]
                socket.close()
    finally:
        context.destroy(0)
    eventually(lambda: len(box_a.tags()) == 100)
    assert box_a.tags() == [str(number) for number in range(100)]
    assert box_a.news == [("b", "up")]


def test_a_key_that_is_revoked_is_void_at_once_on_connections_that_are_there(join: Join, book: Book) -> None:
    (a, box_a), (b, box_b) = join("a"), join("b")
    meet(a, b)
    book.revoke("b")
    refused = a.refused
    assert b.send("a", tell("still there"))
    eventually(lambda: a.refused > refused)
    eventually(lambda: not a.connected("b"))
    eventually(lambda: not a.send("b", tell("nothing is said to it any more")))
    assert not box_a.got
    assert not box_b.got


def test_a_node_whose_key_is_revoked_says_so_and_what_to_do(
    join: Join, book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    (a, _), (b, _) = join("a"), join("b")
    b.connect("a", a.address)
    eventually(lambda: a.connected("b") and b.connected("a"))

    book.revoke("b")
    told = eventually(lambda: [text for text in caplog.messages if text.startswith("a does not admit our key: ")])
    assert len(told) == 1
    assert "tucano key add NAME --role node" in told[0]
    assert "tucano worker --join FILE" in told[0]


def test_a_revoked_key_makes_no_new_connection(join: Join, book: Book) -> None:
    a, box = join("a")
    pair = book.add("b")
    book.revoke("b")
    with Stranger(a.address, "b", pair, book.pairs["a"].public) as stranger:
        stranger.wait_for(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
    assert not box.got


def test_a_node_that_gets_another_key_is_heard_again(join: Join, book: Book) -> None:
    (a, box_a), (b, _) = join("a"), join("b")
    meet(a, b)
    book.revoke("b")
    b.close()
    eventually(lambda: not a.connected("b"))
    book.add("b")
    c, box_c = join("b")
    c.connect("a", a.address)
    eventually(lambda: c.send("a", tell("anew")) and "anew" in box_a.tags())
    eventually(lambda: a.send("b", tell("welcome")) and "welcome" in box_c.tags())


def test_who_has_no_key_that_is_known_cannot_be_called(join: Join) -> None:
    a, _ = join("a")
    with pytest.raises(UnknownKey, match="nobody"):
        a.connect("nobody", "tcp://127.0.0.1:9")


@pytest.mark.parametrize("secret", [True, False])
def test_what_is_said_with_keys_cannot_be_overheard_and_without_it_can(book: Book, secret: bool) -> None:
    own, box = book.add("b"), Box()
    link = ZmqLink("a", CLUSTER, ring=book.ring("a") if secret else None)
    link.start(box)
    with tapped(int(link.address.rpartition(":")[2])) as tap:
        keys = (own, book.pairs["a"].public) if secret else ()
        with Stranger(f"tcp://127.0.0.1:{tap.port}", "b", *keys):
            eventually(lambda: box.tags() == ["secret"])
        heard = bytes(tap.heard)
    link.close()
    for said in (b"secret", b"tucano1", CLUSTER.encode()):
        assert (said in heard) is not secret
    if secret:
        assert b"CURVE" in heard
        for pair in book.pairs.values():
            assert pair.secret.encode() not in heard


@pytest.mark.parametrize("bind", ["tcp://0.0.0.0:0", "tcp://*:0", "tcp://192.0.2.1:0"])
def test_a_bridge_beyond_this_machine_needs_keys(bind: str) -> None:
    with pytest.raises(Insecure, match="tucano init"):
        ZmqLink("a", CLUSTER, bind)


def test_so_does_a_connection() -> None:
    link = ZmqLink("a", CLUSTER)
    with pytest.raises(Insecure, match="tucano init"):
        link.connect("b", "tcp://192.0.2.1:9")
    link.close()


def test_an_address_that_cannot_be_had_leaves_nothing_behind(book: Book) -> None:
    with pytest.raises(OSError, match="cannot receive"):
        ZmqLink("a", CLUSTER, "tcp://192.0.2.1:9", ring=book.ring("a"))


@pytest.mark.parametrize(
    "question",
    [
        [b""], [b"x"] * 3, [b"", b"1.0", b"1", b"d", b"a", b"i", b"PLAIN", b"ann", b"word"],
        [b"", b"1.0", b"1", b"d", b"a", b"i", b"CURVE"], [b"", b"1.0", b"1", b"d", b"a", b"i", b"CURVE", b"short"],
        [b"", b"9.9", b"1", b"d", b"a", b"i", b"CURVE", b"k" * 32], [b"", b"1.0", b"1", b"d", b"\xff", b"i", b"NULL"],
    ],
)  # fmt: skip
def test_garbage_admits_nobody_and_does_not_harm_the_key_handler(book: Book, question: list[bytes]) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    curve = Curve(context, book.ring("a"), ["node"])
    with context.socket(zmq.DEALER) as asker:
        asker.set(zmq.LINGER, 0)
        asker.set(zmq.RCVTIMEO, 10_000)
        asker.connect(ZAP)
        asker.send_multipart(question)
        good = [b"", b"1.0", b"7", b"d", b"127.0.0.1", b"", b"CURVE"]
        key = zmq.utils.z85.decode(book.pairs["a"].public.encode())
        asker.send_multipart([*good, key])
        answers = [asker.recv_multipart()]
        if answers[0][2] != b"7":
            answers.append(asker.recv_multipart())
            assert answers[0][3] == b"400"
        assert answers[-1][3:6] == [b"200", b"OK", book.pairs["a"].public.encode()]
    curve.close()
    context.term()
    assert "tucano-curve" not in {thread.name for thread in threading.enumerate()}
