"""One scenario by three clients of the wire, against a cluster with keys: the library, plain pyzmq, and Node.js."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tucano as library
from tests.helpers import eventually
from tests.tucano.cluster_kit import assert_nothing_runs_in
from tests.tucano.test_cli import good, tucano
from tests.tucano.wire_clients import EXAMPLES, Library, Program, WireClient, python_client
from tucano.home import Home

TOML = """
[service]
name = "{name}"
[run]
script = "echo hello from {name}; {script}"
env = {{ GREETING = "hi" }}
[health]
http = "/"
interval = 1
"""
SERVES = "exec python3 -m http.server --bind $HOST $PORT"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a cluster with keys."""
    place = tmp_path_factory.mktemp("keys") / "home"
    good(place, "init")
    good(place, "up", "--detach", "--workers", 2, "--port", 0)
    yield place
    good(place, "down")
    assert_nothing_runs_in(place)


@pytest.fixture(scope="module")
def token(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("token") / "root.token"
    file.write_text(tucano(home, "key", "add", "root", "--role", "admin").stdout)
    return file


@pytest.fixture(scope="session")
def node_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example in Node.js with what it needs, installed from its lock file."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node or npm is not installed: the client in Node.js is not tested")
    place = tmp_path_factory.mktemp("node") / "client"
    shutil.copytree(EXAMPLES / "node_client", place, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return place


Face = Callable[[Path | None], WireClient]


@pytest.fixture(params=["library", "pyzmq", "node"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def face(kind: str, request: pytest.FixtureRequest) -> Face:
    if kind == "node":
        place: Path = request.getfixturevalue("node_client")
        return lambda token: Program(["node", place / "admin.mjs"], token)
    if kind == "pyzmq":
        return python_client

    def with_token(token: Path | None) -> WireClient:
        assert token is not None
        return Library(token)

    return with_token


@pytest.fixture
def client(face: Face, token: Path) -> WireClient:
    return face(token)


def write(directory: Path, name: str, script: str = SERVES) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "tucano.toml").write_text(TOML.format(name=name, script=script))
    return directory


def did(client: WireClient, *words: object) -> str:
    done = client.run(*words)
    assert done.status == 0, done
    return done.out


def show(client: WireClient, name: str) -> Any:
    return json.loads(did(client, "show", name))


def test_a_service_is_deployed_seen_scaled_replaced_and_removed(client: WireClient, kind: str, tmp_path: Path) -> None:
    nodes = {one["name"]: one["state"] for one in json.loads(did(client, "nodes"))["nodes"]}
    assert {name for name, state in nodes.items() if state == "ready"} >= {"controller", "balancer", "worker-1"}

    (tmp_path / kind / "__pycache__").mkdir(parents=True)
    (tmp_path / kind / "__pycache__" / "left.pyc").write_bytes(b"no part of it")
    assert did(client, "deploy", write(tmp_path / kind, kind), 2) == f"{kind}: revision 1 serves\n"
    shown = show(client, kind)
    assert (shown["state"], shown["ready"], shown["spec"]["run"]["env"]) == ("done", 2, {"GREETING": "hi"})
    assert kind in {one["name"] for one in json.loads(did(client, "services"))["services"]}
    first = shown["instances"][0]["id"]
    assert f"{first} | hello from {kind}\n" in did(client, "logs", kind)

    assert did(client, "scale", kind, 1) == f"{kind}: 1 of 1 ready\n"
    assert did(client, "restart", kind) == f"{kind}: revision 2 serves\n"
    (left,) = show(client, kind)["instances"]
    assert (left["revision"], left["state"]) == (2, "ready")
    kinds = [json.loads(line)["kind"] for line in did(client, "events").splitlines()]
    assert "rollout_done" in kinds

    assert did(client, "undeploy", kind) == f"{kind}: gone\n"
    gone = client.run("show", kind)
    assert gone.status == 1
    assert kind in gone.said


def test_a_release_that_fails_has_an_honest_end(client: WireClient, kind: str, tmp_path: Path) -> None:
    name = f"bad-{kind}"
    done = client.run("deploy", write(tmp_path / name, name, "exit 7"))
    assert done.status == 1
    assert "exit" in done.said
    assert "serves" not in done.out
    did(client, "undeploy", name)


def test_a_large_directory_arrives_in_pieces(client: WireClient, kind: str, tmp_path: Path) -> None:
    name = f"large-{kind}"
    directory = write(tmp_path / name, name, "test $(wc -c <noise) = 3145728 && " + SERVES)
    (directory / "noise").write_bytes(os.urandom(3 << 20))
    assert did(client, "deploy", directory) == f"{name}: revision 1 serves\n"
    did(client, "undeploy", name)


def test_events_come_as_they_happen(client: WireClient, kind: str, token: Path, tmp_path: Path) -> None:
    name = f"seen-{kind}"
    with client.stream("events", "-f") as lines, library.connect(token=token) as other:
        lines.wait_for("seq")  # it is there, and tells what was
        other.deploy(write(tmp_path / name, name))
        began = json.loads(lines.wait_for("instance_starting", name))
        ready = json.loads(lines.wait_for("instance_ready", name))
        assert began["subject"] == ready["subject"]
        assert ready["subject"].startswith(name)
        assert began["seq"] < ready["seq"]
        with client.stream("logs", name, "-f") as output:
            assert ready["subject"] in output.wait_for(f"hello from {name}")
            (instance,) = other.show(name).instances
            other.undeploy(name)
            other.wait_until_gone(name)
        assert json.loads(lines.wait_for("service_removed", name))["subject"] == name
        assert instance.id == ready["subject"]


@pytest.mark.parametrize("kind", ["pyzmq", "node"])
def test_a_stream_goes_on_behind_a_controller_that_has_restarted(client: WireClient, home: Path) -> None:
    with client.stream("events", "-f") as lines, library.connect(home) as other:
        lines.wait_for("seq")
        pid = next(one.pid for one in other.nodes() if one.role == "controller")
        os.kill(pid, 9)
        eventually(lambda: [one for one in other.nodes() if one.role == "controller" and one.pid != pid])
        worker = next(one for one in other.nodes() if one.role == "worker")
        os.kill(worker.pid, 9)
        lines.wait_for(worker.name, "worker_")


@pytest.mark.parametrize("kind", ["pyzmq", "node"])
def test_what_is_wrong_is_said_in_words(face: Face, home: Path, token: Path, tmp_path: Path) -> None:
    client, stranger = face(token), face(None)
    for words in ((), ("dance",), ("show",), ("logs", "x", "-x"), ("scale", "x", "many")):
        wrong = client.run(*words)
        assert wrong.status == 2
        assert "COMMAND" in wrong.said or "number" in wrong.said
    assert "which cluster?" in stranger.run("nodes").said
    assert "tcp://HOST:PORT" in stranger.run("--door", "nowhere", "nodes").said
    cut = tmp_path / "cut.token"
    cut.write_text(token.read_text()[:-20])
    assert "not a whole one" in face(cut).run("nodes").said
    refused = client.run("scale", "nobody", 2)
    assert (refused.status, "nobody" in refused.said) == (1, True)
    refused = client.run("scale", "nobody", 0)
    assert (refused.status, "replicas" in refused.said) == (1, True)
    bare = client.run("deploy", tmp_path)
    assert (bare.status, "tucano.toml" in bare.said) == (2, True)
    running = Home(home).running()
    assert running is not None
    keyless = stranger.run("--door", running.door, "scale", "x", 1)
    assert keyless.status == 3
    assert "nobody answers" in keyless.said


@pytest.mark.parametrize("kind", ["pyzmq", "node"])
def test_a_cluster_without_keys_is_reached_by_its_door(face: Face) -> None:
    with library.local_cluster(1) as cluster:
        client = face(None)
        found = json.loads(did(client, "--door", cluster.running.door, "nodes"))["nodes"]
        assert {one["name"] for one in found} == {"controller", "balancer", "worker-1"}


def test_the_lock_file_names_no_machine() -> None:
    lock = json.loads((EXAMPLES / "node_client" / "package-lock.json").read_text())
    wanted = json.loads((EXAMPLES / "node_client" / "package.json").read_text())["dependencies"]
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert lock["packages"][""]["dependencies"] == wanted
    assert all("integrity" in one and "resolved" not in one for one in packages.values())
