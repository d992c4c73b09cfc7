"""What an earlier cluster of a home has left running: nodes whose parent died, services whose worker died."""

from __future__ import annotations

import contextlib

import msgspec
import psutil

from tucano.actors.disk.records import Record
from tucano.actors.proc.process import Process, find, kill_builds, kill_session, kill_strays, session
from tucano.home import Home


def nodes(home: Home) -> list[psutil.Process]:
    """Processes that are nodes of this home, by their command lines."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):  # it has ended, or is another user's
            line = process.cmdline()
            if "tucano.node" in line and "--home" in line and line[line.index("--home") + 1] == str(home.path):
                found.append(process)
    return found


def end_nodes(home: Home) -> list[int]:
    """Kill the nodes; their services go on, for new workers to adopt.

    Returns:
        The process ids.

    """
    found = nodes(home)
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            process.kill()
    psutil.wait_procs(found, timeout=10)
    return [process.pid for process in found]


def services(home: Home, worker: str = "*") -> list[Process]:
    """The main processes of services that a worker of this home has started and that still run."""
    found = []
    for path in home.worker(worker).parent.glob(f"{worker}/instances/*.json"):
        with contextlib.suppress(msgspec.DecodeError, OSError):  # damaged or just removed: nothing to be known from it
            record = msgspec.json.decode(path.read_bytes(), type=Record)
            if record.process is not None and record.is_of(path.parent.parent) and _lives(record.process):
                found.append(record.process)
    return found


def _lives(process: Process) -> bool:
    """Whether anything of its session lives; a pid that is somebody else's by now is none of it."""
    return find(process.pid) in (process, None) and bool(session(process.pid))


def end_services(home: Home, worker: str = "*") -> list[int]:
    """Kill services, each with all of its session; and builds that nobody waits for any more.

    Returns:
        The process ids of the main processes.

    """
    found = services(home, worker)
    for process in found:
        kill_session(process.pid)
    for path in home.worker(worker).parent.glob(f"{worker}/instances/*.json"):
        kill_strays(path.stem, path.parent.parent)
    for path in home.worker(worker).parent.glob(f"{worker}/builds"):
        kill_builds(path)
    return [process.pid for process in found]
