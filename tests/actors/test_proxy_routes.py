"""Routes, sticky sessions, places and limits with real traffic."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.actors.test_proxy_kit import Instance, Reply, Stage, Wire, answers, staged, until
from tests.actors.test_proxy_retry import hang_up, refusing
from tucano.actors.messages.model import Balance, Route, Timeouts
from tucano.actors.proxy import Service, Target
from tucano.actors.proxy.table import Table

GET = b"GET / HTTP/1.1\r\nHost: hello\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged(hold=0.3) as made:
        yield made


def get(stage: Stage, host: str, path: str = "/", *lines: str) -> Reply:
    head = "\r\n".join((f"GET {path} HTTP/1.1", f"Host: {host}", *lines))
    return stage.ask(f"{head}\r\n\r\n".encode())


def who(reply: Reply) -> bytes | None:
    return reply.head.value(b"x-tucano-instance")


def routed(stage: Stage, **rules: Route) -> None:
    """A service with one instance for each rule, all of the same name as their service."""
    stage.proxy.apply(
        {
            name: Service(name, (stage.instance(name).target(),), expected=False, route=rule)
            for name, rule in rules.items()
        }
    )


def test_requests_go_where_host_path_and_headers_say(stage: Stage) -> None:
    routed(
        stage,
        site=Route(("www.example.org", "*.example.org")),
        api=Route(("www.example.org",), "/api"),
        beta=Route(("www.example.org",), "/api", headers={"X-Beta": "yes"}),
        plain=Route(),
    )
    assert who(get(stage, "www.example.org", "/apis")) == b"site"
    assert who(get(stage, "WWW.example.org:80", "/api")) == b"api"
    assert who(get(stage, "www.example.org", "/api/x?a=/", "x-beta: yes")) == b"beta"
    assert who(get(stage, "a.b.example.org", "http://a.b.example.org/api")) == b"site"
    assert who(get(stage, "plain.other.org")) == b"plain"
    assert who(get(stage, "beta", "/api", "X-Beta: yes")) == b"beta"
    assert get(stage, "beta", "/api").status == 404
    assert get(stage, "example.org").status == 404


def test_a_new_table_is_a_new_directory(stage: Stage) -> None:
    routed(stage, one=Route(("a.b",)))
    assert [who(get(stage, "a.b")) for _ in range(3)] == [b"one"] * 3
    routed(stage, one=Route(("c.d",)), two=Route(("a.b",)))
    until(lambda: who(get(stage, "a.b")) == b"two")
    assert who(get(stage, "c.d")) == b"one"


@pytest.mark.parametrize(
    ("asked", "seen"),
    [("/api", "/"), ("/api/", "/"), ("/api/x/y?z=1", "/x/y?z=1"), ("/api?z", "/?z"), ("/api//x.y", "//x.y")],
)  # fmt: skip
def test_what_is_to_be_stripped_is_stripped_and_told(stage: Stage, asked: str, seen: str) -> None:
    (one,) = stage.serve(route=Route(path="/api", strip=True))
    assert get(stage, "hello", asked, "X-Forwarded-Prefix: /lie").status == 200
    assert one.heads[0].first == f"GET {seen} HTTP/1.1".encode()
    assert one.heads[0].value(b"x-forwarded-prefix") == b"/api"


def test_a_private_service_does_not_exist_for_users(stage: Stage) -> None:
    routed(stage, secret=Route(("a.b",), private=True), open=Route(("*.b",)))
    assert who(get(stage, "a.b")) == b"open"
    assert get(stage, "secret").body == get(stage, "absent").body.replace(b"absent", b"secret")
    assert get(stage, "secret").status == 404


def test_at_the_inside_port_private_services_are_found_too() -> None:
    loop = asyncio.new_event_loop()
    table = Table(loop, random.Random(7), lambda: 0.0)
    rules = {"secret": Route(("a.b",), private=True), "open": Route(("*.b",))}
    table.apply({name: Service(name, (), expected=False, route=rule) for name, rule in rules.items()})
    for directory, seen in ((table.users, "open"), (table.inside, "secret")):
        for _ in range(2):
            found = directory.known.get(b"a.b") or directory.find(b"a.b", b"/", b"")
            assert found is not None
            assert found.name == seen
    loop.close()


def test_a_sticky_user_stays_until_the_instance_goes(stage: Stage) -> None:
    instances = stage.serve(count=4, balance=Balance(sticky="seat"))
    first = get(stage, "hello")
    cookie = first.head.value(b"set-cookie")
    assert cookie is not None
    assert cookie.endswith(b"; Path=/; HttpOnly; SameSite=Lax")
    assert who(first) not in cookie  # type: ignore[operator]
    seat = cookie.partition(b";")[0].decode()
    for _ in range(20):
        reply = get(stage, "hello", "/", f"Cookie: a=b; {seat}; c=d")
        assert who(reply) == who(first)
        assert reply.head.value(b"set-cookie") is None
    left = [one for one in instances if one.name.encode() != who(first)]
    stage.route(*(one.target() for one in left), balance=Balance(sticky="seat"))
    until(lambda: who(get(stage, "hello", "/", f"Cookie: {seat}")) != who(first))
    moved = get(stage, "hello", "/", f"Cookie: {seat}").head.value(b"set-cookie")
    assert moved is not None
    assert who(get(stage, "hello", "/", f"Cookie: {moved.partition(b';')[0].decode()}")) in {
        one.name.encode() for one in left
    }


@pytest.mark.parametrize(
    ("hash_by", "line", "path"),
    [("header:X-User", "x-user: {}", "/"), ("cookie:user", "Cookie: z=1; user={}", "/"), ("path", "X: y", "/{}?q")],
)
def test_requests_of_one_key_meet_one_instance(stage: Stage, hash_by: str, line: str, path: str) -> None:
    stage.serve(count=4, balance=Balance("hash", hash_by))
    homes = {key: {who(get(stage, "hello", path.format(key), line.format(key))) for _ in range(3)} for key in range(20)}
    assert all(len(home) == 1 for home in homes.values())
    assert len({min(home) for home in homes.values() if home}) > 1  # type: ignore[type-var]


def test_an_instance_has_never_more_requests_open_than_it_may(stage: Stage) -> None:
    lock, open_now, most = threading.Lock(), Counter[str](), Counter[str]()

    def script(instance: Instance, wire: Wire) -> None:
        while wire.head() is not None:
            with lock:
                open_now[instance.name] += 1
                most[instance.name] = max(most[instance.name], open_now[instance.name])
            instance.go.wait(0.005)
            with lock:
                open_now[instance.name] -= 1
            wire.send(OK)

    stage.serve(script, count=3, balance=Balance(max_in_flight=2, queue=1000, queue_wait=20.0))
    wires = [stage.wire() for _ in range(40)]
    for _ in range(5):
        for wire in wires:
            wire.send(GET)
        assert {wire.reply().status for wire in wires} == {200}
    assert set(most.values()) == {2}


def waits(instance: Instance, wire: Wire) -> None:
    """Answer each request when the test lets one go."""
    while (head := wire.head()) is not None:
        instance.heads.append(head)
        instance.go.wait()
        wire.send(OK)


def test_who_waits_for_a_place_is_served_in_order_and_beyond_the_queue_nobody_waits(stage: Stage) -> None:
    (one,) = stage.serve(waits, balance=Balance(max_in_flight=1, queue=3, queue_wait=20.0))
    wires = []
    for number in range(4):
        wires.append(stage.wire())
        wires[-1].send(b"GET /%d HTTP/1.1\r\nHost: hello\r\n\r\n" % number)
        until(lambda: stage.open() == len(wires))
    refused = stage.ask()
    assert refused.status == 503
    assert refused.head.value(b"retry-after") == b"1"
    assert b"as many requests as they may" in refused.body
    one.go.set()
    assert [wire.reply().status for wire in wires] == [200] * 4
    assert [head.first.split()[1] for head in one.heads] == [b"/0", b"/1", b"/2", b"/3"]


def test_who_waits_in_vain_for_a_place_is_told(stage: Stage) -> None:
    stage.serve(waits, balance=Balance(max_in_flight=1, queue_wait=0.1))
    with stage.wire() as wire:
        wire.send(GET)
        until(stage.open)
        assert stage.ask().status == 503
        stage.instances[0].go.set()
        assert wire.reply().status == 200


def test_a_client_that_leaves_the_queue_is_forgotten(stage: Stage) -> None:
    (one,) = stage.serve(waits, balance=Balance(max_in_flight=1, queue_wait=20.0))
    with stage.wire() as first:
        first.send(GET)
        until(stage.open)
        second = stage.wire()
        second.send(GET)
        until(lambda: stage.open() == 2)
        second.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        second.file.close()
        second.sock.close()
        until(lambda: stage.open() == 1)
        one.go.set()
        assert first.reply().status == 200
    assert len(one.heads) == 1


@pytest.mark.parametrize("early", [True, False])
def test_who_has_most_likely_left_makes_room_for_who_waits(stage: Stage, early: bool) -> None:
    (one,) = stage.serve(waits, balance=Balance(max_in_flight=1, queue_wait=20.0))
    with stage.wire() as left, stage.wire() as here:
        left.send(GET)
        until(stage.open)
        if early:
            left.sock.shutdown(socket.SHUT_WR)
            here.send(GET)
        else:
            here.send(GET)
            until(lambda: stage.open() == 2)
            left.sock.shutdown(socket.SHUT_WR)
        assert left.closed()
        until(lambda: len(one.heads) == 2)
        one.go.set()
        assert here.reply().status == 200
    assert stage.proxy.stats()["hello"].classes == {2: 1, 4: 1}


def test_who_is_being_answered_makes_no_room_though_it_has_closed_its_side(stage: Stage) -> None:
    def halves(instance: Instance, wire: Wire) -> None:
        while (head := wire.head()) is not None:
            instance.heads.append(head)
            until(lambda: instance.bodies)  # the client has closed its side
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh")
            instance.go.wait()
            wire.send(b"i")

    (one,) = stage.serve(halves, balance=Balance(max_in_flight=1, queue_wait=20.0))
    with stage.wire() as first, stage.wire() as second:
        first.send(GET)
        until(lambda: one.heads)
        first.sock.shutdown(socket.SHUT_WR)
        until(lambda: stage.proxy._serving.result().half_closed)
        one.bodies.append(b"closed")
        head = first.head()
        assert head is not None
        second.send(GET)
        until(lambda: stage.open() == 2)
        one.go.set()
        assert first.exactly(2) == b"hi"
        assert second.reply().status == 200


def test_those_that_wait_go_to_an_instance_that_comes(stage: Stage) -> None:
    balance = Balance(max_in_flight=1, queue_wait=20.0)
    (one,) = stage.serve(waits, balance=balance)
    with stage.wire() as first, stage.wire() as second:
        first.send(GET)
        until(stage.open)
        second.send(GET)
        until(lambda: stage.open() == 2)
        stage.route(one.target(), stage.instance("new").target(), balance=balance)
        assert who(second.reply()) == b"new"
        one.go.set()
        assert first.reply().status == 200


def test_those_that_wait_see_it_when_the_cap_is_lifted_or_the_service_goes(stage: Stage) -> None:
    capped = Balance(max_in_flight=1, queue_wait=20.0)
    (one,) = stage.serve(waits, balance=capped)
    with stage.wire() as first, stage.wire() as second, stage.wire() as third:
        first.send(GET)
        until(stage.open)
        second.send(GET)
        until(lambda: stage.open() == 2)
        stage.route(one.target())
        until(lambda: len(one.heads) == 2)
        stage.proxy.apply(
            {
                "hello": Service("hello", (one.target(),), expected=False, balance=capped),
                "mark": Service("mark", (), expected=False),
            }
        )
        until(lambda: get(stage, "mark").status == 503)  # the table is in effect
        third.send(GET)
        until(lambda: stage.open() == 3)
        stage.proxy.apply({})
        assert third.reply().status == 404
        one.go.set()
        assert [first.reply().status, second.reply().status] == [200, 200]


def test_an_instance_that_keeps_failing_by_its_own_word_is_ejected(stage: Stage) -> None:
    bad = stage.instance("bad", answers(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"))
    good = stage.instance("good")
    stage.route(bad.target(), good.target(), balance=Balance(eject_after=3))
    statuses = Counter(get(stage, "hello").status for _ in range(60))
    # Three eject it; it may have come back once for each second that this took.
    assert 3 <= statuses[503] <= 10
    assert statuses[200] + statuses[503] == 60


def test_weights_steer_real_requests(stage: Stage) -> None:
    one, none = stage.instance("one"), stage.instance("none")
    stage.route(one.target(), none.target()._replace(weight=0.0))
    assert {who(get(stage, "hello")) for _ in range(20)} == {b"one"}


def silent(instance: Instance, wire: Wire) -> None:
    """Take requests and say nothing."""
    while (head := wire.head()) is not None:
        instance.heads.append(head)


def begins(instance: Instance, wire: Wire) -> None:
    """Begin an answer and stop in the middle of its body."""
    wire.head()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
    wire.head()


def test_an_answer_that_does_not_begin_in_time_is_told_with_the_limit(stage: Stage) -> None:
    stage.serve(silent, timeouts=Timeouts(first_byte=0.2))
    reply = get(stage, "hello", "/", "Accept: application/json")
    assert reply.status == 504
    assert json.loads(reply.body)["what"] == (
        "the instance of hello did not begin its answer within 0.2 s (timeouts.first_byte)."
    )
    until(lambda: not stage.proxy.in_flight())
    assert stage.proxy.stats()["hello"].errors == 1


def test_an_answer_that_stops_in_the_middle_is_cut_so_that_its_reader_sees_it(stage: Stage) -> None:
    stage.serve(begins, timeouts=Timeouts(idle=0.2))
    with stage.wire() as wire:
        wire.send(GET)
        with pytest.raises((EOFError, ConnectionResetError)):
            wire.reply()
    until(lambda: not stage.proxy.in_flight())


def test_an_answer_that_goes_on_may_take_longer_than_the_limit_between_its_bytes(stage: Stage) -> None:
    def script(instance: Instance, wire: Wire) -> None:
        wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n")
        for _ in range(25):
            instance.go.wait(0.1)
            wire.send(b"x")
        wire.head()

    stage.serve(script, timeouts=Timeouts(first_byte=2.0, idle=2.0))
    assert get(stage, "hello").body == b"x" * 25


def test_the_limit_of_the_whole_holds_however_the_answer_proceeds(stage: Stage) -> None:
    def script(instance: Instance, wire: Wire) -> None:
        wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
        while not instance.go.wait(0.01):
            wire.send(b"x")

    stage.serve(script, timeouts=Timeouts(request=0.3))
    with stage.wire() as wire:
        wire.send(GET)
        with pytest.raises((EOFError, ConnectionResetError)):
            wire.reply()


def test_the_limit_of_the_whole_counts_waiting_for_an_instance_too(stage: Stage) -> None:
    stage.serve(waits, balance=Balance(max_in_flight=1, queue_wait=20.0), timeouts=Timeouts(request=0.2))
    with stage.wire() as first, stage.wire() as second:
        first.send(GET)
        second.send(GET)
        for reply in (first.reply(), second.reply()):
            assert reply.status == 504
            assert b"timeouts.request" in reply.body
    until(lambda: not stage.open())


def test_an_instance_that_stops_reading_a_request_is_told(stage: Stage) -> None:
    def script(instance: Instance, wire: Wire) -> None:
        instance.go.wait()

    stage.serve(script, timeouts=Timeouts(idle=2.0))  # a sender that gets no processor for so long would be late itself
    size = 64 * 1024 * 1024
    with stage.wire() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: hello\r\nContent-Length: %d\r\n\r\n" % size)
        sender = threading.Thread(target=flood, args=(wire.sock, size))
        sender.start()
        reply = wire.reply()
        assert reply.status == 504
        assert b"did not go on reading" in reply.body
        wire.close()
        sender.join()


def flood(sock: socket.socket, size: int) -> None:
    try:
        sock.sendall(b"x" * size)
    except OSError:
        return  # the proxy had enough


def test_a_tunnel_in_which_nothing_is_said_ends(stage: Stage) -> None:
    def script(instance: Instance, wire: Wire) -> None:
        wire.head()
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        while data := wire.file.read1():
            wire.send(data)

    stage.serve(script, timeouts=Timeouts(first_byte=0.2, idle=0.2, tunnel=2.0, request=0.2))
    with stage.wire() as wire:
        wire.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"))
        assert wire.head() is not None
        for _ in range(8):  # longer than any of the limits
            threading.Event().wait(0.1)
            wire.send(b"x")
            assert wire.exactly(1) == b"x"
        assert wire.closed()
    until(lambda: not stage.proxy.in_flight())


def test_an_instance_that_does_not_accept_in_time_is_told() -> None:
    with staged(hold=0.2) as stage, socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):  # takes the only place of the queue
            stage.route(Target("full", "127.0.0.1", full.getsockname()[1], ready=True), timeouts=Timeouts(connect=0.1))
            reply = get(stage, "hello")
            assert reply.status == 504
            assert b"timeouts.connect" in reply.body


def test_beyond_the_budget_requests_are_not_tried_again(stage: Stage) -> None:
    bad, good = stage.instance("bad", hang_up), stage.instance("good")
    stage.route(bad.target(), good.target(), balance=Balance(eject_after=0))
    statuses = Counter(get(stage, "hello").status for _ in range(600))
    stats = stage.proxy.stats()["hello"]
    assert statuses[503] > 0
    assert statuses[200] + statuses[503] == 600
    assert stats.errors == statuses[503]


def test_waiting_for_an_instance_spends_no_budget() -> None:
    with staged(hold=20.0) as stage:
        stage.route(refusing())
        wires = [stage.wire() for _ in range(300)]
        for wire in wires:
            wire.send(GET)
        until(lambda: stage.proxy.stats()["hello"].retries >= 300)  # all were refused, and wait
        stage.route(stage.instance("good").target())
        assert {wire.reply().status for wire in wires} == {200}
