from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pykka
import pytest

from tests.actors import worker_kit
from tests.actors.worker_kit import FAST, Shelf, busy_threads, strays
from tests.helpers import eventually
from tucano.actors import builder as builder_module
from tucano.actors import fetch
from tucano.actors.builder import Builder
from tucano.actors.disk import workspace
from tucano.actors.disk.artifact import Artifact
from tucano.actors.disk.workspace import Workspaces
from tucano.actors.kernel import Actor, Child, Refused, System
from tucano.actors.messages.builder import Abandon, Collect, Fetching, Made, Make
from tucano.actors.messages.model import Build
from tucano.actors.pure.transfer import PIECE


class Hears(Actor):
    """Keeps what it is told."""

    def __init__(self, told: list[Any]) -> None:
        super().__init__()
        self._told = told

    def receive(self, message: Any) -> None:
        self._told.append(message)


class Bench:
    """A builder and a shelf of artifacts."""

    def __init__(self, root: Path, parallel: int = 2) -> None:
        self.home, self.shelf = root / "home", root / "shelf"
        self.shelf.mkdir(exist_ok=True)
        self.deaf = threading.Event()
        self.asked: list[tuple[int, int]] = []
        self.system = System("w1")
        self.system.run(
            [
                Child("gateway", Shelf, {"root": self.shelf, "deaf": self.deaf, "asked": self.asked}),
                Child("builder", Builder, {"home": self.home, "gateway": "w1/gateway", "parallel": parallel}),
            ],
            law=FAST,
        )
        eventually(lambda: self.system.ref("builder").is_alive())

    def pack(self, **files: str | bytes) -> Artifact:
        return worker_kit.pack(self.shelf, files or {"a.txt": "content"})

    def ask(self, artifact: Artifact, script: str = "", timeout: float = 60.0) -> pykka.Future[Any]:
        make = Make("hello", artifact.sha256, artifact.size, Build(script, timeout))
        return self.system.ref("builder").ask(make, timeout=60, block=False)

    def make(self, artifact: Artifact, script: str = "", timeout: float = 60.0) -> Made:
        made = self.ask(artifact, script, timeout).get(timeout=60)
        assert isinstance(made, Made)
        return made

    def fails(self, artifact: Artifact, script: str = "", timeout: float = 60.0) -> str:
        with pytest.raises(Refused) as refused:
            self.make(artifact, script, timeout)
        assert refused.value.code == "build_failed"
        assert refused.value.detail.startswith("the build of hello failed on w1: ")
        return refused.value.detail.removeprefix("the build of hello failed on w1: ")

    def archive(self, artifact: Artifact) -> Path:
        """Where it lies while it is fetched, for a build without a script."""
        return Workspaces(self.home).archive(workspace.key(artifact.sha256, Build("", 60.0), ""))

    def left(self) -> set[str]:
        """What lies in the place of the builds, besides what is being deleted."""
        return {path.name for path in (self.home / "builds").iterdir() if path.name != ".trash"}

    def is_swept(self) -> bool:
        return not list((self.home / "builds" / ".trash").iterdir())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    assert made.system.stop(10)
    eventually(lambda: not strays(made.home), f"builds end with their builder: {strays(made.home)}")
    eventually(lambda: not busy_threads(), f"threads end: {busy_threads()}")


def test_an_artifact_is_unpacked_and_built(bench: Bench) -> None:
    made = bench.make(
        bench.pack(**{"a.txt": "content", "sub/b.txt": "b"}), "echo building; cat a.txt sub/b.txt > c.txt"
    )
    assert (Path(made.directory) / "c.txt").read_text() == "contentb"
    assert Path(made.log).read_text() == "building\n"
    assert not made.cached


def test_without_a_script_unpacking_is_all(bench: Bench) -> None:
    made = bench.make(bench.pack())
    assert (Path(made.directory) / "a.txt").read_text() == "content"
    name = Path(made.directory).name
    assert bench.left() == {name, f"{name}.done"}


def test_a_large_artifact_comes_in_chunks(bench: Bench) -> None:
    content = os.urandom(3 * PIECE + 7)
    made = bench.make(bench.pack(big=content))
    assert (Path(made.directory) / "big").read_bytes() == content


def test_the_same_is_built_once(bench: Bench, tmp_path: Path) -> None:
    artifact, script = bench.pack(), f"echo x >> {tmp_path}/count"
    first = bench.make(artifact, script)
    second = bench.make(artifact, script)
    assert (second.directory, second.cached) == (first.directory, True)
    assert (tmp_path / "count").read_text() == "x\n"
    assert bench.make(artifact, f"{script} # other").directory != first.directory


def test_who_asks_for_what_is_being_built_waits_for_it(bench: Bench, tmp_path: Path) -> None:
    artifact, script = bench.pack(), f"echo x >> {tmp_path}/count; until test -e {tmp_path}/go; do sleep 0.01; done"
    asked = [bench.ask(artifact, script) for _ in range(3)]
    eventually((tmp_path / "count").exists)
    asked.append(bench.ask(artifact, script))
    (tmp_path / "go").touch()
    assert len({future.get(timeout=20).directory for future in asked}) == 1
    assert (tmp_path / "count").read_text() == "x\n"


def test_so_many_are_built_at_once_and_the_others_wait(bench: Bench, tmp_path: Path) -> None:
    artifact = bench.pack()
    scripts = [f"touch {tmp_path}/began-{n}; until test -e {tmp_path}/go; do sleep 0.01; done" for n in range(4)]
    asked = [bench.ask(artifact, script) for script in scripts]
    eventually(lambda: len(list(tmp_path.glob("began-*"))) == 2)
    (tmp_path / "go").touch()
    assert len({future.get(timeout=20).directory for future in asked}) == 4


def test_a_failure_is_told_with_its_status_and_last_output_and_leaves_only_its_log(bench: Bench) -> None:
    artifact, script = bench.pack(), "seq 100; echo 'no such package' >&2; exit 3"
    detail = bench.fails(artifact, script)
    assert detail.startswith("exited with status 3; its last output:\n")
    assert detail.endswith("100\nno such package")
    assert "\n62\n" in detail
    assert "\n61\n" not in detail
    eventually(bench.is_swept)
    assert [name.partition(".")[2] for name in bench.left()] == ["log"]
    assert "exited with status 3" in bench.fails(artifact, script), "a failure is not cached"


def test_one_that_takes_too_long_is_killed_with_all_that_it_started(bench: Bench) -> None:
    detail = bench.fails(bench.pack(), "echo begin; sleep 600 & sleep 600", timeout=2.5)
    assert detail == "it took longer than 2.5 s (build.timeout); its last output:\nbegin"
    assert not strays(bench.home)


def test_one_that_prints_too_much_is_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder_module, "MAX_OUTPUT", 1 << 20)
    assert bench.fails(bench.pack(), "yes").startswith("it printed more than 1 MiB; its last output:\n")
    (log,) = (bench.home / "builds").glob("*.log")
    assert log.stat().st_size == 1 << 20


def test_what_a_build_leaves_running_is_killed(bench: Bench) -> None:
    bench.make(bench.pack(), "sleep 600 &")
    assert not strays(bench.home)


def test_the_environment_of_a_build_is_clean(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUCANO_KEY", "secret")
    monkeypatch.setenv("API_TOKEN", "secret")
    log = Path(bench.make(bench.pack(), "env; cat").log).read_text()
    assert "secret" not in log
    assert "PATH=" in log
    assert "PORT=" not in log


def test_an_unfinished_build_is_wiped_and_begun_anew(bench: Bench) -> None:
    artifact, script = bench.pack(), "test ! -e b.txt; touch b.txt"
    made = bench.make(artifact, script)
    Path(f"{made.directory}.done").unlink()
    assert not bench.make(artifact, script).cached


def test_fetching_goes_on_when_the_controller_is_back(bench: Bench) -> None:
    artifact = bench.pack()
    bench.deaf.set()
    asked = bench.ask(artifact)
    with pytest.raises(pykka.Timeout):
        asked.get(timeout=0.1)
    bench.deaf.clear()
    assert isinstance(asked.get(timeout=20), Made)


def test_a_controller_that_stays_away_or_has_no_such_artifact_is_not_waited_for_without_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "PATIENCE", 0.1)
    monkeypatch.setattr(fetch, "UNKNOWN_PATIENCE", 0.1)
    assert "no such artifact" in bench.fails(Artifact("0" * 64, 100, 1))
    bench.deaf.set()
    assert "its artifact could not be fetched from the controller: as told" in bench.fails(bench.pack())


def test_a_damaged_artifact_is_refused(bench: Bench) -> None:
    artifact = bench.pack()
    content = bytearray((bench.shelf / artifact.sha256).read_bytes())
    content[20] ^= 1
    (bench.shelf / artifact.sha256).write_bytes(content)
    assert bench.fails(artifact) == "its artifact arrived damaged: deploy it again"
    (bench.shelf / artifact.sha256).write_bytes(content[:50])
    assert "not its artifact" in bench.fails(artifact)


def test_a_fetch_that_broke_off_goes_on_where_it_ended(bench: Bench) -> None:
    artifact = bench.pack(big=os.urandom(5 * PIECE))
    whole = (bench.shelf / artifact.sha256).read_bytes()
    bench.archive(artifact).write_bytes(whole[: 2 * PIECE + 5])
    made = bench.make(artifact)
    assert (Path(made.directory) / "big").stat().st_size == 5 * PIECE
    assert min(offset for offset, _ in bench.asked) == 2 * PIECE + 5
    assert sum(length for _, length in bench.asked) == len(whole) - 2 * PIECE - 5


def test_a_fetch_that_failed_leaves_what_it_has_to_the_next(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "PATIENCE", 0.1)
    artifact = bench.pack(big=os.urandom(5 * PIECE))
    bench.archive(artifact).write_bytes((bench.shelf / artifact.sha256).read_bytes()[:PIECE])
    bench.deaf.set()
    bench.fails(artifact)
    bench.deaf.clear()
    bench.make(artifact)
    assert min(offset for offset, _ in bench.asked) == PIECE


def test_what_an_earlier_fetch_left_damaged_is_fetched_anew(bench: Bench) -> None:
    artifact = bench.pack(big=os.urandom(2 * PIECE))
    eventually((bench.home / "builds").is_dir)  # the builder makes it when it starts
    for left in (b"x" * PIECE, b"x" * artifact.size, b"x" * (artifact.size + 1)):
        bench.archive(artifact).write_bytes(left)
        bench.make(artifact)
        bench.system.ref("builder").ask(Collect(()), timeout=5)


def test_who_asked_is_told_how_a_large_artifact_comes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "TELL", 0.0)
    artifact = bench.pack(big=os.urandom(3 * PIECE))
    told: list[Any] = []
    teller = bench.system.spawn(Child("teller", Hears, {"told": told}))
    make = Make("hello", artifact.sha256, artifact.size, Build("", 60.0), teller, "hello.1")
    bench.system.ref("builder").ask(make, timeout=60)
    eventually(lambda: told and told[-1] == Fetching("hello.1", artifact.size, artifact.size))
    assert [one.done for one in told] == sorted(one.done for one in told)


def test_what_is_no_archive_is_refused(bench: Bench) -> None:
    name = hashlib.sha256(b"nonsense").hexdigest()
    (bench.shelf / name).write_bytes(b"nonsense")
    assert "is damaged" in bench.fails(Artifact(name, 8, 1))


def test_a_disk_that_refuses_fails_the_build_and_not_the_builder(bench: Bench) -> None:
    artifact = bench.pack()
    key = Path(bench.make(artifact).directory).name
    Path(bench.home / "builds" / f"{key}.done").unlink()
    (bench.home / "builds" / f"{key}.tar").mkdir()
    assert "Is a directory" in bench.fails(artifact)
    (bench.home / "builds" / f"{key}.tar").rmdir()
    bench.make(artifact)
    assert bench.system.snapshot()[-1].restarts == 0


def test_what_nobody_needs_is_deleted_even_without_write_permission(bench: Bench) -> None:
    kept, other = (
        bench.make(bench.pack(), "true"),
        bench.make(bench.pack(), "mkdir -p d/e; touch d/e/f; chmod -R a-w d"),
    )
    bench.system.ref("builder").ask(Collect((kept.directory,)), timeout=10)
    assert not Path(other.directory).exists()
    name = Path(kept.directory).name
    assert bench.left() == {name, f"{name}.log", f"{name}.done"}
    eventually(bench.is_swept)
    assert bench.make(bench.pack(), "true").cached


def test_what_is_being_built_is_not_deleted(bench: Bench, tmp_path: Path) -> None:
    asked = bench.ask(bench.pack(), f"touch {tmp_path}/began; until test -e {tmp_path}/go; do sleep 0.01; done")
    eventually((tmp_path / "began").exists)
    bench.system.ref("builder").ask(Collect(()), timeout=10)
    (tmp_path / "go").touch()
    assert Path(asked.get(timeout=20).directory).is_dir()


def test_an_abandoned_build_is_killed_and_may_be_wanted_again(bench: Bench, tmp_path: Path) -> None:
    artifact, script = bench.pack(), f"echo x >> {tmp_path}/count; test -e {tmp_path}/go || sleep 600"
    first = bench.ask(artifact, script)
    eventually((tmp_path / "count").exists)
    (directory,) = (path for path in (bench.home / "builds").iterdir() if path.is_dir() and path.name != ".trash")
    bench.system.ref("builder").ask(Abandon(str(directory)), timeout=10)
    (tmp_path / "go").touch()
    again = bench.ask(artifact, script)
    with pytest.raises(Refused) as refused:
        first.get(timeout=10)
    assert refused.value.code == "abandoned"
    assert again.get(timeout=20).directory == str(directory)
    assert (tmp_path / "count").read_text() == "x\nx\n"


def test_a_crash_of_the_builder_refuses_who_waits_and_the_next_builds_anew(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact, script = bench.pack(), f"touch {tmp_path}/began; test -e {tmp_path}/go || sleep 600"
    asked = bench.ask(artifact, script)
    eventually((tmp_path / "began").exists)
    with monkeypatch.context() as broken:
        broken.setattr(builder_module, "Path", None)
        bench.system.ref("builder").tell(Abandon("/x"))
        with pytest.raises(Refused) as refused:
            asked.get(timeout=10)
    assert refused.value.code == "crashed"
    (tmp_path / "go").touch()
    assert not bench.make(artifact, script).cached
