"""Commands about keys, without a cluster that runs."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from tests.tucano.cluster_kit import assert_nothing_runs_in
from tests.tucano.stand_in import StandIn, write_service
from tests.tucano.test_cli import MAIN, data, environment, good, tucano
from tucano.home import Home, Listening
from tucano.keys import Keys
from tucano.launch import StartFailed
from tucano.local import local_cluster
from tucano.token import parse


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with keys, whose cluster listened somewhere."""
    place = tmp_path / "home"
    good(place, "init")
    Home(place).keep_listening(Listening("192.0.2.1", 7171, 7170))
    return place


def add(home: Path, name: str, role: str, *more: object) -> str:
    done = tucano(home, "key", "add", name, "--role", role, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_init_makes_keys_once_and_says_how_to_go_on(tmp_path: Path) -> None:
    said = good(tmp_path / "home", "init")
    assert "tucano up --listen HOST" in said
    assert "tucano key add NAME --role node" in said
    again = tucano(tmp_path / "home", "init")
    assert again.returncode == 1
    assert "has keys already" in again.stderr


def test_a_new_key_is_one_token_on_standard_output(home: Path) -> None:
    token = parse(add(home, "edge", "node"))
    assert (token.name, token.role, token.bridge, token.door) == (
        "edge", "node", "tcp://192.0.2.1:7171", "tcp://192.0.2.1:7170",
    )  # fmt: skip
    assert token.cluster == Home(home).identity()


def test_a_token_can_go_to_a_private_file(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "edge.token"
    assert add(home, "edge", "node", "--out", file) == ""
    assert parse(file.read_text()).name == "edge"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_is_there_is_not_overwritten_by_a_token(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "edge.token"
    before = add(home, "edge", "node", "--out", file) + file.read_text()
    done = tucano(home, "key", "add", "other", "--role", "node", "--out", file)
    assert done.returncode == 1
    assert f"{file} is there already" in done.stderr
    assert file.read_text() == before
    assert "other" not in good(home, "key", "list")


def test_init_beside_a_cluster_that_runs_says_whether_it_has_keys(stand_in: StandIn) -> None:
    place = stand_in.home.path
    assert "was started without keys: `tucano down" in tucano(place, "init").stderr
    Keys(stand_in.home).create()
    done = tucano(place, "init")
    assert done.returncode == 1
    assert "has keys already" in done.stderr


@pytest.mark.parametrize("command", [["list"], ["add", "a", "--role", "node"], ["revoke", "a"]])
def test_keys_of_a_cluster_elsewhere_are_administered_there(home: Path, tmp_path: Path, command: list[str]) -> None:
    file = tmp_path / "ann.token"
    add(home, "ann", "admin", "--out", file)
    done = tucano(tmp_path / "laptop", "--token-file", file, "key", *command)
    assert done.returncode == 1
    assert "keys are administered where the controller runs" in done.stderr
    assert "tucano init" not in done.stderr
    assert "ann" in good(home, "--token-file", file, "key", "list"), "its own home says which keys are meant"


@pytest.mark.parametrize("role", ["worker", "balancer"])
def test_a_home_that_has_joined_is_for_what_has_joined_alone(home: Path, tmp_path: Path, role: str) -> None:
    away = Home(tmp_path / "away")
    Keys(away).join(parse(add(home, "edge", "node")))
    (away.balancer("edge") if role == "balancer" else away.worker("edge")).mkdir(parents=True)
    for command in (["up", "--port", "0"], ["up", "--port", "0", "--detach"], ["controller"], ["init"]):
        done = tucano(away.path, *command)
        assert done.returncode == 1
        assert f"is the home of {role} edge of another machine's cluster: start it" in done.stderr
        assert f"tucano {role} --detach" in done.stderr
    for look in ("status", "services"):
        done = tucano(away.path, look)
        assert done.returncode == 3
        assert f"no {role} runs from {away.path}: start it with `tucano {role} --detach`" in done.stderr
    with pytest.raises(StartFailed, match=f"is the home of {role} edge"), local_cluster(home=away.path):
        pass


def test_keys_are_listed_and_revoked_without_their_secrets(home: Path) -> None:
    token = parse(add(home, "ann", "reader"))
    assert good(home, "key", "revoke", "ann").strip().endswith("the key of ann (reader) is void")
    listed = good(home, "key", "list")
    assert [line.split()[:2] for line in listed.splitlines()[1:]] == [
        ["controller", "node"], ["local", "admin"], ["ann", "reader"],
    ]  # fmt: skip
    assert "revoked" in listed.splitlines()[-1]
    found = data(home, "key", "list")["keys"]
    assert set(found[-1]) == {"name", "role", "public", "created", "revoked"}
    assert token.secret not in listed + json.dumps(found)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["key", "add", "Bad Name", "--role", "node"], "a name is of a-z"),
        (["key", "add", "local", "--role", "admin"], "there already"),
        (["key", "revoke", "nobody"], "no valid key is called 'nobody'"),
        (["key", "revoke", "controller"], "runs from this home"),
        (["worker"], "--join"),
        (["worker", "--join", "/no/such/file"], "/no/such/file: No such file"),
        (["login", "/no/such/file"], "/no/such/file: No such file"),
        (["--token-file", "/no/such/file", "services"], "/no/such/file: No such file"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(home: Path, command: list[str], said: str) -> None:
    done = tucano(home, *command)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", [["key", "list"], ["key", "add", "a", "--role", "node"], ["key", "revoke", "a"]])
def test_without_keys_the_command_that_makes_them_is_named(tmp_path: Path, command: list[str]) -> None:
    done = tucano(tmp_path, *command)
    assert done.returncode == 1
    assert "tucano init" in done.stderr


def test_a_key_before_the_first_start_says_what_comes_first(tmp_path: Path) -> None:
    good(tmp_path, "init")
    assert "tucano up --listen HOST" in tucano(tmp_path, "key", "add", "a", "--role", "node").stderr


@pytest.mark.parametrize("command", [["worker", "--join"], ["login"]])
def test_a_token_on_the_command_line_is_refused_and_not_repeated(
    home: Path, tmp_path: Path, command: list[str]
) -> None:
    token = add(home, "edge", "node").strip()
    done = tucano(tmp_path / "other", *command, token)
    assert done.returncode == 1
    assert "revoke" in done.stderr
    assert token[10:40] not in done.stdout + done.stderr


@pytest.fixture
def joining(home: Path, tmp_path: Path) -> Path:
    """A token of a cluster at whose address nobody is."""
    with socket.socket() as taken, socket.socket() as other:
        for one in (taken, other):
            one.bind(("127.0.0.1", 0))
        Home(home).keep_listening(Listening("127.0.0.1", taken.getsockname()[1], other.getsockname()[1]))
    file = tmp_path / "edge.token"
    add(home, "edge", "node", "--out", file)
    return file


@pytest.mark.parametrize("command", [["worker"], ["worker", "--detach"], ["balancer", "--port", "0", "--detach"]])
def test_to_join_where_nobody_answers_says_so(joining: Path, tmp_path: Path, command: list[str]) -> None:
    away = tmp_path / "away"
    done = tucano(away, *command, "--join", joining)
    assert done.returncode == 1
    assert f"nobody answers at {parse(joining.read_text()).door}: is the controller up there" in done.stderr
    assert "another" not in done.stderr
    assert_nothing_runs_in(away)


def test_a_damaged_token_is_not_repeated_either(home: Path, tmp_path: Path) -> None:
    token = add(home, "edge", "node").strip()
    for given, why in ((token[:-4], "cut"), (token[:50] + token[51:], "damaged"), ("nonsense", "no token")):
        done = subprocess.run(
            [*MAIN, "worker", "--join", "-"], input=given, env=environment(tmp_path / "other"), capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert why in done.stderr
        assert token[60:90] not in done.stderr
    done = tucano(tmp_path / "other", "login", token[1:])  # as if it were a file
    assert done.returncode == 1
    assert token[60:90] not in done.stderr


def test_a_token_is_for_what_its_role_says(home: Path, tmp_path: Path) -> None:
    for role, command, said in (("reader", "worker --join", "--role node"), ("node", "login", "tucano worker --join")):
        file = tmp_path / role
        file.write_text(add(home, f"a-{role}", role))
        done = tucano(tmp_path / "other", *command.split(), file)
        assert done.returncode == 1
        assert said in done.stderr


@pytest.mark.parametrize("detach", [["--detach"], []])
def test_to_listen_beyond_this_machine_without_keys_is_refused_with_the_remedy(
    tmp_path: Path, detach: list[str]
) -> None:
    done = tucano(tmp_path, "up", "--listen", "192.0.2.1", "--port", 0, *detach)
    assert done.returncode == 1
    assert "make keys with `tucano init`" in done.stderr


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("0.0.0.0", "name the one"),
        ("no.such.host.invalid", "known name"),
        ("203.0.113.7", "no address of this machine"),
    ],
)
def test_an_address_that_cannot_be_listened_at_is_refused(home: Path, host: str, said: str) -> None:
    done = tucano(home, "up", "--listen", host, "--port", 0)
    assert done.returncode == 1
    assert said in done.stderr


def test_tokens_come_from_people_with_a_terminal_too(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(add(home, "ann", "reader"))
    with file.open() as token:
        done = subprocess.run(
            [*MAIN, "login", "-", "--json"], stdin=token, env=environment(tmp_path / "laptop"), capture_output=True,
            text=True, timeout=60, check=True,
        )  # fmt: skip
    assert json.loads(done.stdout)["name"] == "ann"
    assert os.listdir(tmp_path / "laptop") == ["keys"]  # noqa: PTH208 - names only


@pytest.mark.parametrize("role", ["reader", "node"])
def test_deploy_by_a_token_that_may_not_is_refused_before_anything_is_packed(
    home: Path, tmp_path: Path, role: str
) -> None:
    file = tmp_path / "ann.token"
    add(home, "ann", role, "--out", file)
    directory = write_service(tmp_path / "hello")
    done = tucano(tmp_path / "nowhere", "--token-file", file, "deploy", directory, "--timeout", 5)
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"deploy needs the role admin, and the key of ann has the role {role}" in done.stderr
    assert "tucano key add NAME --role admin" in done.stderr
