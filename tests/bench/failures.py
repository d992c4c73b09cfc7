"""Requests that fail while instances die, come and go: Tucano's data path beside HAProxy and nginx.

Every answer's body is checked. Instances are killed a third of the way through; what the proxies are told about it,
and when, is what a cluster would tell them.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from tests.bench import proxies
from tests.bench.caller import KINDS, Callers, Calls
from tests.bench.table import Row, lone

SECONDS = 6
CONNECTIONS = 64
SILENCE = 2.5
"""Seconds after which a cluster knows that a machine is gone."""

Story = Callable[["Scene"], Awaitable[None]]


class Scene:
    """A proxy, its backends, and what happens to them.

    Args:
        stack: what is started ends with it.
        folder: for the proxy's files.
        seconds: that it takes.
        changes: how often a second Tucano's routes change besides.

    """

    def __init__(self, stack: contextlib.ExitStack, folder: Path, seconds: float, changes: float = 0.0) -> None:
        self._stack = stack
        self.seconds = seconds
        self.backends = [self.backend() for _ in range(3)]
        self._routed = [(one, True) for one in self.backends]
        self.proxy = self.started(proxies.tucano(folder, [one.port for one in self.backends], str(changes)))

    def backend(self) -> proxies.Process:
        """One more."""
        return self.started(proxies.backend())

    def started(self, process: proxies.Process) -> proxies.Process:
        """Have it ended with the scene."""
        self._stack.callback(process.close)
        return process

    def route(self, *targets: tuple[proxies.Process, bool]) -> dict[str, int]:
        """Tell Tucano its instances, and whether they take requests; those that have requests open."""
        open_at: dict[str, int] = self.proxy.ask([[f"hello-{one.port}", one.port, ready] for one, ready in targets])
        return open_at


async def _killed(scene: Scene) -> None:
    """An instance's process is killed; nobody tells the proxy."""
    await asyncio.sleep(scene.seconds / 3)
    scene.backends[0].signal(signal.SIGKILL)
    await asyncio.sleep(scene.seconds * 2 / 3)


async def _gone(scene: Scene) -> None:
    """An instance's machine is gone without a word; the proxy is told when the cluster knows."""
    await asyncio.sleep(scene.seconds / 3)
    scene.backends[0].signal(signal.SIGSTOP)
    await asyncio.sleep(SILENCE)
    scene.route(*[(one, True) for one in scene.backends[1:]])
    await asyncio.sleep(scene.seconds * 2 / 3)


async def _rollout(scene: Scene) -> None:
    """Every instance is replaced, each old one killed when it has nothing left to do, as by the deployer."""
    serving = scene.backends
    for old in list(serving):
        serving = [*serving, await asyncio.to_thread(scene.backend)]
        serving.remove(old)
        routes = [(one, True) for one in serving]
        while f"hello-{old.port}" in scene.route(*routes, (old, False)):
            await asyncio.sleep(0.05)
        old.signal(signal.SIGKILL)
        scene.route(*routes)
        await asyncio.sleep(scene.seconds / 6)


async def _quiet(scene: Scene) -> None:
    await asyncio.sleep(scene.seconds)


async def _played(scene: Scene, port: int, kind: str, story: Story) -> Calls:
    callers = Callers(port, CONNECTIONS, kind)
    await story(scene)
    return await callers.stop()


def _play(kind: str, story: Story, seconds: float, against: str = "", more: str = "", changes: float = 0.0) -> Calls:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        scene = Scene(stack, folder, seconds, changes)
        port = scene.proxy.port
        ports = [one.port for one in scene.backends]
        if against:
            other = proxies.nginx(folder, ports) if against == "nginx" else proxies.haproxy(folder, ports, more=more)
            if other is None:
                return Calls()
            port = scene.started(other).port
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_played(scene, port, kind, story))


_OTHERS = {
    "HAProxy": "",
    "HAProxy with redispatch": "option redispatch",
    "HAProxy with retry-on": "option redispatch\n  retry-on all-retryable-errors",
    "nginx": "",
}


def run(seconds: int = SECONDS) -> list[Row]:
    """Measure."""
    proxies.pin(proxies.LOAD_CORE)()
    rows = []
    for kind in KINDS:
        found = _play(kind, _killed, seconds)
        rows += _rows(f"an instance killed, {kind}", found, 0.0 if kind != "POST" else None)
        for name, more in _OTHERS.items():
            theirs = _play(kind, _killed, seconds, name, more)
            if theirs.answered:
                rows.append(lone(f"an instance killed, {kind}: {name}", sum(theirs.failed.values()), "failed"))
    for what, story, changes in (
        ("a machine gone", _gone, 0.0),
        ("every instance replaced", _rollout, 0.0),
        ("routes changed 50 times a second", _quiet, 50.0),
    ):
        for kind in KINDS:
            target = 0.0 if kind != "POST" or story is not _gone else None
            rows += _rows(f"{what}, {kind}", _play(kind, story, seconds, changes=changes), target)
    return rows


def _rows(what: str, calls: Calls, target: float | None) -> list[Row]:
    failed = sum(calls.failed.values())
    told = ", ".join(f"{count} {name}" for name, count in calls.failed.items())
    name = f"{what}, of {calls.answered + failed:,}" + (f" ({told})" if told else "")
    if target is None:  # what may not be repeated: for information
        return [lone(name, failed, "failed")]
    return [Row(name, failed, "none", 1.0, target, "lower", "failed")]
