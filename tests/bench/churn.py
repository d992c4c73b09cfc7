"""Ten minutes of load while instances come and go each second: nothing wrong, nothing that grows.

One instance in two is drained before it ends, the other is killed. Every answer's body is checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import tempfile
from pathlib import Path

import psutil
import uvloop

from tests.bench import proxies
from tests.bench.caller import KINDS, Callers, Calls
from tests.bench.table import Row, lone

SECONDS = 600
CONNECTIONS = 16
"""Of each kind of caller."""
INSTANCES = 6
PARTS = 5
"""The run is compared in so many parts: the first is warming up, the second is compared with the last."""


def run(seconds: int = SECONDS) -> list[Row]:
    """Measure."""
    with contextlib.ExitStack() as stack, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        proxies.pin(proxies.LOAD_CORE)()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        proxy = proxies.tucano(folder, [])
        stack.callback(proxy.close)
        return runner.run(_churn(_Pool(stack, proxy), proxy, seconds))


class _Pool:
    """The instances, and the routes to them."""

    def __init__(self, stack: contextlib.ExitStack, proxy: proxies.Process) -> None:
        self._stack = stack
        self._proxy = proxy
        self._chance = random.Random(7)
        self._serving: list[proxies.Process] = []
        self._leaving: list[proxies.Process] = []
        self.replaced = 0
        for _ in range(INSTANCES):
            self._add()
        self._tell()

    def turn(self) -> None:
        """One instance comes, one goes."""
        self._add()
        self._tell()
        gone = self._serving.pop(self._chance.randrange(len(self._serving) - 1))
        self.replaced += 1
        if self.replaced % 2:
            gone.signal(signal.SIGKILL)
            gone.close()
        else:
            self._leaving.append(gone)
        busy = self._tell()
        for one in [one for one in self._leaving if f"hello-{one.port}" not in busy]:
            self._leaving.remove(one)
            one.close()

    def _add(self) -> None:
        process = proxies.backend()
        self._stack.callback(process.close)
        self._serving.append(process)

    def _tell(self) -> dict[str, int]:
        targets = [(one, True) for one in self._serving] + [(one, False) for one in self._leaving]
        busy: dict[str, int] = self._proxy.ask([[f"hello-{one.port}", one.port, ready] for one, ready in targets])
        return busy


async def _churn(pool: _Pool, proxy: proxies.Process, seconds: int) -> list[Row]:
    process = psutil.Process(proxy.pid)
    callers = {kind: Callers(proxy.port, CONNECTIONS, kind) for kind in KINDS}
    total = {kind: Calls() for kind in KINDS}
    p99: list[float] = []
    memory: list[float] = []
    descriptors: list[float] = []
    loop = asyncio.get_running_loop()
    for _ in range(PARTS):
        ends = loop.time() + seconds / PARTS
        while loop.time() < ends:
            await asyncio.to_thread(pool.turn)
            await asyncio.sleep(0.8)
        p99.append(callers["GET"].calls.p99())
        memory.append(process.memory_info().rss / 2**20)
        descriptors.append(process.num_fds())
        for kind, caller in callers.items():
            _add_up(total[kind], caller.reset())
    for kind, caller in callers.items():
        _add_up(total[kind], await caller.stop())
    rows = [lone("instances that came and went", pool.replaced, "instances")]
    for kind, calls in total.items():
        failed = sum(calls.failed.values())
        told = ", ".join(f"{count} {name}" for name, count in calls.failed.items())
        what = f"{kind}, of {calls.answered + failed:,}" + (f" ({told})" if told else "")
        # a POST may not be repeated: what was under way to an instance that was killed has failed, and is told so
        rows.append(
            lone(what, failed, "failed") if kind == "POST" else Row(what, failed, "none", 1.0, 0.0, "lower", "failed")
        )
        wrong = calls.failed.get("a wrong answer", 0)
        rows.append(Row(f"{kind}: wrong answers", wrong, "none", 1.0, 0.0, "lower", "answers"))
    rows.append(Row("memory at the end", memory[-1], "after two parts", memory[1], 1.1, "lower", "MiB"))
    rows.append(Row("descriptors at the end", descriptors[-1], "after two parts", descriptors[1], 1.2, "lower", ""))
    rows.append(Row("p99 of GET in the last part", p99[-1], "in the second", p99[1], 1.5, "lower", "ms"))
    return rows


def _add_up(total: Calls, calls: Calls) -> None:
    total.answered += calls.answered
    for name, count in calls.failed.items():
        total.failed[name] = total.failed.get(name, 0) + count
