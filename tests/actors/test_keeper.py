"""A keeper and the processes that it keeps: real ones, which say and hear what a balancer's does."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from tests.helpers import eventually
from tucano.actors.keeper import Command, Keeper
from tucano.actors.kernel import Child, System
from tucano.actors.messages.keeper import StopNode

Start = Callable[..., System]

NODE = """\
import os, signal, socket, sys
name = sys.argv[1]
line = socket.socket(fileno=int(sys.argv[sys.argv.index("--keeper-fd") + 1]))
told, tell = os.pipe()
signal.signal(signal.SIGTERM, lambda *_: os.write(tell, b"."))
line.sendall(b"s")
print("serves", os.getpid(), flush=True)
os.read(told, 1)
line.sendall(b"l")
print("heard", line.recv(1).decode(), os.getpid(), flush=True)
os.read(told, 1)
"""


class Kept:
    """A keeper of such a process."""

    def __init__(self, node: Start, path: Path) -> None:
        self.log = path / "log"
        self.pids: list[int] = []
        command = Command("one", [sys.executable, "-c", NODE, "one"], [], self.log, leaves=True)
        self.system = node(Child("one", Keeper, {"command": command, "tell": lambda _, pid: self.pids.append(pid)}))

    def wait_for(self, line: str) -> None:
        eventually(lambda: self.log.exists() and line in self.log.read_text().splitlines(), line)

    def process(self, number: int) -> int:
        """The id of the process that was started as the first, the second, ..., once it serves."""
        eventually(lambda: len([pid for pid in self.pids if pid]) > number)
        pid = [pid for pid in self.pids if pid][number]
        self.wait_for(f"serves {pid}")
        return pid

    def stop(self, grace: float) -> None:
        self.system.ref("one").ask(StopNode(grace), timeout=20)


def test_a_process_that_leaves_is_told_when_its_successor_serves(node: Start, tmp_path: Path) -> None:
    kept = Kept(node, tmp_path)
    first = kept.process(0)
    os.kill(first, signal.SIGTERM)
    second = kept.process(1)
    kept.wait_for(f"heard 1 {first}")
    assert kept.pids == [first, second]  # it is told of no end: somebody is there
    kept.stop(0.0)  # both: the first has not ended yet
    assert not Path(f"/proc/{first}").exists()
    assert not Path(f"/proc/{second}").exists()


def test_a_process_that_is_stopped_is_told_that_nobody_comes_after_it(node: Start, tmp_path: Path) -> None:
    kept = Kept(node, tmp_path)
    first = kept.process(0)
    waiting = kept.system.ref("one").ask(StopNode(60.0), timeout=20, block=False)
    kept.wait_for(f"heard 0 {first}")
    os.kill(first, signal.SIGTERM)
    waiting.get(timeout=20)
    assert [pid for pid in kept.pids if pid] == [first]


def test_a_process_that_dies_is_replaced(node: Start, tmp_path: Path) -> None:
    kept = Kept(node, tmp_path)
    first = kept.process(0)
    os.kill(first, signal.SIGKILL)
    assert kept.process(1) != first
    kept.stop(0.0)
