"""Starts a cluster as a process of its own, and waits until it is ready."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

import tucano
from tucano.client.failures import ClientError
from tucano.home import Home, Running
from tucano.stopping import PAUSE, tail

READY = 75.0
"""Seconds that a cluster may take to start; its parent process gives up after 60, and says what is missing."""


class StartFailed(ClientError):
    """A cluster did not start; the text ends with what it printed last."""


class Launch:
    """A process that runs a cluster.

    Args:
        module: what to run: `tucano.parent`, or something with the same effect.
        home: of the cluster.
        arguments: of the module.
        lifeline: whether the cluster is to stop when this process ends, however it does.

    """

    def __init__(self, module: str, home: Home, arguments: list[str], *, lifeline: bool) -> None:
        self.home = home
        self.log = home.log("parent")
        self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._since = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self.process = _spawn([sys.executable, "-m", module, *arguments], output, lifeline)

    def wait_until_ready(self, timeout: float = READY) -> Running:
        """Wait until all nodes are up.

        Raises:
            StartFailed: it ended, or was not ready in time and has been told to stop.

        """
        deadline = time.monotonic() + timeout
        while True:
            running = self.home.running()
            if running is not None and running.ready and running.pid == self.process.pid:
                return running
            if self.process.poll() is not None:
                raise StartFailed(self._said() or f"the cluster's process ended with status {self.process.returncode}")
            if time.monotonic() > deadline:
                self.process.terminate()
                raise StartFailed(
                    f"the cluster was not ready within {timeout:g} s and has been told to stop; see {self.home.logs}"
                    f"\n{self._said()}".rstrip()
                )
            time.sleep(PAUSE)

    def _said(self) -> str:
        """What it printed, of late."""
        text = tail(self.log, since=self._since)
        before, mark, complaint = text.rpartition("tucano: ")  # what the parent says when it cannot start
        return complaint if mark and (not before or before.endswith("\n")) else text


def _spawn(command: list[str], output: BinaryIO, lifeline: bool) -> subprocess.Popen[bytes]:
    """A process in a session of its own: a Ctrl-C for us is none for it."""
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE if lifeline else subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        env=_environment(),
    )


def _environment() -> dict[str, str]:
    """Our own environment, in which the process finds the same Tucano and nothing of the directory that we are in."""
    env = {**os.environ, "PYTHONSAFEPATH": "1"}
    root = str(Path(tucano.__file__).parent.parent)
    if root not in (*site.getsitepackages(), site.getusersitepackages()):
        env["PYTHONPATH"] = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), root)))
    return env
