"""Who may come in, decided."""

from __future__ import annotations

import pytest

from tests.transport.box import CLUSTER
from tucano.transport import wire
from tucano.transport.security import (
    Guest,
    Insecure,
    Pair,
    Role,
    is_loopback,
    refuse_beyond_loopback,
    vouch,
)
from tucano.transport.wire import BadFrame

ANN = wire.routing_id(wire.Peer(CLUSTER, "ann", 1, "tcp://127.0.0.1:1"))


def test_a_node_that_names_itself_is_vouched_for() -> None:
    vouch(Guest("ann", "node"), ANN)


@pytest.mark.parametrize(
    ("guest", "why"),
    [
        (None, "a key that nobody knows"),
        (Guest("bob", "node"), "the key of bob"),
        (Guest("ann", "admin"), "the key of the admin ann"),
        (Guest("ann", "reader"), "the key of the reader ann"),
        (Guest("ann", "node", revoked=True), "revoked"),
    ],
)
def test_nobody_else_is(guest: Guest | None, why: str) -> None:
    with pytest.raises(BadFrame, match=why):
        vouch(guest, ANN)


@pytest.mark.parametrize("role", ["node", "admin"])
def test_what_is_no_routing_id_is_nobodys(role: Role) -> None:
    with pytest.raises(BadFrame):
        vouch(Guest("ann", role), b"\0\1\2")


@pytest.mark.parametrize(
    ("address", "is_here"),
    [
        ("tcp://127.0.0.1:1", True), ("tcp://127.9.9.9:1", True), ("tcp://localhost:1", True), ("tcp://[::1]:1", True),
        ("tcp://0.0.0.0:1", False), ("tcp://*:1", False), ("tcp://192.0.2.1:1", False), ("tcp://eth0:1", False),
        ("tcp://[::]:1", False), ("tcp://localhost.example.org:1", False), ("tcp://127.0.0.1.example.org:1", False),
    ],
)  # fmt: skip
def test_only_loopback_is_loopback(address: str, is_here: bool) -> None:
    assert is_loopback(address) is is_here
    if not is_here:
        with pytest.raises(Insecure, match="tucano init"):
            refuse_beyond_loopback(address, "this at")


def test_a_secret_key_is_not_shown() -> None:
    pair = Pair("p" * 40, "s" * 40)
    assert "sss" not in f"{pair} {pair!r} {[pair]} {(pair,)}"
