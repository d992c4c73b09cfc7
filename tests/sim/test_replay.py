"""A run is its seed: the same in any process, and the one that failed is run again by one command."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.weather import digest
from tucano.testing import Simulation, seeds

ROOT = Path(__file__).parents[2]

FAILING = '''
"""A test that one seed in twenty fails."""

from tucano.actors.kernel import Actor, Child
from tucano.testing import Simulation, seeds


class Echo(Actor):
    def receive(self, message):
        return message


@seeds(200)
def test_luck(simulation: Simulation, tmp_path) -> None:
    node = simulation.node("here", Child("echo", Echo))
    drawn = node.ref("echo").ask(simulation.chance.randrange(20), timeout=1.0)
    assert drawn != 13, f"drew {drawn}, {simulation.digest}"
'''


def elsewhere(*command: str, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_same_seed_gives_the_same_run_in_any_process() -> None:
    script = "from tests.sim.weather import digest; print(digest(11))"
    digests = {digest(11), digest(11)}
    for hash_seed in ("0", "1", "4711"):
        done = elsewhere("-c", script, PYTHONHASHSEED=hash_seed)
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout.strip())
    assert len(digests) == 1
    assert digest(12) not in digests


def test_a_seed_that_fails_says_how_to_run_it_again(tmp_path: Path) -> None:
    (tmp_path / "test_luck.py").write_text(FAILING)
    first = elsewhere("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_luck.py", cwd=tmp_path)
    assert first.returncode == 1, first.stdout + first.stderr
    (command,) = set(re.findall(r"replay this run: (.+)", first.stdout))  # where CI is set, the summary tells it again
    (outcome,) = set(re.findall(r"drew 13, [0-9a-f]{64}", first.stdout))
    assert "here/echo#1 <- (outside) int 13" in first.stdout, "the end of the trace is shown"
    variable, *rest = shlex.split(command)
    name, _, seed = variable.partition("=")
    assert rest[0] == "python"
    again = elsewhere(*rest[1:], "-p", "no:cacheprovider", cwd=tmp_path, **{name: seed})
    assert again.returncode == 1
    assert outcome in again.stdout
    other = elsewhere(*rest[1:], "-p", "no:cacheprovider", cwd=tmp_path, **{name: str(int(seed) + 1)})
    assert outcome not in other.stdout


def test_a_seed_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    @seeds(3)
    def test(simulation: Simulation) -> None:
        raise AssertionError("it ran")

    monkeypatch.setenv("TUCANO_SEED", "-1")
    with pytest.raises(ValueError, match="TUCANO_SEED must be a seed"):
        test()


def test_each_seed_is_run_once_and_with_a_simulation_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUCANO_SEED", raising=False)
    seen: list[Simulation] = []

    @seeds(5)
    def test(simulation: Simulation) -> None:
        seen.append(simulation)

    test()
    assert [simulation.seed for simulation in seen] == [0, 1, 2, 3, 4]
    assert len({simulation.chance.random() for simulation in seen}) == 5
