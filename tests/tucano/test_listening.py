"""Listening sockets: one alone, or several that share a port."""

from __future__ import annotations

import socket
from collections import Counter

import pytest

from tucano.entrance import Entrance
from tucano.listening import LOOPBACK, CannotListen, listen, listen_many


def test_connections_are_spread_over_sockets_that_share_a_port() -> None:
    sockets = listen_many(LOOPBACK, 0, "--port", 3)
    (address,) = {one.getsockname() for one in sockets}
    clients = [socket.create_connection(address) for _ in range(60)]
    taken: Counter[int] = Counter()
    for at, one in enumerate(sockets):
        one.setblocking(False)
        try:
            while True:
                one.accept()[0].close()
                taken[at] += 1
        except BlockingIOError:
            one.close()
    for client in clients:
        client.close()
    assert taken.total() == 60
    assert len(taken) == 3


@pytest.mark.parametrize("many", [1, 2])
def test_a_port_that_somebody_shares_is_not_shared_unasked(many: int) -> None:
    sockets = listen_many(LOOPBACK, 0, "--port", 2)
    with pytest.raises(CannotListen, match="choose another with --port"):
        listen_many(LOOPBACK, sockets[0].getsockname()[1], "--port", many)
    for one in sockets:
        one.close()


def test_an_entrance_without_balancers_listens_nowhere() -> None:
    opened = Entrance(0, 0, redirect=True, inside=0).open(LOOPBACK, 0)
    assert opened.sockets == []
    assert not any(opened.ports.values())


def test_each_balancer_has_sockets_of_its_own_at_the_same_ports() -> None:
    opened = Entrance(0, 0, redirect=True, inside=0, mdp=0).open("127.0.0.2", 2)
    assert opened.options == ["--https-redirect", "--access-log", "combined"]
    for kind in ("http", "https", "inside", "mdp"):
        found = {one[f"--{kind}-fd"].getsockname()[1] for one in opened.sockets}
        assert found == {opened.ports[f"{kind}_port"]}
    assert {one["--inside-fd"].getsockname()[0] for one in opened.sockets} == {LOOPBACK}
    for one in opened.sockets:
        for listening in one.values():
            listening.close()


def test_a_socket_alone_is_not_shared() -> None:
    with listen(LOOPBACK, 0, "--port") as one, socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(one.getsockname())
