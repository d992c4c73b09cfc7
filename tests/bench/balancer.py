"""The balancer's HTTP data path against HAProxy and nginx: the same load, the same core, turn by turn.

The proxy has one core to itself, the load and three cheap backends share the other. All write an access log to a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, cast

import psutil
import uvloop

from tests.bench import proxies
from tests.bench.kit import Figures, turn_by_turn
from tests.bench.table import Row, lone

ROUNDS = 3
SECONDS = 3
CONNECTIONS = 64


class Load(NamedTuple):
    """One way to load a proxy: wrk's options, the figure that is read from its report, and our target."""

    what: str
    path: str
    options: tuple[str, ...]
    figure: Literal["rate", "p50", "p99"]
    target: float


_UNIQUE = 'n = 0\nrequest = function() n = n + 1; wrk.headers["X-Id"] = n; return wrk.format("GET", "/s") end\n'
LOADS = (
    Load("64 kept connections, 100 B", "/s", ("-c64",), "rate", 0.9),
    Load("64 kept connections, 100 B, p99", "/s", ("-c64", "--latency"), "p99", 1.0),
    Load("heads that never repeat", "/s", ("-c64", "-s", "UNIQUE"), "rate", 0.65),
    Load("64 KiB bodies", "/l", ("-c64",), "rate", 1.0),
    Load("a connection per request", "/s", ("-c64", "-H", "Connection: close"), "rate", 0.8),
    Load("one connection, p50", "/s", ("-c1", "--latency"), "p50", 1.3),
)
NAMES = ("Tucano", "HAProxy", "nginx")
_TUNNEL = "messages through upgraded connections"


def run(
    rounds: int = ROUNDS, seconds: int = SECONDS, loads: Sequence[Load] = LOADS, names: Collection[str] = NAMES
) -> list[Row]:
    """Measure; medians of interleaved rounds. Without wrk there is nothing to report; who is missing is left out."""
    if shutil.which("wrk") is None:
        print("tests.bench.balancer: wrk is not installed, nothing was measured", file=sys.stderr)
        return []
    rows: list[Row] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "unique.lua").write_text(_UNIQUE)
        backends = [stack.enter_context(contextlib.closing(proxies.backend())).port for _ in range(3)]
        make: dict[str, Callable[[Path, Sequence[int]], proxies.Process | None]] = {
            "Tucano": proxies.tucano, "HAProxy": proxies.haproxy, "nginx": proxies.nginx,
        }  # fmt: skip
        made = {name: make[name](folder, backends) for name in names}
        contenders = {name: stack.enter_context(contextlib.closing(one)) for name, one in made.items() if one}
        for load in loads:
            measure = {name: partial(_wrk, load, one, folder, seconds) for name, one in contenders.items()}
            rows += _rows(load, turn_by_turn(measure, rounds))
        found = turn_by_turn({name: partial(_tunnel, one.port, seconds) for name, one in contenders.items()}, rounds)
        rows += _rows(Load(_TUNNEL, "", (), "rate", 0.7), found, "messages/s")
    return rows


def _rows(load: Load, found: dict[str, Figures], unit: str = "requests/s") -> list[Row]:
    rate = load.figure == "rate"
    better: Literal["higher", "lower"] = "higher" if rate else "lower"
    unit = unit if rate else "us"
    theirs = found["HAProxy"][0] if "HAProxy" in found else None
    rows = [Row(load.what, found["Tucano"][0], "HAProxy", theirs, load.target, better, unit)]
    if "nginx" in found:
        rows.append(lone(f"{load.what}: nginx", found["nginx"][0], unit))
    if load.options == ("-c64",):
        rows += [
            lone(f"{load.what}: processor time, {name}", figures[1], "us/request") for name, figures in found.items()
        ]
    return rows


def _wrk(load: Load, proxy: proxies.Process, folder: Path, seconds: int) -> Figures:
    """The load's figure, and the proxy's microseconds of processor for each request."""
    options = [str(folder / "unique.lua") if option == "UNIQUE" else option for option in load.options]
    url = f"http://127.0.0.1:{proxy.port}{load.path}"
    command = ["wrk", "-t1", f"-d{seconds}s", "-H", "Host: hello", *options, url]
    process = psutil.Process(proxy.pid)
    before = sum(process.cpu_times()[:2])
    report = subprocess.run(
        command, capture_output=True, text=True, check=True, preexec_fn=proxies.pin(proxies.LOAD_CORE)
    ).stdout
    spent = sum(process.cpu_times()[:2]) - before
    # Where each connection carries one request, wrk counts the ends of connections as errors.
    failed = re.search(r"Non-2xx.*" if "Connection: close" in options else r"Non-2xx.*|Socket errors.*", report)
    if failed:
        raise RuntimeError(f"{load.what}: {failed[0]}")
    processor = spent / float(_found(r"(\d+) requests in", report)[1]) * 1e6
    if load.figure == "rate":
        return float(_found(r"Requests/sec:\s+([\d.]+)", report)[1]), processor
    value = _found(rf"{load.figure[1:]}%\s+([\d.]+)(us|ms|s)", report)
    return float(value[1]) * {"us": 1, "ms": 1e3, "s": 1e6}[value[2]], processor


def _found(pattern: str, text: str) -> re.Match[str]:
    match = re.search(pattern, text)
    if match is None:
        raise RuntimeError(f"wrk reports nothing like {pattern}:\n{text}")
    return match


class _Talker(asyncio.Protocol):
    """Leaves HTTP, then says 100 bytes again and again, each time when they have come back."""

    WORD = b"x" * 100
    ASK = b"GET /w HTTP/1.1\r\nHost: hello\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"

    def __init__(self) -> None:
        self.heard = 0
        self._left = 0
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self.ASK)

    def data_received(self, data: bytes) -> None:
        if self._left == 0 and not self.heard:
            self._head += data
            if not self._head.endswith(b"\r\n\r\n"):
                return
            if not self._head.startswith(b"HTTP/1.1 101"):
                raise RuntimeError(f"the upgrade was answered with {self._head[:60]!r}")
        else:
            self._left -= len(data)
            if self._left:
                return
        self.heard += 1
        self._left = len(self.WORD)
        self._transport.write(self.WORD)


async def _talk(port: int, seconds: int) -> float:
    loop = asyncio.get_running_loop()
    pairs = [await loop.create_connection(_Talker, "127.0.0.1", port) for _ in range(CONNECTIONS)]
    began, before = time.perf_counter(), sum(talker.heard for _, talker in pairs)
    await asyncio.sleep(seconds)
    rate = (sum(talker.heard for _, talker in pairs) - before) / (time.perf_counter() - began)
    for transport, _ in pairs:
        transport.close()
    return rate


def _tunnel(port: int, seconds: int) -> Figures:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        proxies.pin(proxies.LOAD_CORE)()
        return (runner.run(_talk(port, seconds)),)
