"""The proxy on real sockets: routing, framing, pipelining, upgrades, refusals."""

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actors.test_proxy_head import SMUGGLING
from tests.actors.test_proxy_kit import Instance, Stage, Wire, answers, staged, until
from tucano.actors.messages import model
from tucano.actors.proxy import Proxy, Service, Timeouts

GET = b"GET / HTTP/1.1\r\nHost: hello\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged(hold=0.3) as made:
        yield made


def test_a_request_is_answered_by_an_instance_that_is_named(stage: Stage) -> None:
    (one,) = stage.serve()
    reply = stage.ask(b"GET /a?b HTTP/1.1\r\nHost: HELLO.localhost:80\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n")
    assert reply.status == 200
    assert reply.head.value(b"x-tucano-instance") == b"hello-0"
    assert one.heads[0].first == b"GET /a?b HTTP/1.1"
    assert one.heads[0].value(b"x-forwarded-for") == b"127.0.0.1"
    assert one.heads[0].value(b"x-forwarded-proto") == b"http"
    assert one.heads[0].value(b"x-forwarded-host") == b"HELLO.localhost:80"


def test_requests_one_after_the_other_reach_all_instances(stage: Stage) -> None:
    stage.serve(count=3)
    with stage.wire() as wire:
        seen = Counter(wire.ask(GET).head.value(b"x-tucano-instance") for _ in range(60))
    assert len(seen) == 3


def test_connections_to_instances_are_kept(stage: Stage) -> None:
    (one,) = stage.serve()
    for _ in range(10):
        stage.ask()
    assert one.connections == 1


def test_an_unknown_service_is_404_and_says_what_to_do(stage: Stage) -> None:
    stage.serve()
    reply = stage.ask(b"GET / HTTP/1.1\r\nHost: other\r\nAccept: text/html, application/json\r\n\r\n")
    assert reply.status == 404
    assert reply.body.endswith(b"}\n")
    said = json.loads(reply.body)
    assert said["what"] == "no service is called other, or has this host and path."
    assert said["do"]


def test_a_service_without_ready_instances_is_503_at_once(stage: Stage) -> None:
    (one,) = stage.serve()
    stage.route(one.target(ready=False))
    reply = stage.ask()
    assert reply.status == 503
    assert reply.head.value(b"retry-after") == b"1"
    assert reply.body.endswith(b"\n")
    assert stage.proxy.stats()["hello"].errors == 1


def test_an_error_leaves_the_connection_usable(stage: Stage) -> None:
    stage.serve()
    with stage.wire() as wire:
        assert wire.ask(b"GET / HTTP/1.1\r\nHost: other\r\n\r\n").status == 404
        assert wire.ask(b"HEAD / HTTP/1.1\r\nHost: other\r\n\r\n", "HEAD").status == 404
        assert wire.ask(GET).status == 200


@pytest.mark.parametrize("head", SMUGGLING.values(), ids=SMUGGLING.keys())
def test_what_could_be_read_in_two_ways_reaches_no_instance(stage: Stage, head: bytes) -> None:
    (one,) = stage.serve()
    with stage.wire() as wire:
        wire.send(head + GET)
        assert wire.reply().status == 400
        assert wire.closed()
    assert not one.heads


def test_a_bad_chunk_breaks_off_what_was_begun(stage: Stage) -> None:
    (one,) = stage.serve()
    with stage.wire() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: hello\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        until(lambda: one.connections)
        wire.send(b"0;\n\nGET /smuggled HTTP/1.1\nHost: hello\n\n\r\n")
        assert wire.reply().status == 400
        assert wire.closed()
    until(lambda: not stage.proxy.in_flight())
    assert not one.bodies


def test_every_cut_of_a_pipeline_gives_the_same_answers(stage: Stage) -> None:
    (one,) = stage.serve()
    pipeline = (
        b"GET /1 HTTP/1.1\r\nHost: hello\r\n\r\n"
        b"POST /2 HTTP/1.1\r\nHost: hello\r\nContent-Length: 3\r\n\r\nabc"
        b"POST /3 HTTP/1.1\r\nHost: hello\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n"
        b"GET /4 HTTP/1.1\r\nHost: hello\r\n\r\n"
    )
    with stage.wire() as wire:
        wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(pipeline)):
            one.heads.clear()
            one.bodies.clear()
            wire.send(pipeline[:cut])
            wire.send(pipeline[cut:])
            replies = [wire.reply() for _ in range(4)]
            assert [reply.body.split()[1] for reply in replies] == [b"/1", b"/2", b"/3", b"/4"]
            assert one.bodies == [b"", b"abc", b"de", b""]


def test_trailers_and_chunks_are_passed_both_ways(stage: Stage) -> None:
    def script(instance: Instance, wire: Wire) -> None:
        head = wire.head()
        assert head is not None
        body, trailers = wire.chunks()
        instance.bodies += [body, *trailers]
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 2\r\n\r\n")

    (one,) = stage.serve(script)
    reply = stage.ask(
        b"POST / HTTP/1.1\r\nHost: hello\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n"
        b"4\r\nwxyz\r\n0\r\nX-Sum: 1\r\n\r\n"
    )
    assert one.bodies == [b"wxyz", b"X-Sum: 1"]
    assert (reply.body, reply.trailers) == (b"abc", [b"X-Sum: 2"])


def test_100_continue_is_asked_of_the_instance(stage: Stage) -> None:
    def script(instance: Instance, wire: Wire) -> None:
        head = wire.head()
        assert head is not None
        instance.heads.append(head)
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        instance.bodies.append(wire.exactly(5))
        wire.send(OK)

    (one,) = stage.serve(script)
    with stage.wire() as wire:
        wire.send(b"PUT / HTTP/1.1\r\nHost: hello\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert wire.reply().status == 100
        wire.send(b"hello")
        assert wire.reply().status == 200
    assert one.heads[0].value(b"expect") == b"100-continue"
    assert one.bodies == [b"hello"]


def test_an_answer_before_the_body_closes_after_it(stage: Stage) -> None:
    def script(instance: Instance, wire: Wire) -> None:
        wire.head()
        wire.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
        wire.file.read()

    stage.serve(script)
    with stage.wire() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: hello\r\nContent-Length: 500000\r\n\r\n" + b"a" * 100_000)
        reply = wire.reply()
        assert (reply.status, reply.body, reply.head.value(b"connection")) == (413, b"no", b"close")
        assert wire.closed()


def test_answers_without_body_are_not_waited_for(stage: Stage) -> None:
    def script(instance: Instance, wire: Wire) -> None:
        while (head := wire.head()) is not None:
            status = head.first.split()[1][1:]
            wire.send(b"HTTP/1.1 %b X\r\nContent-Length: 7\r\n\r\n" % status)

    (one,) = stage.serve(script)
    with stage.wire() as wire:
        assert wire.ask(b"HEAD /200 HTTP/1.1\r\nHost: hello\r\n\r\n", "HEAD").head.value(b"content-length") == b"7"
        assert wire.ask(b"GET /304 HTTP/1.1\r\nHost: hello\r\n\r\n").status == 304
        assert wire.ask(b"GET /204 HTTP/1.1\r\nHost: hello\r\n\r\n").head.value(b"content-length") is None
        assert wire.ask(b"HEAD /200 HTTP/1.1\r\nHost: hello\r\n\r\n", "HEAD").status == 200
    assert one.connections == 1


def test_an_answer_delimited_by_its_end_is_delimited_by_its_end(stage: Stage) -> None:
    stage.serve(answers(b"HTTP/1.1 200 OK\r\n\r\n", b"abc", b"def", close=True))
    with stage.wire() as wire:
        reply = wire.ask(GET)
        assert (reply.body, reply.head.value(b"connection")) == (b"abcdef", b"close")
    assert stage.proxy.stats()["hello"].classes == {2: 1}


def test_a_client_of_http_10_gets_no_chunks(stage: Stage) -> None:
    stage.serve(answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"))
    with stage.wire() as wire:
        reply = wire.ask(b"GET / HTTP/1.0\r\nHost: hello\r\nConnection: keep-alive\r\n\r\n")
        assert (reply.body, reply.head.value(b"transfer-encoding")) == (b"abcde", None)


def test_a_client_of_http_10_may_keep_its_connection(stage: Stage) -> None:
    stage.serve()
    with stage.wire() as wire:
        for _ in range(2):
            reply = wire.ask(b"GET / HTTP/1.0\r\nHost: hello\r\nConnection: keep-alive\r\n\r\n")
            assert reply.head.value(b"connection") == b"keep-alive"
        wire.ask(b"GET / HTTP/1.0\r\nHost: hello\r\n\r\n")
        assert wire.closed()


def test_close_is_answered_with_close(stage: Stage) -> None:
    (one,) = stage.serve()
    with stage.wire() as wire:
        reply = wire.ask(b"GET / HTTP/1.1\r\nHost: hello\r\nConnection: close\r\n\r\n")
        assert reply.head.value(b"connection") == b"close"
        assert wire.closed()
    assert one.heads[0].value(b"connection") is None


def test_a_client_that_sends_no_more_still_gets_its_answers(stage: Stage) -> None:
    stage.serve()
    with stage.wire() as wire:
        wire.send(GET * 50)
        wire.sock.shutdown(socket.SHUT_WR)
        assert [wire.reply().status for _ in range(50)] == [200] * 50
        assert wire.closed()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nX: a\nb\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 40_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 200 OK\r\nX: a\n",
    ],
)
def test_an_instance_that_speaks_nonsense_is_502(stage: Stage, nonsense: bytes) -> None:
    stage.serve(answers(nonsense))
    with stage.wire() as wire:
        assert wire.ask(GET).status == 502
        assert wire.ask(GET).status == 502


def test_a_cut_answer_is_never_silently_complete(stage: Stage) -> None:
    for begun in (b"Content-Length: 10\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"):
        stage.serve(answers(b"HTTP/1.1 200 OK\r\n" + begun, close=True))
        with stage.wire() as wire, pytest.raises((EOFError, ConnectionResetError, ValueError)):
            wire.ask(GET)


def test_a_bad_chunk_in_an_answer_delimited_for_http_10_resets(stage: Stage) -> None:
    def script(instance: Instance, wire: Wire) -> None:
        wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        instance.go.wait()
        wire.send(b"zz\r\n")
        wire.file.read()

    (one,) = stage.serve(script)
    with stage.wire() as wire:
        wire.send(b"GET / HTTP/1.0\r\nHost: hello\r\n\r\n")
        assert wire.head() is not None
        assert wire.exactly(5) == b"hello"
        one.go.set()
        with pytest.raises(ConnectionResetError):
            wire.file.read()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x\r\nbc\r\n0\r\nX-T: 1\r\n\r\n",
    ],
)
def test_every_cut_of_an_answer_gives_the_same_answer(stage: Stage, answer: bytes) -> None:
    cut = 0

    def script(instance: Instance, wire: Wire) -> None:
        wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while wire.head() is not None:
            wire.send(answer[:cut])
            wire.send(answer[cut:])

    (one,) = stage.serve(script)
    with stage.wire() as wire:
        for here in range(1, len(answer)):
            cut = here
            reply = wire.ask(GET)
            if reply.status == 100:
                reply = wire.reply()
            assert (reply.status, reply.body) == (200, b"abc")
    assert one.connections == 1


def test_an_idle_connection_that_speaks_is_closed(stage: Stage) -> None:
    def script(instance: Instance, wire: Wire) -> None:
        wire.head()
        wire.send(OK)
        instance.go.wait()
        wire.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        instance.bodies.append(wire.file.read())

    (one,) = stage.serve(script)
    assert stage.ask().status == 200
    one.go.set()
    until(lambda: one.bodies or one.errors)
    assert stage.ask().body == b"ok"
    assert one.connections == 2


def test_a_bad_chunk_at_once_reaches_no_instance(stage: Stage) -> None:
    (one,) = stage.serve()
    with stage.wire() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: hello\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n")
        assert wire.reply().status == 400
        assert wire.closed()
    assert not one.connections


def test_bytes_that_nobody_asked_for_become_nobodys_answer(stage: Stage) -> None:
    (one,) = stage.serve(answers(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
    with stage.wire() as wire:
        assert [wire.ask(GET).body for _ in range(5)] == [b"ok"] * 5
    assert one.connections == 5


def tunnel(instance: Instance, wire: Wire) -> None:
    instance.heads.append(wire.head())  # type: ignore[arg-type]
    wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhi")
    while data := wire.file.read1():
        wire.send(data)
    wire.send(b"bye")


UPGRADE = b"GET / HTTP/1.1\r\nHost: hello\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"


def test_who_sends_no_more_and_is_not_answered_has_left_but_not_who_is_being_answered() -> None:
    def half(instance: Instance, wire: Wire) -> None:
        while (head := wire.head()) is not None:
            if head.first.startswith(b"GET /long "):
                wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh")
                instance.go.wait()
                wire.send(b"i")

    with staged(timeouts=Timeouts(half_closed=0.2, head=0.4)) as stage:  # which bounds how often it is looked
        (one,) = stage.serve(half)
        with stage.wire() as answered, stage.wire() as waiting:
            answered.send(b"GET /long HTTP/1.1\r\nHost: hello\r\n\r\n")
            assert answered.head() is not None
            answered.sock.shutdown(socket.SHUT_WR)
            waiting.send(GET)
            until(lambda: stage.open() == 2)
            waiting.sock.shutdown(socket.SHUT_WR)
            assert waiting.closed()
            until(lambda: stage.open() == 1)
            one.go.set()
            assert answered.exactly(2) == b"hi"
        assert stage.proxy.stats()["hello"].classes == {2: 1, 4: 1}


def test_an_upgraded_connection_is_a_tunnel_both_ways(stage: Stage) -> None:
    (one,) = stage.serve(tunnel)
    with stage.wire() as wire:
        wire.send(UPGRADE + b"early")
        head = wire.head()
        assert head is not None
        assert head.value(b"upgrade") == b"echo"
        assert wire.exactly(7) == b"hiearly"
        wire.send(GET)
        assert wire.exactly(len(GET)) == GET
        assert stage.proxy.in_flight() == {"hello-0": 1}
        wire.sock.shutdown(socket.SHUT_WR)
        assert wire.file.read() == b"bye"
    until(lambda: not stage.proxy.in_flight())
    assert one.heads[0].value(b"upgrade") == b"echo"
    assert stage.proxy.stats()["hello"].classes == {1: 1}


def test_a_tunnel_ends_when_the_instance_has_nothing_more_to_say(stage: Stage) -> None:
    def script(instance: Instance, wire: Wire) -> None:
        wire.head()
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\nbye")
        wire.sock.shutdown(socket.SHUT_WR)
        instance.bodies.append(wire.file.read())

    (one,) = stage.serve(script)
    with stage.wire() as wire:
        wire.send(UPGRADE)
        assert wire.head() is not None
        assert wire.file.read() == b"bye"
        wire.send(b"and bye")
        wire.sock.shutdown(socket.SHUT_WR)
        until(lambda: one.bodies == [b"and bye"])
    until(lambda: not stage.proxy.in_flight())


def test_a_tunnel_that_is_cut_ends_for_both(stage: Stage) -> None:
    (one,) = stage.serve(tunnel)
    with stage.wire() as wire:
        wire.send(UPGRADE)
        assert wire.head() is not None
        assert wire.exactly(2) == b"hi"
        one.close()
        wire.file.read()
    until(lambda: not stage.proxy.in_flight())


@pytest.mark.parametrize("agreed", [b"", b"Upgrade: h2c\r\n", b"Upgrade: echo, other\r\n"])
def test_an_instance_cannot_choose_a_protocol_that_was_not_offered(stage: Stage, agreed: bytes) -> None:
    stage.serve(answers(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n" + agreed + b"\r\n"))
    with stage.wire() as wire:
        assert wire.ask(UPGRADE).status == 502
        assert wire.ask(UPGRADE).status == 502


def test_empty_lines_before_a_request_are_ignored_however_they_are_cut(stage: Stage) -> None:
    stage.serve()
    asked = b"\r\n\r\n" + GET + b"\r\n" + GET
    with stage.wire() as wire:
        wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(asked)):
            wire.send(asked[:cut])
            wire.send(asked[cut:])
            assert [wire.reply().status, wire.reply().status] == [200, 200]


def test_an_upgrade_that_is_declined_leaves_http(stage: Stage) -> None:
    (one,) = stage.serve()
    with stage.wire() as wire:
        wire.send(UPGRADE + GET)
        assert [wire.reply().status, wire.reply().status] == [200, 200]
    assert len(one.heads) == 2


def test_timeouts_are_answered_or_closed(stage: Stage) -> None:
    del stage
    timeouts = Timeouts(head=0.2, idle=0.2, stall=0.2, linger=0.2)
    with staged(timeouts=timeouts) as quick:
        (one,) = quick.serve(timeouts=model.Timeouts(idle=0.2))
        with quick.wire() as silent, quick.wire() as head, quick.wire() as body, quick.wire() as idle:
            head.send(b"GET / HT")
            body.send(b"POST / HTTP/1.1\r\nHost: hello\r\nContent-Length: 5\r\n\r\nab")
            assert idle.ask(GET).status == 200
            assert head.reply().status == 408
            assert body.reply().status == 408
            assert all(wire.closed() for wire in (silent, head, body, idle))
        until(lambda: not quick.proxy.in_flight())
        assert not one.bodies[1:]


def test_each_request_is_a_line_in_the_log(tmp_path: Path) -> None:
    with staged(access_log=tmp_path / "log") as stage:
        stage.serve()
        with stage.wire() as wire:
            wire.ask(b'GET /"a" HTTP/1.1\r\nHost: hello\r\nUser-Agent: "x"\r\nReferer: r\r\n\r\n')
            wire.ask(b"GET / HTTP/1.1\r\nHost: other\r\n\r\n")
            wire.ask(b"nonsense\r\n\r\n")
        until(lambda: len((tmp_path / "log").read_bytes().splitlines()) == 3)
    good, unknown, bad = (tmp_path / "log").read_text().splitlines()
    assert good.startswith("127.0.0.1 - - [")
    assert r'"GET /\x22a\x22 HTTP/1.1" 200 ' in good
    assert r'"r" "\x22x\x22" hello-0 ' in good
    assert '"GET / HTTP/1.1" 404 ' in unknown
    assert '"nonsense" 400 ' in bad


def test_statistics_are_kept_per_service(stage: Stage) -> None:
    stage.serve()
    for _ in range(3):
        stage.ask()
    stats = stage.proxy.stats()["hello"]
    assert (stats.requests, stats.errors, stats.retries, stats.in_flight, stats.classes) == (3, 0, 0, 0, {2: 3})


def test_start_tells_what_is_wrong(tmp_path: Path) -> None:
    import random

    listener = socket.create_server(("127.0.0.1", 0))
    proxy = Proxy(listener, access_log=tmp_path / "absent" / "log", chance=random.Random(7))
    with pytest.raises(FileNotFoundError):
        proxy.start()
    proxy.stop(0)
    assert listener.fileno() == -1
    assert not [thread for thread in threading.enumerate() if thread.name == "tucano-proxy"]


def test_a_table_applied_before_the_start_is_in_effect_after_it() -> None:
    import random

    instance = Instance()
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = Proxy(listener, chance=random.Random(7))
    proxy.apply({"hello": Service("hello", (instance.target(),), expected=False)})
    address = listener.getsockname()
    proxy.start()
    with Wire(socket.create_connection(address)) as wire:
        assert wire.ask(GET).status == 200
    proxy.stop(1)
    proxy.apply({})  # after the end: nothing to change, nothing to complain about
    proxy.stop(1)
    instance.close()
