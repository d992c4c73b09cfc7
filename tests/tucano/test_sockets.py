"""The parent's listening sockets for tcp services, asked for over the Unix socket in a home."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest

from tests.helpers import eventually
from tucano.home import Home
from tucano.sockets import ParentSockets, SocketKeeper

HOST = "127.0.0.1"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def keeper(home: Home) -> Iterator[SocketKeeper]:
    keeper = SocketKeeper(home)
    yield keeper
    keeper.close()


def free_port() -> int:
    with socket.create_server((HOST, 0)) as free:
        return int(free.getsockname()[1])


def connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@pytest.mark.usefixtures("keeper")
def test_the_same_port_is_the_same_socket_whoever_asks(home: Home) -> None:
    port = free_port()
    first, second = ParentSockets(home, "balancer", HOST), ParentSockets(home, "balancer-2", HOST)
    with first.listen(port) as one, second.listen(port) as other, socket.create_connection((HOST, port)):
        one.setblocking(False)
        eventually(lambda: _accepted(one))
        assert one.getsockname() == other.getsockname() == (HOST, port)
        assert os.fstat(one.fileno()).st_ino == os.fstat(other.fileno()).st_ino


def _accepted(listening: socket.socket) -> bool:
    try:
        listening.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@pytest.mark.usefixtures("keeper")
def test_a_socket_outlives_who_asked_for_it(home: Home) -> None:
    port = free_port()
    ParentSockets(home, "balancer", HOST).listen(port).close()
    with socket.create_connection((HOST, port)) as user:  # waits in the queue
        with ParentSockets(home, "balancer", HOST).listen(port) as again:
            accepted, _ = again.accept()
        with accepted:
            accepted.sendall(b"hi")
        assert user.recv(10) == b"hi"


@pytest.mark.usefixtures("keeper")
def test_a_port_is_freed_when_the_last_who_asked_keeps_it_no_more(home: Home) -> None:
    port, other = free_port(), free_port()
    one, two = ParentSockets(home, "balancer", HOST), ParentSockets(home, "balancer-2", HOST)
    for asked in (one.listen(port), two.listen(port), one.listen(other)):
        asked.close()
    one.keep([other])
    assert connects(port)
    two.keep([])
    assert not connects(port)
    assert connects(other)


@pytest.mark.usefixtures("keeper")
def test_a_port_in_use_is_refused_with_who_has_it(home: Home) -> None:
    with socket.create_server((HOST, 0)) as taken, pytest.raises(OSError, match=f"process {os.getpid()}"):
        ParentSockets(home, "balancer", HOST).listen(taken.getsockname()[1])


@pytest.mark.usefixtures("keeper")
@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"\xc1",
        msgpack.packb({"what": "listen"}),
        msgpack.packb({"what": "listen", "who": "me", "host": "127.0.0.1", "port": 70_000}),
        msgpack.packb({"what": "listen", "who": "me", "host": "example.org", "port": 7000}),
        msgpack.packb({"what": "open", "who": "me"}),
        os.urandom(1000),
    ],
)
def test_what_is_no_request_is_refused_and_the_next_is_answered(home: Home, nonsense: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
        stranger.settimeout(10)
        stranger.connect(str(home.path / "sockets"))
        stranger.send(nonsense)
        data, descriptors, _, _ = socket.recv_fds(stranger, 65_536, 1)
    assert msgpack.unpackb(data)["why"]
    assert descriptors == []
    ParentSockets(home, "balancer", HOST).listen(free_port()).close()


def test_only_this_user_may_ask_and_a_home_may_have_a_long_path(tmp_path: Path) -> None:
    home = Home(tmp_path / ("long" * 40))
    keeper = SocketKeeper(home)
    assert stat.S_IMODE((home.path / "sockets").stat().st_mode) == 0o600
    ParentSockets(home, "balancer", HOST).listen(free_port()).close()
    keeper.close()


def test_a_parent_that_was_killed_leaves_no_obstacle(home: Home) -> None:
    SocketKeeper(home).close()
    with pytest.raises(OSError, match="cannot ask the parent"):
        ParentSockets(home, "balancer", HOST).keep([])
    again = SocketKeeper(home)
    ParentSockets(home, "balancer", HOST).keep([])
    again.close()
