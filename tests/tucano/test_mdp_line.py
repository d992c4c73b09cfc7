"""Connections of the users' ZeroMQ front."""

from __future__ import annotations

import socket

from tucano.mdp_line import ClientLine, Lines


def test_a_connection_that_is_over_keeps_nothing_though_somebody_still_knows_it() -> None:
    lines = Lines()
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        line = ClientLine(listener.accept()[0], lines.busy)
        lines.add(line)
        line.peer.feed(b"\xff" + bytes(8))  # a greeting that has just begun
        line.post(bytes(40_000_000))  # more than sockets take
        lines.flush()
        assert line.size() > 1_000_000
        lines.drop(line)
        assert line.size() == 0
        line.post(b"too late")
        lines.flush()
        assert line.size() == 0
    lines.close()
