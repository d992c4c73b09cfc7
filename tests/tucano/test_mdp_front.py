"""The users' ZeroMQ front on real sockets: clients as others write them, REP and ROUTER instances."""

from __future__ import annotations

import contextlib
import random
import socket
import threading

import pytest
import zmq

from tests.helpers import eventually
from tests.tucano.mdp_kit import GREETING, HOST, READY, ZMQ, Instance, MajordomoClient, Stage
from tucano.actors.proxy import Fronts, Service, Target
from tucano.actors.proxy.mdp import ERROR, Broker
from tucano.actors.proxy.zmtp import MAX_MESSAGE, pack
from tucano.mdp_front import MdpFront


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


def test_an_instance_whose_answer_is_too_long_is_named(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    loud = Instance("loud", zmq.REP, lambda _: [bytes(MAX_MESSAGE + 1)])
    stage.instances.append(loud)
    stage.route(loud.target())
    client = MajordomoClient(stage)
    assert client.ask(b"echo", b"a")[:2] == [ERROR, b"502"]
    assert "the instance loud was disconnected (a message of more than 16777216 bytes)" in caplog.text


def test_a_bug_costs_one_connection_and_not_all(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stage.route(stage.instance().target())
    victim, other = stage.wire(), MajordomoClient(stage)
    monkeypatch.delattr(Broker, "_unknown")
    victim.say(b"", b"MDPC01", b"nobody", b"a")
    with pytest.raises(AssertionError, match="the connection has ended"):
        victim.hear()
    assert other.ask(b"echo", b"a") == [b"one", b"a"]
    assert "has no attribute '_unknown'" in caplog.text


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


def test_what_is_kept_for_clients_is_bounded_and_the_greatest_goes_first(stage: Stage) -> None:
    stage.front.stop(0.0)
    stage.start(kept_all=4_000_000)
    instance = stage.instance("one", zmq.ROUTER)
    instance._answer = lambda body: [b"x" * 1_000_000]
    stage.route(instance.target())
    greedy, small, other = stage.wire(), stage.wire(), stage.wire()
    beginning = b"\x01\x00\x02" + (1_000_000).to_bytes(8)
    small.socket.sendall(beginning + b"x" * 500_000)
    other.socket.sendall(beginning + b"x" * 500_000)
    for _ in range(50):
        greedy.say(b"", b"MDPC01", b"echo", b"a")  # and never reads
    eventually(lambda: instance.taken == 50)
    eventually(lambda: not stage.front._clients.waiting())
    with pytest.raises((AssertionError, ConnectionError)):
        greedy.hear_all()
    for wire in (small, other):
        wire.socket.sendall(b"x" * 500_000)
        wire.say(b"", b"MDPC01", b"nobody", b"a")
        assert wire.hear()[2] == b"nobody"


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
    with client.watched(zmq.EVENT_DISCONNECTED) as gone:
        assert client.ask(b"echo", b"a") == [b"one", b"a"]
        stage.front.stop(1.0)
        assert gone.poll(20_000), "what is sent before it has seen that may be lost with the connection"
    stage.start(target)
    assert client.ask(b"echo", b"b") == [b"one", b"b"]


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
    assert both.hearing() == {}
    assert both.stats()["echo"].requests == 1
