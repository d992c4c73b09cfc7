"""Where builds lie: a directory for each, named by all that goes into it.

```
HOME/builds/KEY/       the built directory; its final place from the start, for virtual environments hold absolute paths
HOME/builds/KEY.log    the script's output
HOME/builds/KEY.done   it was built to the end; without this file it was not
HOME/builds/KEY.pid    the process that builds, in case its worker does not live to stop it
HOME/builds/KEY.tar    the artifact while it is fetched and unpacked
HOME/builds/.trash/    what is being deleted
```
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tucano.actors.disk.records import sync_directory
from tucano.actors.messages.model import Build
from tucano.actors.proc.process import Process, is_at, kill_builds, kill_session, present


def key(artifact: str, build: Build, path: str) -> str:
    """The name of a build: the same for the same content, script and `PATH`, where the script finds its tools."""
    parts = "\0".join(("1", artifact, build.script, path if build.script else ""))
    return hashlib.sha256(parts.encode("utf-8", errors="surrogateescape")).hexdigest()[:32]


class Workspaces:
    """The builds of one worker.

    Args:
        home: the worker's directory.

    """

    def __init__(self, home: Path) -> None:
        self.root = home / "builds"
        self._trash = self.root / ".trash"

    def prepare(self) -> None:
        """Make the place, and end what builds of an earlier worker process still run.

        Raises:
            OSError: the directory cannot be made.

        """
        self._trash.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in self.root.glob("*.pid"):
            try:
                process = msgspec.json.decode(path.read_bytes(), type=Process)
            except msgspec.DecodeError:
                process = None  # cut off by a power failure, which ended the process too
            if process is not None and present(process) and is_at(process.pid, self.root):
                kill_session(process.pid)
            path.unlink()
        kill_builds(self.root)  # a worker may have died between starting one and noting it
        for path in self.root.glob(".*-*"):  # half unpacked
            path.rename(self._trash / path.name)

    def directory(self, name: str) -> Path:
        """Where it is built."""
        return self.root / name

    def log(self, name: str) -> Path:
        """The script's output."""
        return self.root / f"{name}.log"

    def archive(self, name: str) -> Path:
        """The artifact, while it is needed."""
        return self.root / f"{name}.tar"

    def is_done(self, name: str) -> bool:
        """Whether it was built to the end."""
        return self._done(name).exists() and self.directory(name).is_dir()

    def note_process(self, name: str, process: Process) -> None:
        """Remember who builds."""
        self._pid(name).write_bytes(msgspec.json.encode(process))

    def forget_process(self, name: str) -> None:
        """Nobody builds any more."""
        self._pid(name).unlink(missing_ok=True)

    def mark_done(self, name: str) -> None:
        """It was built to the end; durable.

        Raises:
            OSError: no room, for instance.

        """
        with self._done(name).open("wb") as file:
            os.fsync(file.fileno())
        sync_directory(self.root)

    def names(self) -> set[str]:
        """All that have left something here."""
        return {path.name.partition(".")[0] for path in self.root.iterdir() if not path.name.startswith(".")}

    def clear(self, name: str, token: str, *, keep_log: bool = False, keep_archive: bool = False) -> None:
        """Take a build away, at once; `empty_trash` deletes it.

        Args:
            name: which.
            token: unique, to name it in the trash.
            keep_log: for a person who wants to know why it failed.
            keep_archive: for the next attempt to fetch it, which goes on where this one ended.

        """
        self._done(name).unlink(missing_ok=True)
        if not keep_archive:
            self.archive(name).unlink(missing_ok=True)
        if not keep_log:
            self.log(name).unlink(missing_ok=True)
        if self.directory(name).exists():
            self.directory(name).rename(self._trash / f"{name}-{token}")

    def empty_trash(self) -> None:
        """Delete what was cleared; may take long, so call it in a thread."""
        for path in self._trash.iterdir():
            shutil.rmtree(path, onerror=_make_writable)

    def _done(self, name: str) -> Path:
        return self.root / f"{name}.done"

    def _pid(self, name: str) -> Path:
        return self.root / f"{name}.pid"


def _make_writable(function: Callable[..., Any], path: str, _: Any) -> None:
    """Build tools leave directories without write permission: give it, and try again; else leave it for next time."""
    try:
        for each in (Path(path).parent, Path(path)):
            if not each.is_symlink():
                each.chmod(each.stat().st_mode | stat.S_IRWXU)
        if function in (os.unlink, os.rmdir):
            function(path)
        else:
            shutil.rmtree(path, ignore_errors=True)
    except OSError:
        pass  # still in use or gone already: the trash is emptied again at the next occasion
