"""When instances fail: what may be repeated is repeated, what may not is told, nobody waits for ever."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tests.actors.test_proxy_kit import Instance, Stage, Wire, answers, staged, until
from tucano.actors.proxy import Target

GET = b"GET / HTTP/1.1\r\nHost: hello\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: hello\r\nContent-Length: 3\r\n\r\nabc"
PUT = POST.replace(b"POST", b"PUT")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged(hold=0.5) as made:
        yield made


def refusing() -> Target:
    """A target where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return Target("gone", "127.0.0.1", free.getsockname()[1], True)


def hang_up(instance: Instance, wire: Wire) -> None:
    """Read a request and close."""
    head = wire.head()
    if head is not None:
        instance.bodies.append(wire.body(head)[0])
        instance.heads.append(head)


@pytest.mark.parametrize("request_bytes", [GET, POST, PUT], ids=["GET", "POST", "PUT"])
def test_any_request_goes_elsewhere_when_an_instance_refuses(stage: Stage, request_bytes: bytes) -> None:
    good = stage.instance("good")
    stage.route(refusing(), good.target())
    for _ in range(10):
        assert stage.ask(request_bytes).head.value(b"x-tucano-instance") == b"good"


def test_an_instance_that_refused_is_avoided_for_a_while(stage: Stage) -> None:
    good = stage.instance("good")
    stage.route(refusing(), good.target())
    for _ in range(20):
        stage.ask()
    assert stage.proxy.stats()["hello"].retries <= 2


@pytest.mark.parametrize("request_bytes", [GET, PUT], ids=["GET", "PUT"])
def test_what_may_be_repeated_is_repeated_elsewhere(stage: Stage, request_bytes: bytes) -> None:
    bad, good = stage.instance("bad", hang_up), stage.instance("good")
    stage.route(bad.target(), good.target())
    for _ in range(20):
        assert stage.ask(request_bytes).head.value(b"x-tucano-instance") == b"good"
    assert bad.heads, "the lots never fell on the bad one"
    if request_bytes is PUT:
        assert set(good.bodies) == {b"abc"}


def mute(instance: Instance, wire: Wire) -> None:
    """Read a request, and say nothing until told: as a machine that is gone without a word."""
    head = wire.head()
    if head is not None:
        instance.bodies.append(wire.body(head)[0])
        instance.go.wait(20)
        wire.send(OK)


@pytest.mark.parametrize("request_bytes", [GET, PUT], ids=["GET", "PUT"])
def test_what_waits_for_an_instance_that_leaves_the_table_is_repeated_elsewhere(
    stage: Stage, request_bytes: bytes
) -> None:
    gone, good = stage.instance("gone", mute), stage.instance("good")
    stage.route(gone.target())
    with stage.wire() as wire:
        wire.send(request_bytes)
        until(lambda: gone.bodies)
        stage.route(good.target())
        assert wire.reply().head.value(b"x-tucano-instance") == b"good"
    assert stage.open() == 0


def test_what_may_not_be_repeated_still_has_its_answer_from_an_instance_that_leaves_the_table(stage: Stage) -> None:
    gone, good = stage.instance("gone", mute), stage.instance("good")
    stage.route(gone.target())
    with stage.wire() as wire:
        wire.send(POST)
        until(lambda: gone.bodies)
        stage.route(good.target())
        gone.go.set()
        assert wire.reply().head.value(b"x-tucano-instance") == b"gone"


def test_a_get_goes_on_where_there_is_no_other_instance(stage: Stage) -> None:
    gone = stage.instance("gone", mute)
    stage.route(gone.target())
    with stage.wire() as wire:
        wire.send(GET)
        until(lambda: gone.bodies)
        stage.route()
        gone.go.set()
        assert wire.reply().head.value(b"x-tucano-instance") == b"gone"


def test_a_get_goes_on_at_an_instance_that_was_draining_when_it_left(stage: Stage) -> None:
    leaving, good = stage.instance("leaving", mute), stage.instance("good")
    stage.route(leaving.target())
    with stage.wire() as wire:
        wire.send(GET)
        until(lambda: leaving.bodies)
        stage.route(leaving.target(ready=False), good.target())
        assert stage.ask().head.value(b"x-tucano-instance") == b"good"
        stage.route(good.target())
        leaving.go.set()
        assert wire.reply().head.value(b"x-tucano-instance") == b"leaving"


def test_what_may_not_be_repeated_is_told(stage: Stage) -> None:
    (bad,) = stage.serve(hang_up)
    good = stage.instance("good")
    reply = stage.ask(POST)
    assert reply.status == 502
    assert b"may or may not" in reply.body
    assert len(bad.heads) == 1
    assert not good.heads


def test_a_body_that_is_no_longer_held_is_not_repeated(stage: Stage) -> None:
    (bad,) = stage.serve(hang_up)
    assert stage.ask(b"PUT / HTTP/1.1\r\nHost: hello\r\nContent-Length: 70000\r\n\r\n" + b"a" * 70000).status == 502
    assert len(bad.heads) == 1


def test_a_request_after_the_first_byte_of_its_answer_is_not_repeated(stage: Stage) -> None:
    (bad,) = stage.serve(answers(b"HTTP/1.1 20", close=True))
    assert stage.ask().status == 502
    assert len(bad.heads) == 1


def test_a_request_that_kills_instances_kills_few(stage: Stage) -> None:
    instances = stage.serve(hang_up, count=8)
    assert stage.ask().status == 502
    assert sum(len(one.heads) for one in instances) == 3


def test_an_instance_that_is_killed_costs_a_request_its_connections_and_counts_once(stage: Stage) -> None:
    """As Linux ends a process: its connections one by one, its listener last."""
    last = threading.Barrier(4)  # those that are kept, and then one that is made too late

    def die(instance: Instance, wire: Wire) -> None:
        head = wire.head()
        if instance.go.is_set():
            wire.send(OK)
        elif instance.connections <= 3 and head is not None:
            last.wait(20)
            wire.send(OK)
            wire.head()
        else:
            instance.go.set()

    dying = stage.instance("dying", die)
    stage.route(dying.target())
    wires = [stage.wire() for _ in range(3)]
    for wire in wires:
        wire.send(GET)
    last.wait(20)
    assert [wire.reply().status for wire in wires] == [200, 200, 200]
    assert stage.ask(GET).status == 200
    assert dying.connections == 5
    stats = stage.proxy.stats()["hello"]
    assert (stats.errors, stats.retries) == (0, 2)


def test_a_post_does_not_fail_because_an_idle_connection_was_closed(stage: Stage) -> None:
    def script(instance: Instance, wire: Wire) -> None:
        head = wire.head()
        if head is not None:
            instance.bodies.append(wire.body(head)[0])
            wire.send(OK)
            instance.go.wait()
            instance.go.clear()

    (one,) = stage.serve(script)
    with stage.wire() as wire:
        for _ in range(20):
            assert wire.ask(POST).status == 200
            one.go.set()  # closes the connection, while the next request is on its way
            until(lambda: not one.go.is_set())
    assert set(one.bodies) == {b"abc"}


def test_a_request_waits_for_an_instance_that_is_expected(stage: Stage) -> None:
    one = stage.instance()
    stage.route(one.target(ready=False), expected=True)
    with stage.wire() as wire:
        wire.send(POST)
        until(stage.open)
        stage.route(one.target())
        assert wire.reply().status == 200
    assert one.bodies == [b"abc"]


def test_it_does_not_wait_for_ever(stage: Stage) -> None:
    stage.route(expected=True)
    began = time.monotonic()
    assert stage.ask().status == 503
    assert 0.4 < time.monotonic() - began < 3


def test_as_many_wait_as_there_are_places() -> None:
    with staged(hold=30) as stage:
        stage.route(expected=True)
        wires = [stage.wire() for _ in range(1024)]
        for wire in wires:
            wire.send(GET)
        until(lambda: stage.open() == 1024)
        assert stage.ask().status == 503
        stage.serve()
        assert {wire.reply().status for wire in wires} == {200}


def test_a_service_that_leaves_the_table_answers_those_who_wait(stage: Stage) -> None:
    stage.route(expected=True)
    with stage.wire() as wire:
        wire.send(GET)
        until(stage.open)
        stage.proxy.apply({})
        assert wire.reply().status == 404


def test_a_large_body_is_not_gathered_while_it_waits() -> None:
    with staged(hold=30) as stage:
        one = stage.instance()
        stage.route(expected=True)
        with stage.wire() as wire:
            wire.send(b"POST / HTTP/1.1\r\nHost: hello\r\nContent-Length: 50000000\r\n\r\n")
            wire.sock.settimeout(0.5)
            sent = 0
            with pytest.raises(TimeoutError):  # noqa: PT012 - it is not known which send is the one
                while sent < 50_000_000:
                    sent += wire.sock.send(b"a" * 100_000)
            assert sent < 20_000_000
            wire.sock.settimeout(10)
            stage.route(one.target())
            wire.send(b"a" * (50_000_000 - sent))
            assert wire.reply().status == 200
        assert len(one.bodies[0]) == 50_000_000


def test_an_only_instance_that_refuses_is_tried_until_it_is_back(stage: Stage) -> None:
    target = refusing()
    stage.route(target)
    with stage.wire() as wire, stage.wire() as other:
        wire.send(GET)
        other.send(POST)
        until(lambda: "hello" in stage.proxy.stats() and stage.proxy.stats()["hello"].retries >= 2)
        back = stage.instance("back", port=target.port)
        assert wire.reply().status == 200
        assert other.reply().status == 200
    assert len(back.heads) == 2


def test_an_only_instance_that_stays_away_is_503(stage: Stage) -> None:
    stage.route(refusing())
    assert [stage.ask(GET).status, stage.ask(POST).status] == [503, 503]


# --- the real thing --------------------------------------------------------------------------------------------------

SERVICE = """
import asyncio, sys
async def serve(reader, writer):
    try:
        while head := await reader.readuntil(b"\\r\\n\\r\\n"):
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), reuse_address=True, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


class Process:
    """An instance that is a process, and can be killed like one."""

    def __init__(self, name: str, port: int = 0) -> None:
        command = [sys.executable, "-c", SERVICE, str(port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.target = Target(name, "127.0.0.1", int(self._process.stdout.readline()), True)

    def kill(self) -> None:
        """As `kill -9` does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Load:
    """Clients that ask without a pause."""

    def __init__(self, stage: Stage, request: bytes, clients: int = 16) -> None:
        self.statuses: list[int] = []
        self.failures: list[BaseException] = []
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(stage, request)) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self, stage: Stage, request: bytes) -> None:
        with stage.wire() as wire:
            while not self._done.is_set():
                try:
                    self.statuses.append(wire.ask(request).status)
                except (OSError, EOFError, ValueError) as error:
                    self.failures.append(error)
                    return

    def more(self, count: int = 300) -> None:
        """Wait for so many more answers."""
        wanted = len(self.statuses) + count
        until(lambda: len(self.statuses) >= wanted or self.failures)

    def stop(self) -> None:
        """Let all end."""
        self._done.set()
        for thread in self._threads:
            thread.join()


def test_an_instance_killed_under_load_fails_no_get() -> None:
    with staged() as stage:
        processes = [Process(f"hello-{number}") for number in range(3)]
        stage.route(*(one.target for one in processes))
        load = Load(stage, GET)
        for number in range(3):
            load.more()
            processes[number].kill()
            load.more()
            processes[number] = Process(f"hello-{number}", processes[number].target.port)
        load.more()
        load.stop()
        for one in processes:
            one.kill()
        assert not load.failures
        assert set(load.statuses) == {200}
        assert stage.proxy.stats()["hello"].retries > 0


def test_an_only_instance_killed_under_load_and_back_in_time_fails_no_get() -> None:
    with staged() as stage:
        process = Process("hello-0")
        port = process.target.port
        stage.route(process.target)
        load = Load(stage, GET)
        for _ in range(2):
            load.more()
            process.kill()
            stage.route(process.target._replace(ready=False), expected=True)
            process = Process("hello-0", port)
            stage.route(process.target)
            load.more()
            process.kill()  # and now the table does not know
            process = Process("hello-0", port)
        load.more()
        load.stop()
        process.kill()
        assert not load.failures
        assert set(load.statuses) == {200}
