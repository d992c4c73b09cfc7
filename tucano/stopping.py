"""Stopping a cluster from outside: its parent process in order, and whatever one that was killed has left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

from tucano import remains
from tucano.actors.proc import process
from tucano.home import Home, Running, is_process

PAUSE = 0.02
"""Seconds between two looks at processes that are ending."""

GRACE = 10.0
"""Seconds that services without a worker have to end by themselves, before they are killed."""


class Left(NamedTuple):
    """A process of a cluster that lives: the name of its node, or `a service`."""

    name: str
    pid: int


def alive(home: Home) -> list[Left]:
    """The nodes and services of a home that live; not the parent."""
    found = []
    for node in remains.nodes(home):
        try:
            line = node.cmdline()
            found.append(Left(line[line.index("--name") + 1], node.pid))
        except (psutil.Error, ValueError):
            continue  # it has just ended
    return sorted(found) + [Left("a service", one.pid) for one in remains.services(home)]


def stop(home: Home, running: Running, timeout: float, tell: Callable[[list[Left]], None] | None = None) -> bool:
    """Ask a cluster's parent process to stop everything in order, and wait for its end.

    Args:
        home: of the cluster.
        running: the cluster.
        timeout: seconds to wait.
        tell: told who still lives, whenever that changes.

    Returns:
        Whether it ended in time.

    """
    if is_process(running.pid, running.created):
        os.kill(running.pid, signal.SIGTERM)
    before: list[Left] = []
    deadline = time.monotonic() + timeout
    while is_process(running.pid, running.created):
        if time.monotonic() > deadline:
            return False
        if tell and (now := alive(home)) != before:
            tell(now)
            before = now
        time.sleep(PAUSE)
    return True


def clear(home: Home, grace: float = GRACE) -> list[Left]:
    """End what a cluster left whose parent is gone: nodes first, so that nobody starts the services again.

    Args:
        home: whose.
        grace: seconds in which the services may end by themselves; then they are killed.

    Returns:
        What was there. It is gone now, unless it hangs in the kernel; `alive` tells.

    """
    found = alive(home)
    remains.end_nodes(home)
    services = remains.services(home)
    for one in services:
        process.send(one.pid, signal.SIGTERM, group=True)
    deadline = time.monotonic() + grace
    while any(process.session(one.pid) for one in services) and time.monotonic() < deadline:
        time.sleep(PAUSE)
    remains.end_services(home)
    return found


def tail(path: Path, lines: int = 20, since: int = 0) -> str:
    """The last lines of a log file, from byte `since` on; empty if there is none."""
    try:
        text = path.read_bytes()[since:].decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
