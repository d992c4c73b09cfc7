"""Releases that go wrong: said so, and the old revision untouched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.helpers import eventually
from tests.proc.kit import APP, Users, hello, instances, wait_for_ready, write
from tucano.local import Cluster

GOOD = '[service]\nname = "hello"\nreplicas = 2\n[run]\nscript = "exec python3 app.py"\n[health]\nhttp = "/"\n'
BAD = {
    "a build that fails": (GOOD + '[build]\nscript = "echo no such header >&2; exit 7"\n', "no such header"),
    "a run script that exits at once": (
        GOOD.replace("exec python3 app.py", "echo cannot find my config; exit 3"), "cannot find my config"
    ),
    "a service that never answers": (
        GOOD.replace("exec python3 app.py", "echo thinking; exec sleep 1000") + "deadline = 1.5\n", "thinking"
    ),
    "a file that says nonsense": (GOOD.replace('http = "/"', 'http = "no slash"'), "health.http"),
}  # fmt: skip


def tucano(cluster: Cluster, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TUCANO_HOME": str(cluster.home)}
    return subprocess.run(
        [sys.executable, "-m", "tucano", *words],
        capture_output=True,
        text=True,
        env=environment,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("what", list(BAD))
def test_a_first_release_that_goes_wrong_leaves_nothing_running(cluster: Cluster, tmp_path: Path, what: str) -> None:
    toml, said = BAD[what]
    done = tucano(cluster, "deploy", str(write(tmp_path / "hello", toml)))
    assert done.returncode == 1, done
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    if cluster.client.services():
        eventually(lambda: not instances(cluster))
        assert cluster.client.show("hello").state == "failed"
        assert cluster.get("hello")[0] == 503


@pytest.mark.parametrize("what", list(BAD))
def test_a_later_release_that_goes_wrong_leaves_the_old_revision_untouched(
    cluster: Cluster, tmp_path: Path, what: str
) -> None:
    toml, said = BAD[what]
    directory = hello(tmp_path / "hello")
    cluster.deploy(directory)
    before = {(one.id, one.pid) for one in instances(cluster)}
    (directory / "tucano.toml").write_text(toml)
    with Users(cluster, "hello") as users:
        done = tucano(cluster, "deploy", str(directory))
        assert done.returncode == 1, done
        assert said in done.stderr
        users.wait_for_more()
    assert users.failed == []
    eventually(lambda: {(one.id, one.pid) for one in instances(cluster)} == before)
    assert cluster.client.show("hello").revision == 1
    (directory / "tucano.toml").write_text(GOOD)
    assert tucano(cluster, "deploy", str(directory)).returncode == 0  # and a good one goes through


def test_what_a_service_needs_is_in_its_environment_and_nothing_of_ours(cluster: Cluster, tmp_path: Path) -> None:
    toml = GOOD.replace("exec python3 app.py", "env > env.txt; exec python3 -m http.server --bind $HOST $PORT").replace(
        "replicas = 2", "replicas = 1"
    )
    cluster.deploy(write(tmp_path / "hello", toml))
    names = {line.partition(b"=")[0] for line in cluster.get("hello", "/env.txt")[2].splitlines()}
    assert names >= {b"HOST", b"PORT", b"PATH"}
    assert {name for name in names if name.startswith(b"TUCANO")} == {b"TUCANO_INSTANCE", b"TUCANO_SERVICE"}


def test_descendants_that_left_the_session_go_with_their_instance(cluster: Cluster, tmp_path: Path) -> None:
    """A service that starts helpers with setsid(1) leaves none of them, by a crash or when it is undeployed."""
    seconds = str(98_000_000 + os.getpid())  # of this run alone: another one may be on the same machine
    script = f"setsid sleep {seconds} & exec python3 app.py"
    cluster.deploy(write(tmp_path / "hello", GOOD.replace("exec python3 app.py", script), app_py=APP))

    def helpers() -> list[int]:
        return [process.pid for process in psutil.process_iter() if line(process) == ["sleep", seconds]]

    assert eventually(lambda: len(helpers()) == 2)
    victim = instances(cluster)[0]
    os.kill(victim.pid, signal.SIGKILL)
    wait_for_ready(cluster, 2)
    assert eventually(lambda: len(helpers()) == 2)
    cluster.client.undeploy("hello")
    cluster.client.wait_until_gone("hello")
    assert helpers() == []


def line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
