"""What tests of whole clusters share."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from tests.helpers import eventually

MINE = {os.getpid(), os.getppid()}


def processes_of(place: Path) -> list[str]:
    """Processes whose command line names a directory, or that work in it."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            if process.pid not in MINE and (str(place) in line or process.cwd().startswith(str(place))):
                found.append(f"{process.pid} {line}")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def assert_nothing_runs_in(place: Path) -> None:
    eventually(lambda: not processes_of(place), f"no process of {place}")
