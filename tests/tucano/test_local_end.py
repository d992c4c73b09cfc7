"""A cluster inside a program is gone when the program is, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import tucano
from tests.helpers import eventually
from tests.tucano.cluster_kit import assert_nothing_runs_in, processes_of
from tucano.home import Home
from tucano.local import local_cluster

ROOT = Path(__file__).parents[2]
HELLO = ROOT / "examples" / "hello"


def test_a_body_that_raises_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), local_cluster(1) as running:  # noqa: PT012 - what the body does is the point
        home = running.home
        running.deploy(HELLO)
        raise KeyError
    assert not home.exists()
    assert_nothing_runs_in(home)


def test_a_home_that_was_given_stays_and_the_next_cluster_goes_on_from_it(tmp_path: Path) -> None:
    with local_cluster(1, home=tmp_path / "home") as running:
        running.deploy(HELLO)
        running.stop()
        assert Home(tmp_path / "home").running() is None
        assert_nothing_runs_in(tmp_path)
    with local_cluster(1, home=tmp_path / "home") as again:
        eventually(lambda: again.get("hello").status == 200)


SCRIPT = """
import sys, time
import tucano
with tucano.local_cluster(workers=1) as cluster:
    cluster.deploy(sys.argv[1])
    print(cluster.home, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_when_the_program_is_killed_its_cluster_goes_with_it(tmp_path: Path, number: int) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, script, HELLO], env=env, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        home = Path(program.stdout.readline().strip())
        assert home.parent == Path(tempfile.gettempdir())
        assert len(processes_of(home)) >= 4
        program.send_signal(number)
        program.wait(30)
    assert_nothing_runs_in(home)
    eventually(lambda: not home.exists(), f"{home} removed")


def test_a_parent_that_is_killed_leaves_nothing_either() -> None:
    with local_cluster(1) as running:
        running.deploy(HELLO)
        os.kill(running.running.pid, signal.SIGKILL)
    assert not running.home.exists()
    assert_nothing_runs_in(running.home)


def test_the_package_offers_it() -> None:
    assert tucano.local_cluster is local_cluster
