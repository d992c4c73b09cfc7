"""Processes of services and builds: started in a session of their own, recognised again, and their sessions found.

A *session* (setsid(2)) is everything that a script starts, unless it takes pains to leave. It is named by its leader's
pid, which no other process can get as long as one member lives.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

KEPT: Final = frozenset({"PATH", "HOME", "LANG", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL"})
"""Variables of the worker's own environment that scripts see, besides `LC_*`. Keys and tokens stay outside."""

INSTANCE: Final = "TUCANO_INSTANCE"
"""In the environment of a service's processes: which instance they are; so they are found if they are noted nowhere."""

BUILD: Final = "TUCANO_BUILD"
"""In that of a build's processes, likewise."""

_IN_DIRECTORY: Final = 'cd -- "$0" && exec "$@"'
"""posix_spawn(3) cannot change the directory portably, so a first shell does and becomes the one with the script."""

_ALL_SIGNALS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


class Process(msgspec.Struct, frozen=True):
    """Which process: a pid alone may be somebody else's by now.

    Attributes:
        pid: process id; also the id of its session and its group.
        ticks: when it started, in clock ticks since boot: unlike a date, no clock change moves it.
        boot: the kernel's id of that boot.

    """

    pid: int
    ticks: int
    boot: str


def environment(of: Mapping[str, str], **extra: str) -> dict[str, str]:
    """The clean environment for a script.

    Args:
        of: the worker's environment, of which little is kept.
        **extra: what the script gets besides.

    """
    kept = {name: value for name, value in of.items() if name in KEPT or name.startswith("LC_")}
    kept.setdefault("PATH", os.defpath)
    return {**kept, **extra}


def spawn(script: str, directory: Path, env: Mapping[str, str], log: Path) -> Process:
    """Start `/bin/sh -c SCRIPT` in a new session; nothing of the caller leaks but what is named here.

    Its signals have their default meaning and none is blocked; its input is empty; its output goes straight to the end
    of `log`, so that it outlives this process.

    Raises:
        OSError: the log cannot be opened, or the kernel does not start it (a script or environment too large).
        ValueError: a NUL byte in the script or the environment.

    """
    files: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
        *((os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in _inheritable()),
    ]
    pid = os.posix_spawn(
        "/bin/sh",
        ["/bin/sh", "-c", _IN_DIRECTORY, str(directory), "/bin/sh", "-c", script],
        dict(env),
        file_actions=files,
        setsid=True,
        setsigmask=(),
        setsigdef=_ALL_SIGNALS,
    )
    process = find(pid)
    if process is None:  # it is our child and not waited for, so it is there even if it has ended
        raise ProcessLookupError(f"process {pid} is not in /proc: is /proc mounted?")
    return process


def find(pid: int) -> Process | None:
    """The process that has this pid now, even if it has ended and nobody has taken note."""
    fields = _stat(pid)
    return None if fields is None else Process(pid, int(fields[19]), _boot())


def present(process: Process) -> bool:
    """Whether it is still there, be it as a zombie."""
    return find(process.pid) == process


def session(leader: int) -> set[int]:
    """The living processes of a session."""
    members = set()
    for name in os.listdir("/proc"):  # noqa: PTH208 - a Path for each process would cost more than the question
        if name.isdigit() and _session_of(int(name)) == leader:
            fields = _stat(int(name))
            if fields is not None and fields[0] not in ("Z", "X"):
                members.add(int(name))
    return members


def kill_session(leader: int) -> None:
    """SIGKILL to every process of a session, and to those that they start meanwhile."""
    killed: set[int] = set()
    for _ in range(100):  # a session that forks faster than this is beyond us
        fresh = session(leader) - killed
        if not fresh:
            return
        for pid in sorted(fresh, key=lambda pid: pid != leader):  # the leader first: it has no time to complain
            send(pid, signal.SIGKILL)
        killed |= fresh


def kill_orphans(process: Process) -> None:
    """SIGKILL to what is left of the session of a process that has ended unseen."""
    # With a new owner of that pid it would be somebody else's session; a member of ours would have kept the pid ours.
    if process.boot == _boot() and find(process.pid) is None:
        kill_session(process.pid)


def send(pid: int, number: int, *, group: bool = False) -> None:
    """Send a signal to a process, or to its whole group; harmless if there is none any more."""
    try:
        if group:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        pass  # gone already: what was wanted


def started_for(instance: str, home: Path) -> Process | None:
    """The leader of the session that runs this instance, if its worker started it and did not live to note it.

    Args:
        instance: its id.
        home: the worker's directory, where the process works or prints to: other clusters' processes are not ours.

    """
    leaders = (pid for pid in _marked(f"{INSTANCE}={instance}\0", home) if _session_of(pid) == pid)
    return next(map(find, leaders), None)


def kill_strays(instance: str, home: Path) -> None:
    """SIGKILL to processes of an instance that has ended which have left its session (setsid(2)).

    Args:
        instance: its id.
        home: as for `started_for`.

    """
    for pid in _marked(f"{INSTANCE}={instance}\0", home):
        send(pid, signal.SIGKILL)


def kill_builds(home: Path) -> None:
    """SIGKILL to all that builds of a worker still run, each with its session.

    Args:
        home: where they work or print to.

    """
    for leader in {_session_of(pid) for pid in _marked(f"{BUILD}=", home)} - {-1}:
        kill_session(leader)


def _marked(mark: str, home: Path) -> Iterator[int]:
    """Processes of a home by what was put into their environment."""
    for name in os.listdir("/proc"):  # noqa: PTH208 - as above
        if not name.isdigit():
            continue
        try:
            environ = Path("/proc", name, "environ").read_bytes()
        except OSError:
            continue  # ended meanwhile, or another user's
        if b"\0" + mark.encode() in b"\0" + environ and is_at(int(name), home):
            yield int(name)


def is_at(pid: int, home: Path) -> bool:
    """Whether a process works in a directory, or prints to a file of it."""
    home = home.resolve()
    for link in ("cwd", "fd/1", "fd/2"):
        try:
            if Path(f"/proc/{pid}", link).readlink().is_relative_to(home):
                return True
        except OSError:
            continue  # ended meanwhile, or closed
    return False


def in_words(status: int | None) -> str:
    """How a process ended, for a person.

    Args:
        status: exit status; negative: the number of the signal that killed it; None: nobody knows.

    """
    if status is None:
        return "ended (with what status is unknown: an earlier worker process had started it)"
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:  # real-time signals have no names
        return f"was killed by signal {-status}"


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1  # ended meanwhile


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on, see proc_pid_stat(5); None if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _inheritable() -> list[int]:
    """Descriptors that a new program would inherit; Python's own are not, those of libraries may be."""
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - as above
        try:
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(int(name))
        except OSError:
            continue  # the listing's own, or closed meanwhile
    return found
