"""TCP services: real connections through a real data path."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import struct
import threading
from collections.abc import Callable, Collection, Iterator

import psutil
import pytest

from tests.helpers import eventually
from tucano.actors.messages import model
from tucano.actors.proxy import Proxy, Service, Target, Timeouts

HOST = "127.0.0.1"
PATIENCE = 20.0
Talk = Callable[[socket.socket], None]


class Held:
    """Listening sockets as a parent holds them: they outlive the data path."""

    def __init__(self) -> None:
        self.sockets: dict[int, socket.socket] = {}
        self.kept: list[int] | None = None
        self.refused = ""

    def listen(self, port: int) -> socket.socket:
        if self.refused:
            raise OSError(self.refused)
        if port not in self.sockets:
            self.sockets[port] = socket.create_server((HOST, port), backlog=1000)
        return self.sockets[port].dup()

    def keep(self, ports: Collection[int]) -> None:
        self.kept = list(ports)
        for port in self.sockets.keys() - set(ports):
            self.sockets.pop(port).close()


class Instance:
    """A server of one service: what it does with a connection is a function, run in a thread."""

    def __init__(self, talk: Talk, name: str = "db-1") -> None:
        self.name = name
        self._talk = talk
        self._listener = socket.create_server((HOST, 0), backlog=1000)
        self.port: int = self._listener.getsockname()[1]
        self.connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def target(self, *, ready: bool = True) -> Target:
        return Target(self.name, HOST, self.port, ready)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(PATIENCE)
            self.connections.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._talk(connection)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


def echo(connection: socket.socket) -> None:
    while data := connection.recv(65_536):
        connection.sendall(data)


class Stage:
    def __init__(self) -> None:
        with socket.create_server((HOST, 0)) as free:
            self.port: int = free.getsockname()[1]
        self.held = Held()
        self.instances: list[Instance] = []
        self.proxies: list[Proxy] = []
        self.proxy = self.start()

    def start(self, **timeouts: float) -> Proxy:
        listener = socket.create_server((HOST, 0))
        options = Timeouts(**timeouts)
        self.proxy = Proxy(listener, sockets=self.held, chance=random.Random(7), timeouts=options, hold=options.hold)
        self.proxies.append(self.proxy)
        self.proxy.start()
        return self.proxy

    def instance(self, talk: Talk = echo, name: str = "db-1") -> Instance:
        self.instances.append(Instance(talk, name))
        return self.instances[-1]

    def route(
        self,
        *targets: Target,
        expected: bool = False,
        port: int | None = None,
        balance: model.Balance | None = None,
        tunnel: float = 3600.0,
    ) -> None:
        wanted = self.port if port is None else port
        rule, timeouts = model.Route(protocol="tcp", port=wanted), model.Timeouts(tunnel=tunnel)
        self.proxy.apply({"db": Service("db", targets, expected, rule, balance or model.Balance(), timeouts)})
        eventually(lambda: self.held.kept == [wanted] or any(self.proxy.hearing().values()))

    def user(self) -> socket.socket:
        return socket.create_connection((HOST, self.port), timeout=PATIENCE)

    def close(self) -> None:
        for proxy in self.proxies:
            proxy.stop(0.0)
        for instance in self.instances:
            instance.close()
        self.held.keep([])


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


def everything(connection: socket.socket) -> bytes:
    parts = []
    while data := connection.recv(1 << 20):
        parts.append(data)
    return b"".join(parts)


def test_bytes_go_both_ways_and_who_ends_first_still_gets_the_answer(stage: Stage) -> None:
    def count_until_the_end(connection: socket.socket) -> None:
        connection.sendall(b"welcome ")  # who speaks first is up to the protocol
        connection.sendall(b"%d" % len(everything(connection)))

    stage.route(stage.instance(count_until_the_end).target())
    with stage.user() as user:
        user.sendall(b"x" * 100_000)
        user.shutdown(socket.SHUT_WR)
        assert everything(user) == b"welcome 100000"
    stats = eventually(lambda: (s := stage.proxy.stats()["db"]).in_flight == 0 and s)
    assert (stats.requests, stats.errors, stats.received, stats.sent) == (1, 0, 100_000, 14)


def test_an_instance_that_ends_first_still_hears_its_user(stage: Stage) -> None:
    heard: list[bytes] = []

    def greet_and_listen(connection: socket.socket) -> None:
        connection.sendall(b"hi")
        connection.shutdown(socket.SHUT_WR)
        heard.append(everything(connection))

    stage.route(stage.instance(greet_and_listen).target())
    with stage.user() as user:
        assert everything(user) == b"hi"
        user.sendall(b"thanks")
    eventually(lambda: heard == [b"thanks"])


@pytest.mark.parametrize("seed", range(3))
def test_no_byte_is_lost_or_changed_however_they_are_cut(stage: Stage, seed: int) -> None:
    """50 MB in pieces of random sizes, read in pieces of random sizes, while the other way is as busy."""
    chance = random.Random(seed)
    data = chance.randbytes(1 << 20)
    total = 50 * len(data)
    stage.route(stage.instance().target())
    user = stage.user()

    def send() -> None:
        sizes = random.Random(seed + 100)
        for _ in range(50):
            at = 0
            while at < len(data):
                size = sizes.choice((1, 100, 5_000, 70_000, 300_000))
                user.sendall(data[at : at + size])
                at += size
        user.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    found, expected, size = hashlib.sha256(), hashlib.sha256(), 0
    while piece := user.recv(chance.choice((10, 4_000, 200_000, 1_000_000))):
        found.update(piece)
        size += len(piece)
    sender.join()
    user.close()
    for _ in range(50):
        expected.update(data)
    assert (size, found.digest()) == (total, expected.digest())
    stats = stage.proxy.stats()["db"]
    assert (stats.received, stats.sent) == (total, total)


@pytest.mark.parametrize("slow", ["user", "instance"])
def test_a_slow_reader_holds_back_who_sends_and_no_memory_grows(stage: Stage, slow: str) -> None:
    done = threading.Event()

    def read_nothing(connection: socket.socket) -> None:
        done.wait(PATIENCE)

    def flood(connection: socket.socket) -> None:
        connection.settimeout(1.0)  # a second without progress: it is held back
        try:
            for _ in range(500):
                connection.sendall(bytes(1 << 20))
        except TimeoutError:
            held_back.set()

    held_back = threading.Event()
    before = psutil.Process().memory_info().rss
    stage.route(stage.instance(flood if slow == "user" else read_nothing).target())
    with stage.user() as user:
        if slow == "instance":
            flood(user)
        assert held_back.wait(PATIENCE)
        assert psutil.Process().memory_info().rss - before < 40 << 20
        done.set()


def test_a_connection_that_is_refused_goes_to_another_instance(stage: Stage) -> None:
    gone, there = stage.instance(name="db-1"), stage.instance(name="db-2")
    stage.route(gone.target(), there.target())
    gone.close()
    for _ in range(10):
        with stage.user() as user:
            user.sendall(b"hi")
            assert user.recv(10) == b"hi"
    assert stage.proxy.stats()["db"].errors == 0


def test_a_connection_that_is_reset_before_its_first_byte_goes_to_another_instance(stage: Stage) -> None:
    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def greet(connection: socket.socket) -> None:
        connection.sendall(b"hi")

    dying, there = stage.instance(reset, "db-1"), stage.instance(greet, "db-2")
    stage.route(dying.target(), there.target())
    while not dying.connections:
        with stage.user() as user:
            assert everything(user) == b"hi"
    assert stage.proxy.stats()["db"].retries >= 1
    eventually(lambda: stage.proxy.in_flight() == {})


def test_a_connection_waits_for_an_instance_that_is_coming_back(stage: Stage) -> None:
    stage.route(expected=True)
    with stage.user() as user:
        user.sendall(b"early")
        eventually(lambda: stage.proxy.stats()["db"].in_flight == 1)
        stage.route(stage.instance().target())
        assert user.recv(10) == b"early"


def test_without_an_instance_a_connection_is_reset(stage: Stage) -> None:
    stage.route()
    with pytest.raises(ConnectionResetError), stage.user() as user:  # `connect` may see it already
        user.recv(1)
    assert stage.proxy.stats()["db"].errors == 1


def test_a_reset_is_passed_on_both_ways(stage: Stage) -> None:
    def reset(connection: socket.socket) -> None:
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    stage.route(stage.instance(reset).target())
    with stage.user() as user:
        user.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            user.recv(1)
    outcome: list[object] = []

    def listen(connection: socket.socket) -> None:
        connection.sendall(b"x")
        try:
            outcome.append(connection.recv(1))
        except ConnectionResetError:
            outcome.append("reset")

    stage.route(stage.instance(listen, "db-2").target())
    with stage.user() as user:
        assert user.recv(1) == b"x"
        user.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    eventually(lambda: outcome == ["reset"])


def test_a_draining_instance_keeps_its_connections_and_gets_no_new_ones(stage: Stage) -> None:
    old, new = stage.instance(name="db-1"), stage.instance(name="db-2")
    stage.route(old.target())
    with stage.user() as first:
        first.sendall(b"1")
        assert first.recv(1) == b"1"
        stage.route(old.target(ready=False), new.target())
        assert "db-1" in stage.proxy.in_flight()
        with stage.user() as second:
            second.sendall(b"2")
            assert second.recv(1) == b"2"
        assert (len(old.connections), len(new.connections)) == (1, 1)
        first.sendall(b"3")
        assert first.recv(1) == b"3"
    eventually(lambda: stage.proxy.in_flight() == {})


def test_still_connections_are_cut_and_busy_ones_are_not(stage: Stage) -> None:
    stage.route(stage.instance().target(), tunnel=0.4)
    with stage.user() as still, stage.user() as busy:
        cut = threading.Event()

        def wait() -> None:
            with contextlib.suppress(ConnectionResetError):
                still.recv(1)
            cut.set()

        waiting = threading.Thread(target=wait)
        waiting.start()
        while not cut.is_set():
            busy.sendall(b"x")
            assert busy.recv(1) == b"x"
        waiting.join()


def test_who_connects_while_the_data_path_is_away_is_not_refused(stage: Stage) -> None:
    instance = stage.instance()
    stage.route(instance.target())
    stage.proxy.stop(0.0)
    with stage.user() as user:
        user.sendall(b"hi")
        stage.start()
        stage.route(instance.target())
        assert user.recv(10) == b"hi"


def test_a_port_that_cannot_be_had_is_told_and_tried_again(stage: Stage) -> None:
    stage.held.refused = "cannot listen: somebody has it"
    stage.route(stage.instance().target())
    assert stage.proxy.hearing() == {str(stage.port): "cannot listen: somebody has it"}
    stage.held.refused = ""
    eventually(lambda: stage.proxy.hearing() == {str(stage.port): ""})
    with stage.user() as user:
        user.sendall(b"hi")
        assert user.recv(10) == b"hi"


def test_a_service_that_is_gone_is_refused_and_its_port_given_back(stage: Stage) -> None:
    stage.route(stage.instance().target())
    stage.proxy.apply({})
    eventually(lambda: stage.held.kept == [])
    with pytest.raises(ConnectionRefusedError):
        stage.user()


def test_a_tcp_service_is_no_http_service(stage: Stage) -> None:
    stage.route(stage.instance().target())
    with socket.create_connection(stage.proxies[0]._listener.getsockname(), timeout=PATIENCE) as user:
        user.sendall(b"GET / HTTP/1.1\r\nHost: db\r\nConnection: close\r\n\r\n")
        assert everything(user).startswith(b"HTTP/1.1 404 ")
