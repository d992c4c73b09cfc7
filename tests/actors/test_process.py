from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import eventually
from tucano.actors.proc import process
from tucano.actors.proc.exits import Exits
from tucano.actors.proc.process import Process, environment, find, in_words, present, session, spawn

ENV = environment(os.environ)


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str], Process]:
    return lambda script: spawn(script, tmp_path, ENV, tmp_path / "log")


class Ended:
    """Waits for what `Exits` tells."""

    def __init__(self) -> None:
        self.told: queue.Queue[int | None] = queue.Queue()

    def __call__(self, status: int | None) -> None:
        self.told.put(status)

    def status(self) -> int | None:
        return self.told.get(timeout=10)


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", -9), ("kill -TERM $$", -15), ("no-such", 127)]
)
def test_a_childs_exit_is_told_once_with_its_status(run: Callable[[str], Process], script: str, status: int) -> None:
    exits, ended = Exits(), Ended()
    child = run(script)
    exits.watch(child, ended)
    assert ended.status() == status
    assert not present(child), "it is reaped"
    assert ended.told.empty()


def test_the_thread_ends_with_the_last_process_and_comes_back_with_the_next(run: Callable[[str], Process]) -> None:
    exits = Exits()
    for _ in range(3):
        ended = Ended()
        exits.watch(run("exit 3"), ended)
        assert ended.status() == 3
        eventually(lambda: not any(thread.name == "tucano-exits" for thread in threading.enumerate()))


def test_one_that_was_gone_before_is_told_at_once(run: Callable[[str], Process]) -> None:
    ended = Ended()
    Exits().watch(Process(os.getpid(), 1, "another boot"), ended)
    assert ended.status() is None


def test_a_child_that_ended_before_it_was_watched_is_told_with_its_status(run: Callable[[str], Process]) -> None:
    child = run("exit 5")
    eventually(lambda: not session(child.pid), "it has ended")
    ended = Ended()
    Exits().watch(child, ended)
    assert ended.status() == 5


def test_an_unwatched_process_goes_on_and_can_be_watched_again(run: Callable[[str], Process]) -> None:
    exits, first, second = Exits(), Ended(), Ended()
    child = run("sleep 600")
    exits.watch(child, first)
    exits.unwatch(child)
    assert present(child)
    exits.watch(child, second)
    exits.stop(child, 10)
    assert second.status() == -signal.SIGTERM
    assert first.told.empty()


def test_what_a_process_leaves_behind_is_killed_before_its_end_is_told(run: Callable[[str], Process]) -> None:
    ended = Ended()
    child = run("sleep 600 & (trap '' TERM; sleep 600; true) & exit 2")
    Exits().watch(child, ended)
    assert ended.status() == 2
    assert not session(child.pid)


def test_one_that_ignores_sigterm_is_killed_with_all_of_its_session(
    run: Callable[[str], Process], tmp_path: Path
) -> None:
    exits, ended = Exits(), Ended()
    child = run("trap '' TERM; sleep 600 & touch ready; while :; do sleep 600; done")
    eventually((tmp_path / "ready").exists)
    exits.watch(child, ended)
    exits.stop(child, 0.1)
    assert ended.status() == -signal.SIGKILL
    assert not session(child.pid)


def test_a_grandchild_has_the_grace_to_end_in_order(run: Callable[[str], Process], tmp_path: Path) -> None:
    exits, ended = Exits(), Ended()
    child = run("sh -c 'trap \"sleep 0.2; touch orderly; exit\" TERM; touch ready; while :; do sleep 0.01; done'; true")
    eventually((tmp_path / "ready").exists)
    exits.watch(child, ended)
    exits.stop(child, 20)
    assert ended.status() == -signal.SIGTERM
    assert (tmp_path / "orderly").exists()


def test_a_process_of_somebody_else_is_watched_too() -> None:
    """An orphan, as the services of a killed worker are."""
    program = "import subprocess; print(subprocess.Popen(['sleep', '600'], start_new_session=True, stdout=2).pid)"
    pid = int(subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True).stdout)
    orphan = find(pid)
    assert orphan is not None
    exits, ended = Exits(), Ended()
    exits.watch(orphan, ended)
    exits.stop(orphan, 0)
    assert ended.status() is None
    assert not session(pid)


def test_many_processes_are_watched_by_one_thread(run: Callable[[str], Process]) -> None:
    exits = Exits()
    watched = [(n, Ended()) for n in range(30)]
    for n, ended in watched:
        exits.watch(run(f"exit {n}"), ended)
    assert [ended.status() for _, ended in watched] == list(range(30))


def test_a_process_is_told_from_another_of_the_same_pid(run: Callable[[str], Process]) -> None:
    me = find(os.getpid())
    assert me is not None
    assert present(me)
    assert not present(Process(me.pid, me.ticks - 1, me.boot))
    assert not present(Process(me.pid, me.ticks, "before the machine was started again"))


def test_orphans_are_killed_only_if_their_leader_is_gone(run: Callable[[str], Process]) -> None:
    exits, ended = Exits(), Ended()
    child = run("sleep 600")
    process.kill_orphans(child)
    assert session(child.pid)
    exits.watch(child, ended)
    exits.stop(child, 0)
    assert ended.status() == -signal.SIGKILL


def test_a_process_is_found_by_its_instance(tmp_path: Path) -> None:
    exits, ended = Exits(), Ended()
    child = spawn("sleep 600", tmp_path, {**ENV, "TUCANO_INSTANCE": "found-1"}, tmp_path / "log")
    assert eventually(lambda: process.started_for("found-1", tmp_path)) == child
    assert process.started_for("found-2", tmp_path) is None
    assert process.started_for("found-1", tmp_path / "other") is None, "another cluster's instance of that name"
    exits.watch(child, ended)
    exits.stop(child, 0)
    ended.status()


def test_builds_of_a_place_are_ended_with_all_that_they_started(tmp_path: Path) -> None:
    exits, marked = Exits(), {**ENV, "TUCANO_BUILD": "1"}
    here, there = tmp_path / "here", tmp_path / "there"
    ended, spared, service = Ended(), Ended(), Ended()
    for place in (here, there):
        place.mkdir()
    child = spawn("setsid sleep 600 & sleep 600", here, marked, here / "log")
    exits.watch(child, ended)
    others = spawn("sleep 600", there, marked, there / "log"), spawn("sleep 600", here, ENV, here / "log")
    for other, watched in zip(others, (spared, service), strict=True):
        exits.watch(other, watched)
    assert eventually(lambda: len(list(process._marked("TUCANO_BUILD=", here))) == 3), "the script and both sleeps"
    process.kill_builds(here)
    assert ended.status() == -signal.SIGKILL
    assert eventually(lambda: not list(process._marked("TUCANO_BUILD=", here)))
    assert all(session(other.pid) for other in others), "a build elsewhere, and a service"
    for other, watched in zip(others, (spared, service), strict=True):
        exits.stop(other, 0)
        watched.status()


def test_what_cannot_be_started_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Argument list too long"):
        spawn("true", tmp_path, {"X": "x" * 200_000}, tmp_path / "log")
    with pytest.raises(FileNotFoundError):
        spawn("true", tmp_path, ENV, tmp_path / "nowhere" / "log")
    with pytest.raises(ValueError, match="null"):
        spawn("true", tmp_path, {"X": "a\0b"}, tmp_path / "log")


def test_the_script_is_run_as_given_in_its_directory(tmp_path: Path) -> None:
    strange = tmp_path / "-a 'strange' $(name)"
    strange.mkdir()
    ended = Ended()
    Exits().watch(spawn('# a comment\npwd\nfalse; echo "$0"\n', strange, ENV, tmp_path / "log"), ended)
    assert ended.status() == 0
    assert (tmp_path / "log").read_text() == f"{strange}\n/bin/sh\n"


def test_the_environment_keeps_little() -> None:
    assert environment({"PATH": "/bin", "TUCANO_KEY": "x", "LC_TIME": "C", "LD_PRELOAD": "y"}, A="1") == {
        "PATH": "/bin", "LC_TIME": "C", "A": "1"
    }  # fmt: skip
    assert environment({})["PATH"]


def test_an_end_is_told_in_words() -> None:
    assert in_words(3) == "exited with status 3"
    assert in_words(-9) == "was killed by SIGKILL"
    assert in_words(-40) == "was killed by signal 40"
    assert "unknown" in in_words(None)
