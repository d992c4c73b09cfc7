"""A cluster's home: the directory that holds all that it keeps, and how to reach it.

```
HOME/
  cluster.json     the cluster's identity
  running.json     process and ports of the cluster that runs here now; absent when none does
  lock             held by the parent process: one cluster a home
  logs/            one file a process
  controller/      the record (SQLite) and the artifacts
  balancer/        the last routes, the access log
  workers/NAME/    builds, instances and their output
```
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shlex
from pathlib import Path

import msgspec
import psutil


class Running(msgspec.Struct, frozen=True):
    """A cluster that runs.

    Attributes:
        pid: of the parent process.
        created: when that process was created, seconds since the epoch: a pid alone may be somebody else's by now.
        http_port: where end users' requests come in.
        zmq_port: where administrators' come in.
        workers: how many.
        nodes: process id by node name.
        ready: whether all nodes have been up.

    """

    pid: int
    created: float
    http_port: int
    zmq_port: int
    workers: int
    nodes: dict[str, int]
    ready: bool = False


class Identity(msgspec.Struct, frozen=True):
    """What tells this cluster from all others: 16 hexadecimal digits."""

    cluster: str


class HomeInUse(Exception):
    """Another cluster runs from this home."""


class Home:
    """The paths of one home. Nothing is created before it is needed.

    Args:
        path: the directory.

    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.lock_file = self.path / "lock"
        self.logs = self.path / "logs"
        self.controller = self.path / "controller"
        self.balancer = self.path / "balancer"
        self._running = self.path / "running.json"
        self._identity = self.path / "cluster.json"

    @classmethod
    def default(cls) -> Home:
        """`TUCANO_HOME`, else `$XDG_STATE_HOME/tucano`, else `~/.local/state/tucano`."""
        if given := os.environ.get("TUCANO_HOME"):
            return cls(Path(given))
        state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        return cls(Path(state) / "tucano")

    @property
    def option(self) -> str:
        """What follows a command that is to find this home: ` --home DIR`, or nothing if it is the default one."""
        return "" if self.path == Home.default().path else f" --home {shlex.quote(str(self.path))}"

    def worker(self, name: str) -> Path:
        """All that one worker keeps."""
        return self.path / "workers" / name

    def log(self, node: str) -> Path:
        """A process's log."""
        return self.logs / f"{node}.log"

    def identity(self) -> str:
        """The cluster's identity, made at the first call."""
        if not self._identity.exists():
            write_atomically(self._identity, msgspec.json.encode(Identity(secrets.token_hex(8))))
        return msgspec.json.decode(self._identity.read_bytes(), type=Identity).cluster

    def lock(self) -> int:
        """Take the home for this process, until it ends.

        Returns:
            The descriptor that holds the lock.

        Raises:
            HomeInUse: another process has it.

        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise HomeInUse(f"a cluster runs from {self.path} already") from None
        return descriptor

    def running(self) -> Running | None:
        """The cluster that runs from this home, if its parent process is alive."""
        try:
            found = msgspec.json.decode(self._running.read_bytes(), type=Running)
        except FileNotFoundError:
            return None
        return found if is_process(found.pid, found.created) else None

    def announce(self, running: Running) -> None:
        """Say how to reach the cluster."""
        write_atomically(self._running, msgspec.json.encode(running))

    def retract(self) -> None:
        """Say that no cluster runs here any more."""
        self._running.unlink(missing_ok=True)


def is_process(pid: int, created: float) -> bool:
    """Whether the process `pid` lives and is the one that was created then."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - created) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file's content so that a reader sees the old or the new, never a part; private to the user."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(data)
    partial.chmod(0o600)
    partial.replace(path)
