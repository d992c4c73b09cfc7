"""Nodes inside a program, with keys."""

from __future__ import annotations

from pathlib import Path

import pytest

import tucano
from tests.helpers import eventually
from tucano.actors.kernel import Actor, Child, Message
from tucano.home import Home
from tucano.keys import Keys, KeysError
from tucano.token import Token


class Say(Message, frozen=True):
    text: str


class Echo(Actor):
    Inbox = Say

    def receive(self, message: Say) -> str:
        return message.text


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    Keys(Home(tmp_path / "home")).create()
    return tmp_path / "home"


def token(keys: Path, name: str, role: str = "node") -> str:
    home = Home(keys)
    pair = Keys(home).add(name, role)  # type: ignore[arg-type]
    controller = Keys(home).pair("controller").public
    made = Token(
        name, role, home.identity(), "tcp://127.0.0.1:1", "tcp://127.0.0.1:2", controller, pair.public, pair.secret,  # type: ignore[arg-type]
    )  # fmt: skip
    return made.text()


def test_nodes_of_one_home_meet(keys: Path) -> None:
    with (
        tucano.Node("left", [Child("echo", Echo)], listen="127.0.0.1:0", keys=keys) as left,
        tucano.Node("right", listen="127.0.0.1:0", keys=keys) as right,
    ):
        right.connect("left", left.address)
        eventually(lambda: right.ref("left/echo").is_alive())
        assert right.ref("left/echo").ask(Say("hi"), timeout=10) == "hi"


def test_a_node_with_a_token_meets_the_controller_of_its_home(keys: Path, tmp_path: Path) -> None:
    file = tmp_path / "edge.token"
    file.write_text(token(keys, "edge"))
    with (
        tucano.Node("controller", [Child("echo", Echo)], listen="127.0.0.1:0", keys=keys) as controller,
        tucano.Node("edge", listen="127.0.0.1:0", token=file) as edge,
    ):
        edge.connect("controller", controller.address)
        eventually(lambda: edge.ref("controller/echo").is_alive())
        assert edge.ref("controller/echo").ask(Say("hi"), timeout=10) == "hi"


def test_beyond_this_machine_a_node_needs_keys() -> None:
    for host in ("0.0.0.0", "192.0.2.1"):
        with pytest.raises(ValueError, match="tucano init"):
            tucano.Node("left", listen=f"{host}:0")


def test_keys_and_tokens_that_do_not_fit_are_refused(keys: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="for the node edge"):
        tucano.Node("left", listen="127.0.0.1:0", token=token(keys, "edge"))
    with pytest.raises(ValueError, match="for the reader ann"):
        tucano.Node("ann", listen="127.0.0.1:0", token=token(keys, "ann", "reader"))
    with pytest.raises(tucano.client.BadKeys, match="no token"):
        tucano.Node("left", listen="127.0.0.1:0", token="hello")
    with pytest.raises(KeysError, match="is there already"):
        tucano.Node("edge", listen="127.0.0.1:0", keys=keys)
    assert not (tmp_path / "nowhere").exists()
