"""A cluster's home: the directory that holds all that it keeps, and how to reach it.

```
HOME/
  cluster.json     the cluster's identity
  running.json     process and ports of the cluster that runs here now; absent when none does
  listening.json   where a cluster with keys listened last, for the next time
  sockets          where the parent hands out listening sockets of tcp services, to this user
  lock             held by the parent process: one cluster a home
  keys/            who is admitted, and the keys of what runs here; see `tucano.keys`
  logs/            one file a process
  controller/      the record (SQLite) and the artifacts
  balancers/NAME/  the last routes, the access log
  tls/HOST/        certificates and their keys; see `tucano.certs`
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
        host: where it listens.
        secure: whether it wants keys of all who come.
        joined: whether this is only a node of a cluster whose controller is elsewhere; its worker has no ports.
        balancers: how many; without any there are no ports for end users.
        https_port: where end users' requests come in with TLS; 0 if they do not.
        inside_port: where requests of this machine's own programs come in, on loopback; 0 if they do not.
        mdp_port: where end users' ZeroMQ requests come in; 0 if they do not.
        lock: device and inode of the home's lock, which stay when the home is moved, and are others in a copy of it.

    """

    pid: int
    created: float
    http_port: int
    zmq_port: int
    workers: int
    nodes: dict[str, int]
    ready: bool = False
    host: str = "127.0.0.1"
    secure: bool = False
    joined: bool = False
    balancers: int = 1
    https_port: int = 0
    inside_port: int = 0
    mdp_port: int = 0
    lock: tuple[int, int] | None = None

    @property
    def door(self) -> str:
        """Endpoint for administrators."""
        return f"tcp://{self.host}:{self.zmq_port}"

    @property
    def users(self) -> str:
        """Base URL for end users."""
        return f"http://{self.host}:{self.http_port}"


class Listening(msgspec.Struct, frozen=True):
    """Where a cluster with keys listens, also the next time: its tokens name it.

    Attributes:
        host: its address.
        bridge: the nodes' port.
        door: the clients' port.

    """

    host: str
    bridge: int
    door: int


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
        self.tls = self.path / "tls"
        self._running = self.path / "running.json"
        self._identity = self.path / "cluster.json"
        self._listening = self.path / "listening.json"

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

    def balancer(self, name: str) -> Path:
        """All that one balancer keeps."""
        return self.path / "balancers" / name

    def log(self, node: str) -> Path:
        """A process's log."""
        return self.logs / f"{node}.log"

    def identity(self) -> str:
        """The cluster's identity, made at the first call."""
        if not self._identity.exists():
            write_atomically(self._identity, msgspec.json.encode(Identity(secrets.token_hex(8))))
        return msgspec.json.decode(self._identity.read_bytes(), type=Identity).cluster

    def belongs(self, cluster: str) -> bool:
        """Whether this is a home of that cluster; not yet, as long as it is one of none.

        Raises:
            HomeInUse: it is one of another cluster's.

        """
        if not self._identity.exists():
            return False
        if self.identity() != cluster:
            raise HomeInUse(f"{self.path} is the home of another cluster: name another directory with --home")
        return True

    def belong(self, cluster: str) -> None:
        """Make this a home of a cluster that lives elsewhere; raises as `belongs`."""
        if not self.belongs(cluster):
            write_atomically(self._identity, msgspec.json.encode(Identity(cluster)))

    def listening(self) -> Listening | None:
        """Where its cluster listened last."""
        try:
            return msgspec.json.decode(self._listening.read_bytes(), type=Listening)
        except FileNotFoundError:
            return None

    def keep_listening(self, listening: Listening) -> None:
        """Remember where its cluster listens."""
        write_atomically(self._listening, msgspec.json.encode(listening))

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

    def announced(self) -> Running | None:
        """The cluster that was started from this home and has not been stopped in order, whether it lives or not.

        What came with a copy of another home is none: that cluster is the other one's.
        """
        try:
            found = msgspec.json.decode(self._running.read_bytes(), type=Running)
        except FileNotFoundError:
            return None
        return found if found.lock in (None, self._seen_lock()) else None

    def running(self) -> Running | None:
        """The cluster that runs from this home, if its parent process is alive."""
        found = self.announced()
        return found if found is not None and is_process(found.pid, found.created) else None

    def announce(self, running: Running) -> None:
        """Say how to reach the cluster."""
        write_atomically(self._running, msgspec.json.encode(msgspec.structs.replace(running, lock=self._seen_lock())))

    def retract(self) -> None:
        """Say that no cluster runs here any more."""
        self._running.unlink(missing_ok=True)

    def _seen_lock(self) -> tuple[int, int] | None:
        try:
            seen = self.lock_file.stat()
        except FileNotFoundError:
            return None
        return seen.st_dev, seen.st_ino


def is_process(pid: int, created: float) -> bool:
    """Whether the process `pid` lives and is the one that was created then."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - created) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def write_atomically(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Replace a file's content so that a reader sees the old or the new, never a part; private to the user.

    Args:
        path: the file.
        data: its content.
        durable: whether it is to be there after a power failure, too.

    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    with open(partial, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    partial.replace(path)
