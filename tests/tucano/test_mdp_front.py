"""The users' ZeroMQ front on real sockets: clients as others write them, REP and ROUTER instances."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import zmq

from tests.helpers import eventually
from tucano.actors.messages import model
from tucano.actors.proxy import Fronts, Service, Target
from tucano.actors.proxy.mdp import ERROR
from tucano.actors.proxy.mdp_queue import Limits
from tucano.actors.proxy.zmtp import Peer, pack, unpack
from tucano.mdp_front import MdpFront
from tucano.mdp_handover import Handover

HOST = "127.0.0.1"
Frames = list[bytes]


class Instance:
    """A service's process, as a thread: a REP or ROUTER socket that answers each request with `answer(body)`."""

    def __init__(self, name: str, kind: int, answer: Callable[[Frames], Frames], port: int = 0) -> None:
        self.name = name
        self._context = zmq.Context()
        self._socket = self._context.socket(kind)
        self._socket.set(zmq.LINGER, 0)
        self._socket.bind(f"tcp://{HOST}:{port or '*'}")
        self.port = int(self._socket.get_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
        self._end = self._context.socket(zmq.PAIR)
        self._end.bind("inproc://end")
        self._ender = self._context.socket(zmq.PAIR)
        self._ender.connect("inproc://end")
        self._answer = answer
        self.taken = 0
        self.hold = False  # takes requests and does not answer
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def target(self, *, ready: bool = True) -> Target:
        return Target(self.name, HOST, self.port, ready)

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._end, zmq.POLLIN)
        while self._end not in (ready := dict(poller.poll())):
            if self._socket in ready:
                frames = self._socket.recv_multipart()
                self.taken += 1
                at = frames.index(b"") + 1 if self._socket.type == zmq.ROUTER else 0
                if not self.hold:
                    self._socket.send_multipart(frames[:at] + self._answer(frames[at:]))
        self._socket.close()
        self._end.close()

    def close(self) -> None:
        if self._thread.is_alive():
            self._ender.send(b"")
            self._thread.join()
            self._ender.close()
            self._context.term()


ZMQ = model.Route(protocol="zmq")


GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)
READY = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03REQ"


class Wire:
    """A client by bytes: what it sends is in the socket, at once."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port))
        self.socket.settimeout(20)
        self._peer = Peer(b"DEALER", self.socket.sendall)
        self._heard: list[bytes] = []
        while not self._peer.up:
            self._peer.feed(self.socket.recv(65_536))

    def say(self, *frames: bytes) -> None:
        self.socket.sendall(pack(frames))

    def hear(self) -> Frames:
        while not self._heard:
            data = self.socket.recv(65_536)
            assert data, "the connection has ended"
            self._heard += self._peer.feed(data)
        return unpack(self._heard.pop(0))

    def ask(self, *frames: bytes) -> Frames:
        self.say(*frames)
        return self.hear()


class Stage:
    def __init__(self) -> None:
        self.listener = socket.create_server((HOST, 0))
        self.address = f"tcp://{HOST}:{self.listener.getsockname()[1]}"
        self.context = zmq.Context()
        self.instances: list[Instance] = []
        self.clients: list[zmq.Socket[bytes]] = []
        self.wires: list[Wire] = []
        self.way = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.front = self.start()

    def start(self, **limits: float) -> MdpFront:
        self.front = MdpFront(
            self.listener.dup(),
            chance=random.Random(7),
            handover=Handover(*(end.dup() for end in self.way)),
            limits=Limits(**limits),  # type: ignore[arg-type]
        )
        self.front.start()
        return self.front

    def instance(self, name: str = "one", kind: int = zmq.REP, port: int = 0) -> Instance:
        self.instances.append(Instance(name, kind, lambda body: [name.encode(), *body], port))
        return self.instances[-1]

    def route(self, *targets: Target, expected: bool = False, repeat: bool = False) -> None:
        self.front.apply({"echo": Service("echo", targets, expected, ZMQ, model.Balance(repeat=repeat))})

    def client(self, kind: int = zmq.REQ, name: bytes = b"") -> zmq.Socket[bytes]:
        client = self.context.socket(kind)
        client.set(zmq.LINGER, 0)
        if name:
            client.set(zmq.IDENTITY, name)
        client.set(zmq.HEARTBEAT_IVL, 20)
        client.set(zmq.HEARTBEAT_TIMEOUT, 20_000)
        client.set(zmq.RCVTIMEO, 20_000)
        client.connect(self.address)
        self.clients.append(client)
        return client

    def wire(self) -> Wire:
        self.wires.append(Wire(self.listener.getsockname()[1]))
        return self.wires[-1]

    def close(self) -> None:
        self.front.stop(0.0)
        for wire in self.wires:
            wire.socket.close()
        for instance in self.instances:
            instance.close()
        for client in self.clients:
            client.close()
        self.context.term()
        for one in (self.listener, *self.way):
            one.close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


class MajordomoClient:
    """A client by the letter of RFC 7/MDP: a REQ socket, requests and replies of four frames and more."""

    def __init__(self, stage: Stage, name: bytes = b"") -> None:
        self._socket = stage.client(name=name)

    def ask(self, service: bytes, *body: bytes) -> Frames:
        self._socket.send_multipart([b"MDPC01", service, *body])
        header, named, *reply = self._socket.recv_multipart()
        assert (header, named) == (b"MDPC01", service)
        assert reply
        return reply


@pytest.mark.parametrize("kind", [zmq.REP, zmq.ROUTER])
def test_a_majordomo_client_is_answered_by_each_kind_of_instance(stage: Stage, kind: int) -> None:
    stage.route(stage.instance("one", kind).target(), stage.instance("two", kind).target())
    client = MajordomoClient(stage)
    answered: list[bytes] = []

    def both_have_answered() -> bool:
        who, *body = client.ask(b"echo", b"%d" % len(answered), b"", b"x" * 100_000)
        assert body == [b"%d" % len(answered), b"", b"x" * 100_000]
        answered.append(who)
        return set(answered) == {b"one", b"two"}

    eventually(both_have_answered)
    assert client.ask(b"mmi.service", b"echo") == [b"200"]
    assert client.ask(b"nobody", b"x")[:2] == [ERROR, b"404"]
    assert stage.front.stats()["echo"].requests == len(answered)


def test_a_dealer_has_many_requests_in_flight_and_all_are_answered(stage: Stage) -> None:
    stage.route(stage.instance("one").target(), stage.instance("two", zmq.ROUTER).target())
    client = stage.client(zmq.DEALER)
    for number in range(900):
        client.send_multipart([b"", b"MDPC01", b"echo", b"%d" % number])
    found = [client.recv_multipart() for _ in range(900)]
    assert {int(frames[-1]) for frames in found} == set(range(900))
    client.send_multipart([b"MDPC02", b"\x01", b"echo", b"a"])
    assert client.recv_multipart()[:3] == [b"MDPC02", b"\x03", b"echo"]


def test_an_instance_that_ends_with_requests_is_answered_for_and_its_successor_is_found(stage: Stage) -> None:
    first = stage.instance("one")
    first.hold = True
    stage.route(first.target())
    client = stage.client(zmq.DEALER)
    for _ in range(10):
        client.send_multipart([b"", b"MDPC01", b"echo", b"a"])
    eventually(lambda: stage.front.in_flight() == {"one": 10})
    eventually(lambda: first.taken == 1)  # a REP that does not answer takes no second one
    first.close()
    assert [client.recv_multipart()[3:5] for _ in range(10)] == [[ERROR, b"502"]] * 10
    stage.instance("one again", port=first.port)
    client.send_multipart([b"", b"MDPC01", b"echo", b"b"])
    assert client.recv_multipart()[3:] == [b"one again", b"b"]


def test_what_may_be_repeated_is_answered_by_another_instance(stage: Stage) -> None:
    first, second = stage.instance("one"), stage.instance("two")
    first.hold = second.hold = True
    stage.route(first.target(), second.target(), repeat=True)
    client = stage.client(zmq.DEALER)
    for number in range(20):
        client.send_multipart([b"", b"MDPC01", b"echo", b"%d" % number])
    eventually(lambda: sum(stage.front.in_flight().values()) == 20)
    third = stage.instance("three")
    stage.route(first.target(ready=False), second.target(ready=False), third.target(), repeat=True)
    assert MajordomoClient(stage).ask(b"echo", b"x") == [b"three", b"x"]
    first.close()
    second.close()
    found = [client.recv_multipart()[3:] for _ in range(20)]
    assert sorted(int(body) for _, body in found) == list(range(20))
    assert {who for who, _ in found} == {b"three"}


def test_a_draining_instance_answers_what_it_has_and_gets_nothing_new(stage: Stage) -> None:
    old, new = stage.instance("old", zmq.ROUTER), stage.instance("new")
    stage.route(old.target())
    client = MajordomoClient(stage)
    assert client.ask(b"echo", b"a") == [b"old", b"a"]
    stage.route(old.target(ready=False), new.target())
    for _ in range(20):
        eventually(lambda: stage.front.in_flight() == {})
        assert client.ask(b"echo", b"a") == [b"new", b"a"]


def test_what_follows_no_protocol_is_dropped_and_the_next_is_answered(stage: Stage) -> None:
    stage.route(stage.instance().target())
    client = stage.client(zmq.DEALER)
    chance = random.Random(3)
    for _ in range(200):
        client.send_multipart([chance.randbytes(chance.randrange(50)) for _ in range(chance.randrange(1, 8))])
    client.send_multipart([b"", b"MDPC01", b"echo", b"a"])
    assert client.recv_multipart() == [b"", b"MDPC01", b"echo", b"one", b"a"]


def test_an_instance_that_is_no_zeromq_socket_takes_no_request(stage: Stage) -> None:
    with socket.create_server((HOST, 0)) as stranger:
        stage.route(Target("stranger", HOST, stranger.getsockname()[1], True), stage.instance().target())
        client = MajordomoClient(stage)
        assert [client.ask(b"echo", b"a") for _ in range(20)] == [[b"one", b"a"]] * 20


def test_who_comes_back_by_its_own_name_gets_the_answers_that_it_waits_for(stage: Stage) -> None:
    instance = stage.instance("one", zmq.ROUTER)
    release = threading.Event()
    instance._answer = lambda body: body if release.wait(20) else []
    stage.route(instance.target())
    client = stage.client(zmq.DEALER, b"ann")
    client.send_multipart([b"", b"MDPC01", b"echo", b"a"])
    eventually(lambda: instance.taken == 1)
    client.close()
    again = stage.client(zmq.DEALER, b"ann")
    again.send_multipart([b"", b"MDPC01", b"nobody", b"b"])
    assert again.recv_multipart()[2] == b"nobody"  # it is there
    release.set()
    assert again.recv_multipart()[3:] == [b"a"]


def test_who_sends_a_message_without_end_or_no_zmtp_is_disconnected(stage: Stage) -> None:
    stage.route(stage.instance().target())
    for beginning, more in ((GREETING + READY, b"\x01\xff" + b"x" * 255), (b"GET / HTTP/1.1\r\n", b"\r\n")):
        with socket.create_connection((HOST, stage.listener.getsockname()[1])) as stranger:
            stranger.settimeout(20)
            with contextlib.suppress(ConnectionError):
                stranger.sendall(beginning + more * 200_000)
                while stranger.recv(65_536):
                    pass
    assert MajordomoClient(stage).ask(b"echo", b"a") == [b"one", b"a"]


def test_who_takes_no_answers_is_asked_for_no_more_requests_and_loses_none(stage: Stage) -> None:
    instance = stage.instance("one", zmq.ROUTER)
    instance._answer = lambda body: [b"x" * 100_000]
    stage.route(instance.target())
    with socket.create_connection((HOST, stage.listener.getsockname()[1])) as client:
        client.settimeout(20)
        client.sendall(GREETING + READY)
        sent = threading.Thread(target=client.sendall, args=(pack([b"", b"MDPC01", b"echo", b"a" * 1000]) * 500,))
        sent.start()
        eventually(lambda: instance.taken >= 10)
        answer = pack([b"", b"MDPC01", b"echo", b"x" * 100_000])
        data = bytearray()
        while len(data) < 500 * len(answer):
            data += client.recv(1 << 20)
        sent.join()
    assert data.endswith(answer * 500)
    assert MajordomoClient(stage).ask(b"echo", b"a") == [b"x" * 100_000]


def test_what_is_counted_of_each_instance_is_told(stage: Stage) -> None:
    stage.route(stage.instance("one").target(), stage.instance("two").target())
    client = MajordomoClient(stage)
    eventually(lambda: client.ask(b"mmi.service", b"echo") == [b"200"])
    for _ in range(20):
        client.ask(b"echo", b"x" * 1000)
    stats = stage.front.stats("echo")["echo"]
    assert (stats.requests, stats.errors, stats.classes) == (20, 0, {2: 20})
    assert 20_000 < stats.received < stats.sent < 21_000
    assert sum(stats.latency.counts) == 20
    assert sum(one.classes.get(2, 0) for one in stats.instances) == 20
    stage.route()
    assert client.ask(b"echo", b"a")[:2] == [ERROR, b"503"]
    stats = stage.front.stats("echo")["echo"]
    assert (stats.classes, stats.errors, stats.instances) == ({2: 20, 5: 1}, 1, ())


def test_who_asks_while_the_front_is_away_is_answered_by_the_next(stage: Stage) -> None:
    target = stage.instance().target()
    stage.route(target)
    client = MajordomoClient(stage)
    assert client.ask(b"echo", b"a") == [b"one", b"a"]
    stage.front.stop(1.0)
    stage.start()
    stage.route(target)
    assert client.ask(b"echo", b"b") == [b"one", b"b"]


def test_clients_are_left_to_a_successor_and_notice_nothing(stage: Stage) -> None:
    instance = stage.instance("one", zmq.ROUTER)
    release = threading.Event()
    instance._answer = lambda body: body if body != [b"slow"] or release.wait(20) else []
    stage.route(instance.target())
    idle, half, slow = stage.wire(), stage.wire(), stage.wire()
    usual = [b"", b"MDPC01", b"echo", b"a" * 300]
    for wire in (idle, half):
        assert wire.ask(*usual) == usual
    half.socket.sendall(pack(usual)[:200])
    slow.say(b"", b"MDPC01", b"echo", b"slow")
    eventually(lambda: instance.taken == 3)
    first, second = stage.front, stage.start()
    stage.route(instance.target())
    first.leave(5.0)
    eventually(lambda: first._clients._giving)
    slow.say(*usual)  # which is for the second
    stopping = threading.Thread(target=first.stop, args=(20.0,), kwargs={"patient": True})
    stopping.start()
    half.socket.sendall(pack(usual)[200:])
    idle.say(*usual)
    eventually(lambda: second.stats()["echo"].requests == 2)
    assert stopping.is_alive()
    release.set()
    assert [slow.hear(), slow.hear()] == [[b"", b"MDPC01", b"echo", b"slow"], usual]
    assert [half.hear(), idle.hear()] == [usual, usual]
    stopping.join()
    assert [front.stats()["echo"].requests for front in (first, second)] == [3, 3]


def test_what_is_given_while_nobody_takes_waits_for_who_comes(stage: Stage) -> None:
    target = stage.instance().target()
    stage.route(target)
    clients = [MajordomoClient(stage, b"number %d" % number) for number in range(300)]
    for client in clients:
        assert client.ask(b"echo", b"a") == [b"one", b"a"]
    leaving = threading.Thread(target=lambda front: (front.leave(5.0), front.stop(20.0)), args=(stage.front,))
    leaving.start()
    stage.start()
    stage.route(target)
    for client in clients:
        assert client.ask(b"echo", b"b") == [b"one", b"b"]
    leaving.join()


def test_dealers_that_never_rest_lose_nothing_while_fronts_come_and_go(stage: Stage) -> None:
    target = stage.instance("one", zmq.ROUTER).target()
    stage.route(target)
    clients = [stage.client(zmq.DEALER) for _ in range(3)]
    asked, found = Counter[int](), Counter[int]()
    for generation in range(4):
        for at, client in enumerate(clients):
            for _ in range(20 - asked[at] + found[at]):
                client.send_multipart([b"", b"MDPC01", b"echo", b"%d" % asked[at]])
                asked[at] += 1
        before = stage.front
        if generation < 3:
            stage.start()
            stage.route(target)
            before.leave(5.0)
            stopping = threading.Thread(target=before.stop, args=(20.0,))
            stopping.start()
        for turn in range(300):
            for at, client in enumerate(clients):
                assert client.recv_multipart()[3:] == [b"one", b"%d" % found[at]]
                found[at] += 1
                if generation < 3 or turn < 280:
                    client.send_multipart([b"", b"MDPC01", b"echo", b"%d" % asked[at]])
                    asked[at] += 1
        stopping.join()
    assert asked == found


def test_when_it_is_stopped_open_requests_are_answered_first(stage: Stage) -> None:
    instance = stage.instance("one", zmq.ROUTER)
    release = threading.Event()
    instance._answer = lambda body: [b"late"] if release.wait(20) else []
    stage.route(instance.target())
    client = stage.client(zmq.DEALER)
    client.send_multipart([b"", b"MDPC01", b"echo", b"a"])
    eventually(lambda: instance.taken == 1)
    stopping = threading.Thread(target=stage.front.stop, args=(20.0,))
    stopping.start()
    release.set()
    stopping.join()
    assert client.recv_multipart()[3:] == [b"late"]


def test_one_that_was_never_started_is_stopped(stage: Stage) -> None:
    MdpFront(stage.listener.dup(), chance=random.Random(1)).stop(0.0)


def test_several_data_paths_are_one(stage: Stage) -> None:
    both = Fronts([stage.front])
    both.apply({"echo": Service("echo", (stage.instance().target(),), False, ZMQ)})
    assert MajordomoClient(stage).ask(b"echo", b"a") == [b"one", b"a"]
    assert both.in_flight() == {}
    assert both.unheard() == {}
    assert both.stats()["echo"].requests == 1
