"""How a ZeroMQ front leaves its clients to the next one."""

from __future__ import annotations

import threading
from collections import Counter

import zmq

from tests.helpers import eventually
from tests.tucano.mdp_kit import MajordomoClient, Stage
from tucano.actors.proxy.zmtp import pack


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
