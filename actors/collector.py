"""The worker's collector: average CPU and memory of the node and of each instance."""

from __future__ import annotations

import os
from typing import NamedTuple, assert_never

import psutil

from tucano.actors.kernel import Actor
from tucano.actors.messages import worker_mgr
from tucano.actors.messages.collector import Measure, Track


class _Seen(NamedTuple):
    """A process at the last measurement: when it was created (a pid alone may be another's by now), and CPU seconds."""

    created: float
    cpu: float


_Inbox = Measure | Track


class Collector(Actor):
    """Measures with psutil.

    An instance is all processes of its session, see `actors.process`: whatever its script has started.
    """

    Inbox = _Inbox

    def __init__(self) -> None:
        super().__init__()
        self._tracked: dict[int, str] = {}  # instance by pid of its session's leader
        self._seen: dict[int, _Seen] = {}
        self._at = 0.0

    def on_start(self) -> None:
        """Begin the first interval: an average needs two looks."""
        psutil.cpu_percent(None)
        self._at = self.now()

    def receive(self, message: _Inbox) -> worker_mgr.Metrics | None:
        """Handle one message."""
        match message:
            case Track(processes):
                self._tracked = {pid: identifier for identifier, pid in processes}
                return None
            case Measure():
                return worker_mgr.Metrics(
                    node=self.ref.node,
                    cpu=min(1.0, psutil.cpu_percent(None) / 100),
                    memory_used=psutil.virtual_memory().used,
                    instances=self._usages(),
                )
            case _:
                assert_never(message)

    def _usages(self) -> tuple[worker_mgr.InstanceUsage, ...]:
        now = self.now()
        elapsed, before = max(now - self._at, 1e-3), self._at_wall(now)
        self._at = now
        cpu: dict[str, float] = {}
        memory: dict[str, int] = {}
        seen: dict[int, _Seen] = {}
        for pid in psutil.pids() if self._tracked else ():
            identifier = self._instance_of(pid)
            if identifier is None:
                continue
            try:
                process = psutil.Process(pid)
                with process.oneshot():
                    times, resident = process.cpu_times(), process.memory_info().rss
                    present = seen[pid] = _Seen(process.create_time(), times.user + times.system)
            except psutil.Error:
                continue  # ended meanwhile
            past = self._seen.get(pid)
            if past is not None and past.created == present.created:
                spent = present.cpu - past.cpu
            else:  # new since then, or only tracked since then and then nothing is known of the interval
                spent = present.cpu if present.created >= before else 0.0
            cpu[identifier] = cpu.get(identifier, 0.0) + max(0.0, spent)
            memory[identifier] = memory.get(identifier, 0) + resident
        self._seen = seen
        most = float(os.cpu_count() or 1)  # the kernel counts in ticks: in a moment there may seem to be more
        return tuple(
            worker_mgr.InstanceUsage(each, min(most, cpu[each] / elapsed), memory[each]) for each in sorted(cpu)
        )

    def _at_wall(self, now: float) -> float:
        """When the last measurement was, by the clock of `psutil.Process.create_time`."""
        return self.wall() - (now - self._at)

    def _instance_of(self, pid: int) -> str | None:
        try:
            return self._tracked.get(os.getsid(pid))
        except OSError:
            return None  # ended meanwhile
