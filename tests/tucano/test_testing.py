"""What people write tests with: a wrong test is told so, and does not pass unseen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tucano
from tucano.actors.kernel import Message
from tucano.testing import Probe, Simulation, seeds
from tucano.testing.runtime import Endless

ROOT = Path(__file__).parents[2]


class Word(Message, frozen=True):
    pass


class TestOfAClass:
    @pytest.mark.parametrize("more", [7])
    @seeds(3)
    def test_a_method_has_its_simulation_after_self(self, sim: Simulation, more: int, tmp_path: Path) -> None:
        assert isinstance(self, TestOfAClass)
        assert isinstance(sim, Simulation)
        assert (more, tmp_path.is_dir()) == (7, True)


def test_each_seed_is_run_once_and_in_order() -> None:
    ran: list[tuple[int, str]] = []

    @seeds(3)
    def test(sim: Simulation, word: str) -> None:
        ran.append((sim.seed, word))

    test(word="given")
    assert ran == [(0, "given"), (1, "given"), (2, "given")]


@pytest.mark.parametrize("count", [0, -1])
def test_no_seeds_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match="would never run"):
        seeds(count)


def test_seeds_without_a_number_say_what_is_missing() -> None:
    def test(sim: Simulation) -> None: ...

    with pytest.raises(TypeError, match=r"such as @seeds\(100\)"):
        seeds(test)  # type: ignore[arg-type]


def test_what_would_not_run_is_refused() -> None:
    async def coroutine(sim: Simulation) -> None: ...

    async def stream(sim: Simulation) -> AsyncIterator[int]:
        yield 1

    def generator(sim: Simulation) -> Iterator[int]:
        yield 1

    for test in (coroutine, stream, generator):
        with pytest.raises(TypeError, match="would not run"):
            seeds(2)(test)  # type: ignore[arg-type]


def test_what_takes_no_simulation_is_refused() -> None:
    def nothing() -> None: ...

    def self_only(self: object) -> None: ...

    def by_name(*, sim: Simulation) -> None: ...

    for test in (nothing, self_only, by_name):
        with pytest.raises(TypeError, match="takes no simulation"):
            seeds(2)(test)
    strangers: list[Any] = [TestOfAClass, staticmethod(by_name)]
    for strange in strangers:
        with pytest.raises(TypeError, match="plain function"):
            seeds(2)(strange)


FAILING = """
import pytest
from tucano.testing import seeds

class TestIt:
    @pytest.mark.parametrize("word", ["it's"])
    @seeds(5)
    def test_three(self, sim, word):
        print("ran", sim.seed)
        assert sim.seed != 3
"""


def test_the_command_that_replays_can_be_copied_from_where_it_was_printed(tmp_path: Path) -> None:
    below = tmp_path / "some tests" / "deep"
    below.mkdir(parents=True)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (below / "test_it.py").write_text(FAILING)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def run(command: str) -> str:
        done = subprocess.run(
            command, shell=True, cwd=below, env=env, capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout + done.stderr

    printed = run("python -m pytest -q -p no:cacheprovider test_it.py")
    command = re.search(r"replay this run: (TUCANO_SEED=3 .*)", printed)
    assert command is not None, printed
    again = run(command[1])
    assert "ran 3" in again
    assert "ran 0" not in again
    assert "1 failed" in again


def test_a_name_is_given_once() -> None:
    with Simulation() as sim:
        first = sim.node("n")
        with pytest.raises(ValueError, match="there is a node n already"):
            sim.node("n")
        assert sim.nodes["n"] is first
        first.crash()
        first.start()
        assert first.is_up


def test_a_name_that_cannot_be_is_refused_as_by_a_node_on_threads() -> None:
    with pytest.raises(ValueError, match="a node's name is of a-z") as real:
        tucano.Node("N/x")
    with Simulation() as sim, pytest.raises(ValueError, match="a node's name is of a-z") as simulated:
        sim.node("N/x")
    assert str(real.value) == str(simulated.value)


def test_a_fault_of_a_node_that_there_is_not_is_refused() -> None:
    with Simulation() as sim:
        sim.node("left")
        network: Any = sim.network
        with pytest.raises(TypeError, match=r"partition\(\['left'\]\)"):
            network.partition("left")
        faults: list[Callable[[], object]] = [
            lambda: network.partition(["left"], ["rigth"]), lambda: network.slow("rigth", 1.0),
            lambda: network.latency(0.1, 0.2, ("left", "rigth")), lambda: network.crash("rigth"),
        ]  # fmt: skip
        for fault in faults:
            with pytest.raises(ValueError, match="no node is called 'rigth'; there are: left"):
                fault()


def test_waiting_for_an_answer_that_never_comes_ends() -> None:
    with Simulation() as sim:
        left = sim.node("left")
        sim.node("right", Probe(lambda _: None).child("probe"))
        sim.freeze("right/probe")
        with pytest.raises(Endless, match="shorten the timeout"):
            left.ref("right/probe").ask(Word(), timeout=1e7)
        assert sim.now() < 3700
