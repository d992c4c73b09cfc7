"""The examples do what they say, run as people run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.helpers import eventually
from tucano.local import local_cluster

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def run(*command: object, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, command)], env={**os.environ, **env}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_client_without_tucano_lists_and_scales() -> None:
    text = (EXAMPLES / "zmq_client.py").read_text()
    assert "tucano" not in text.partition('"""\n')[2]
    assert len(text.splitlines()) <= 24
    with local_cluster(1) as cluster:
        cluster.deploy(EXAMPLES / "hello")
        printed = run(EXAMPLES / "zmq_client.py", cluster.running.zmq_port, "hello", 3, PYTHONPATH="")
        assert "worker-1: ready" in printed
        assert "hello: 2 of 2" in printed
        eventually(lambda: cluster.services()[0].ready == 3)


def test_a_client_without_arguments_says_how_it_is_used() -> None:
    done = subprocess.run([sys.executable, EXAMPLES / "zmq_client.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "python zmq_client.py PORT NAME REPLICAS" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_plain_script_embeds_a_cluster(tmp_path: Path) -> None:
    printed = run(EXAMPLES / "embed.py", PYTHONPATH=str(ROOT), TMPDIR=str(tmp_path))
    assert "hello: 3 of 3 at http://127.0.0.1:" in printed
    assert printed.count("answered") == 3
    assert list(tmp_path.iterdir()) == []


def test_a_pytest_test_embeds_a_cluster() -> None:
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", EXAMPLES)
    assert "2 passed" in run(*command, EXAMPLES / "test_with_cluster.py", PYTHONPATH=str(ROOT))


def test_a_plain_pykka_actor_is_asked_from_another_node() -> None:
    assert run(EXAMPLES / "plain_pykka.py", PYTHONPATH=str(ROOT)) == "it has counted 42\n"


def test_actors_of_ones_own_are_started_again() -> None:
    *printed, figures = run(EXAMPLES / "own_actors.py", PYTHONPATH=str(ROOT)).splitlines()
    assert printed == [
        "84 / 2 = 42",
        "refused: positive divisors only, please",
        "crashed: divider crashed on Divide: ZeroDivisionError('integer division or modulo by zero')",
        "84 / 4 = 21",
    ]
    assert figures in ("4 messages, 1 restart", "3 messages, 1 restart"), "the last is counted when it is over"
