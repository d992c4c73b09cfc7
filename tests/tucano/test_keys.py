"""A home's keys: files, who is admitted, and what a running node notices."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from tucano.home import Home, HomeInUse
from tucano.keys import Keys, KeysError
from tucano.rings import KeptRing, ring
from tucano.token import Token
from tucano.transport.curve import new_pair


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    Keys(made).create()
    return made


def token(home: Home, name: str = "edge", role: str = "node") -> Token:
    pair = new_pair()
    return Token(
        name, role, home.identity(), "tcp://127.0.0.1:1", "tcp://127.0.0.1:2",  # type: ignore[arg-type]
        Keys(home).pair("controller").public, pair.public, pair.secret,
    )  # fmt: skip


def test_only_the_user_can_read_the_keys(home: Home) -> None:
    keys = Keys(home)
    keys.own("worker-1")
    keys.keep(token(home))
    keys.keep(token(home, "ann", "reader"))
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o700
    names = {path.name for path in keys.path.iterdir()}
    assert names == {
        "admitted.json", "controller.key", "local.key", "worker-1.key", "lock", "node.token", "login.token",
    }  # fmt: skip
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys.path.iterdir()} == {0o600}


def test_the_list_of_admitted_keys_holds_no_secret(home: Home) -> None:
    keys = Keys(home)
    pair = keys.add("edge", "node")
    every = b"".join(path.read_bytes() for path in keys.path.iterdir())
    assert pair.public.encode() in every.replace(rb"\/", b"/")
    assert pair.secret.encode() not in every
    assert keys.pair("controller").secret.encode() not in keys.admitted.read_bytes()


def test_what_runs_here_keeps_its_key(home: Home) -> None:
    assert Keys(home).own("worker-1") == Keys(home).own("worker-1") == Keys(home).pair("worker-1")


def test_keys_are_made_once(home: Home) -> None:
    with pytest.raises(KeysError, match="already"):
        Keys(home).create()


def test_without_keys_the_remedy_is_named(tmp_path: Path) -> None:
    keys = Keys(Home(tmp_path))
    for act in (keys.entries, lambda: keys.add("ann", "admin"), lambda: keys.revoke("ann")):
        with pytest.raises(KeysError, match="tucano init"):
            act()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "Ann", "a b", "-a", "a-", "a/b", "..", "a" * 41, "1a"])
def test_a_name_that_cannot_be_is_refused(home: Home, name: str) -> None:
    with pytest.raises(KeysError, match="a name is of"):
        Keys(home).add(name, "reader")


def test_a_name_is_given_again_only_when_its_key_is_void(home: Home) -> None:
    keys = Keys(home)
    first = keys.add("edge", "node")
    with pytest.raises(KeysError, match="revoke edge"):
        keys.add("edge", "admin")
    keys.revoke("edge")
    assert keys.add("edge", "node") != first
    with pytest.raises(KeysError, match="is there already"):
        keys.own("edge")


def test_what_runs_here_cannot_be_revoked_nor_what_is_not_there(home: Home) -> None:
    keys = Keys(home)
    keys.add("ann", "reader")
    with pytest.raises(KeysError, match="runs from this home"):
        keys.revoke("controller")
    with pytest.raises(KeysError, match="there are: ann"):
        keys.revoke("bob")


def test_many_can_add_keys_at_once(home: Home) -> None:
    threads = [threading.Thread(target=Keys(home).add, args=(f"n{at}", "node")) for at in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Keys(home).entries()) == 18


def test_a_node_that_runs_notices_what_becomes_of_keys(home: Home) -> None:
    keys = Keys(home)
    looking = KeptRing(keys, "controller")
    pair = keys.add("edge", "node")
    guest = looking.guest(pair.public)
    assert guest is not None
    assert (guest.name, guest.role, guest.revoked) == ("edge", "node", False)
    assert looking.key_of("edge") == pair.public
    before = looking.version()
    keys.revoke("edge")
    assert looking.version() != before
    guest = looking.guest(pair.public)
    assert guest is not None
    assert guest.revoked
    assert looking.key_of("edge") is None
    assert looking.guest("x" * 40) is None


@pytest.mark.parametrize("damage", [b"", b"[{}]", b"\xff", None])
def test_a_list_that_cannot_be_read_admits_nobody(home: Home, damage: bytes | None) -> None:
    keys = Keys(home)
    looking = KeptRing(keys, "controller")
    public = keys.pair("local").public
    assert looking.guest(public) is not None
    whole = keys.admitted.read_bytes()
    if damage is None:
        keys.admitted.unlink()
    else:
        keys.admitted.write_bytes(damage)
    assert looking.guest(public) is None
    keys.admitted.write_bytes(whole)
    assert looking.guest(public) is not None


def test_a_home_that_has_joined_knows_only_the_controller(home: Home, tmp_path: Path) -> None:
    given, other = token(home), Home(tmp_path / "other")
    Keys(other).join(given)
    found = ring(other, "edge")
    assert (found.own.public, found.key_of("controller")) == (given.public, given.controller)
    assert found.key_of("worker-1") is None
    assert found.guest(given.public) is None


def test_a_controllers_home_joins_no_cluster_not_even_its_own(home: Home) -> None:
    with pytest.raises(HomeInUse, match="controller's home: name another directory with --home"):
        Keys(home).join(token(home))


def test_a_home_of_one_cluster_does_not_join_another(home: Home, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    other.identity()
    with pytest.raises(HomeInUse, match="--home"):
        Keys(other).join(token(home))
