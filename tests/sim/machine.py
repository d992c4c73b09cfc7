"""A worker's machine: what it remembers and runs goes on while its worker is away."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from tucano.actors.messages.model import Instance, Spec
from tucano.actors.messages.supervisor import Run
from tucano.testing.runtime import Turns

CRASHES = "exit 1"
"""As a run script: it ends before it is ready. As a build script: the build fails."""

HANGS = "sleep infinity"
"""As a run script: it never answers."""


class Habits(NamedTuple):
    """How long things take, in seconds from and to, and how likely they fail of themselves."""

    build: tuple[float, float] = (0.1, 4.0)
    start: tuple[float, float] = (0.1, 3.0)
    end: tuple[float, float] = (0.0, 1.0)
    crash: float = 0.0


class Record(msgspec.Struct):
    """What the machine's disk knows of an instance."""

    order: Run
    instance: Instance


class Process:
    """What runs for an instance.

    Attributes:
        healthy: whether it answers.
        was_well: whether it ever did.
        ends: whether it was told to end.

    """

    def __init__(self, order: Run, pid: int) -> None:
        self.order = order
        self.pid = pid
        self.healthy = self.was_well = False
        self.ends = False

    @property
    def serves(self) -> bool:
        """Whether it answers, and will."""
        return self.healthy and not self.ends


class Machine:
    """Disk and processes.

    Args:
        name: of its worker.
        turns: time.
        chance: draws how long things take.
        changed: told of each process that has come, become well or ill, is told to end, or has ended.

    Attributes:
        disk: by instance.
        built: artifacts that need no building any more.
        processes: by instance.
        tell: takes the id of an instance of which there is news; the worker's, while there is one.

    """

    def __init__(self, name: str, turns: Turns, chance: random.Random, changed: Callable[[Machine, Process], None]):
        self.name = name
        self.habits = Habits()
        self.disk: dict[str, Record] = {}
        self.built: set[str] = set()
        self.processes: dict[str, Process] = {}
        self.tell: Callable[[str], None] | None = None
        self._turns = turns
        self._chance = chance
        self._changed = changed
        self._pids = itertools.count(1)

    def draw(self, between: tuple[float, float]) -> float:
        """A time in seconds."""
        return self._chance.uniform(*between)

    def start(self, order: Run) -> Process:
        """Start the process of an instance."""
        process = self.processes[order.id] = Process(order, next(self._pids))
        self._changed(self, process)
        crashes = order.spec.run.script == CRASHES or self._chance.random() < self.habits.crash
        if crashes:
            self._turns.after(self.draw(self.habits.start), lambda: self.gone(process))
        elif order.spec.run.script != HANGS:
            self._turns.after(self.draw(self.habits.start), lambda: self.feel(process, well=True))
        return process

    def end(self, process: Process) -> None:
        """Tell a process to end, which it does after a while."""
        if not process.ends:
            process.ends = True
            self._changed(self, process)
            self._turns.after(self.draw(self.habits.end), lambda: self.gone(process))

    def feel(self, process: Process, *, well: bool) -> None:
        """Let a process become well or ill, if it still runs."""
        if self.runs(process) and process.healthy != well:
            process.healthy = well
            process.was_well |= well
            self._news(process)

    def gone(self, process: Process) -> None:
        """Let a process end by itself."""
        if self.runs(process):
            del self.processes[process.order.id]
            self._news(process)

    def runs(self, process: Process) -> bool:
        """Whether it has not ended yet."""
        return self.processes.get(process.order.id) is process

    def lose_power(self, *, disk: bool = False) -> None:
        """All processes end at once; with `disk`, it comes back as a new machine."""
        self.tell = None
        for process in list(self.processes.values()):
            self.gone(process)
        if disk:
            self.disk.clear()
            self.built.clear()

    def _news(self, process: Process) -> None:
        self._changed(self, process)
        if self.tell is not None:
            self.tell(process.order.id)


def fails_to_build(spec: Spec) -> bool:
    """Whether its build script ends badly."""
    return spec.build.script == CRASHES
