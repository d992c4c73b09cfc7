"""The balancer's HTTP data path against HAProxy with one thread: the same load, the same core, turn by turn.

The proxy has one core to itself, wrk and three cheap backends share the other. Both write an access log to a file.
Run it: `python -m tests.bench.balancer`. Roles of this module started by itself: `backend`, `proxy`.
"""

import asyncio
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple, cast

import uvloop

from tests.bench.table import Row
from tucano.actors.proxy import Proxy, Service, Target

ROUNDS = 3
SECONDS = 3
_CORES = sorted(os.sched_getaffinity(0))
_PROXY_CORE = {_CORES[0]}
_LOAD_CORE = {_CORES[-1]}


class Load(NamedTuple):
    """One way to load a proxy: wrk's options, the figure that is read from its report, and our target."""

    what: str
    path: str
    options: tuple[str, ...]
    figure: str
    target: float


_UNIQUE = 'n = 0\nrequest = function() n = n + 1; wrk.headers["X-Id"] = n; return wrk.format("GET", "/s") end\n'
_LOADS = (
    Load("64 kept connections, 100 B", "/s", ("-c64",), "rate", 0.9),
    Load("64 kept connections, 100 B, p99", "/s", ("-c64", "--latency"), "p99", 1.0),
    Load("heads that never repeat", "/s", ("-c64", "-s", "UNIQUE"), "rate", 0.65),
    Load("64 KiB bodies", "/l", ("-c64",), "rate", 1.0),
    Load("a connection per request", "/s", ("-c64", "-H", "Connection: close"), "rate", 0.8),
    Load("one connection, p50", "/s", ("-c1", "--latency"), "p50", 1.3),
)


def run(rounds: int = ROUNDS, seconds: int = SECONDS) -> list[Row]:
    """Measure; medians of interleaved rounds. Without wrk there is nothing to report, without HAProxy no contender."""
    if shutil.which("wrk") is None:
        print("tests.bench.balancer: wrk is not installed, nothing was measured", file=sys.stderr)
        return []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "unique.lua").write_text(_UNIQUE)
        backends = [stack.enter_context(_role("backend", _LOAD_CORE)) for _ in range(3)]
        ours = stack.enter_context(_role("proxy", _PROXY_CORE, str(folder / "tucano.log"), *map(str, backends)))
        ports = {"Tucano": ours}
        if shutil.which("haproxy"):
            ports["HAProxy"] = stack.enter_context(_haproxy(folder, backends))
        else:
            print("tests.bench.balancer: haproxy is not installed, it is left out", file=sys.stderr)
        figures: dict[tuple[str, str], list[float]] = {}
        for _ in range(rounds):
            for load in _LOADS:
                for name, port in ports.items():
                    figures.setdefault((load.what, name), []).append(_wrk(load, port, folder, seconds))
    rows = []
    for load in _LOADS:
        tucano, theirs = (figures.get((load.what, name)) for name in ("Tucano", "HAProxy"))
        rate = load.figure == "rate"
        rows.append(
            Row(
                what=load.what,
                tucano=median(tucano or ()),
                against="HAProxy",
                theirs=median(theirs) if theirs else None,
                target=load.target,
                better="higher" if rate else "lower",
                unit="requests/s" if rate else "us",
            )
        )
    return rows


def _wrk(load: Load, port: int, folder: Path, seconds: int) -> float:
    options = [str(folder / "unique.lua") if option == "UNIQUE" else option for option in load.options]
    url = f"http://127.0.0.1:{port}{load.path}"
    command = ["wrk", "-t1", f"-d{seconds}s", "-H", "Host: hello", *options, url]
    report = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=_pin(_LOAD_CORE)).stdout
    # Where each connection carries one request, wrk counts the ends of connections as errors.
    failed = re.search(r"Non-2xx.*" if "Connection: close" in options else r"Non-2xx.*|Socket errors.*", report)
    if failed:
        raise RuntimeError(f"{load.what}: {failed[0]}")
    if load.figure == "rate":
        return float(_found(r"Requests/sec:\s+([\d.]+)", report)[1])
    value = _found(rf"{load.figure[1:]}%\s+([\d.]+)(us|ms|s)", report)
    return float(value[1]) * {"us": 1, "ms": 1e3, "s": 1e6}[value[2]]


def _found(pattern: str, text: str) -> re.Match[str]:
    match = re.search(pattern, text)
    if match is None:
        raise RuntimeError(f"wrk reports nothing like {pattern}:\n{text}")
    return match


def _pin(cores: set[int]) -> Callable[[], None]:
    return partial(os.sched_setaffinity, 0, cores)


@contextlib.contextmanager
def _role(name: str, cores: set[int], *args: str) -> Iterator[int]:
    """Run a role of this module on its core; it says its port when it serves."""
    command = [sys.executable, "-m", "tests.bench.balancer", name, *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=_pin(cores)) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


@contextlib.contextmanager
def _haproxy(folder: Path, backends: list[int]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    servers = "\n".join(f"  server s{number} 127.0.0.1:{number}" for number in backends)
    config = folder / "haproxy.cfg"
    config.write_text(
        textwrap.dedent("""\
        global
          nbthread 1
          maxconn 4096
          log stdout format raw local0
        defaults
          mode http
          log global
          option httplog
          option http-keep-alive
          timeout connect 5s
          timeout client 60s
          timeout server 60s
        """)
        + f"frontend f\n  bind 127.0.0.1:{port}\n  use_backend hello if {{ hdr(host) -i hello }}\n"
        + f"backend hello\n  balance leastconn\n  http-reuse always\n  option forwardfor\n{servers}\n"
    )
    with (
        (folder / "haproxy.log").open("w") as log,
        subprocess.Popen(
            ["haproxy", "-f", str(config)], stdout=log, stderr=log, preexec_fn=_pin(_PROXY_CORE)
        ) as process,
    ):
        try:
            _reachable(port)
            yield port
        finally:
            process.terminate()


def _reachable(port: int, tries: int = 100_000) -> None:
    for _ in range(tries):
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
    raise RuntimeError(f"nothing listens on {port}")


# --- the roles -------------------------------------------------------------------------------------------------------


class _Backend(asyncio.Protocol):
    """Answers each head with 100 bytes, or with 64 KiB for /l; as little as a backend can do."""

    SMALL = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n" + b"x" * 100
    LARGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 65536\r\n\r\n" + b"x" * 65536

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(self.LARGE if data.startswith(b"GET /l") else self.SMALL)


async def _serve_backend() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Backend, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _serve_proxy(log: str, backends: list[int]) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    proxy = Proxy(listener, access_log=Path(log), chance=random.Random(7))
    proxy.start()
    targets = tuple(Target(f"hello-{number}", "127.0.0.1", number, True) for number in backends)
    proxy.apply({"hello": Service("hello", targets, expected=False)})
    print(port, flush=True)
    signal.sigwait({signal.SIGTERM})
    proxy.stop(0.0)


def main(args: list[str]) -> None:
    """Run a role, or measure and print."""
    match args:
        case ["backend"]:
            uvloop.run(_serve_backend())
        case ["proxy", log, *backends]:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            _serve_proxy(log, [int(port) for port in backends])
        case _:
            for row in run(*map(int, args)):
                theirs = f"{row.theirs:10.0f} {row.ratio:5.2f}" if row.theirs else f"{'-':>10} {'-':>5}"
                verdict = {True: "met", False: "missed", None: ""}[row.met]
                print(f"{row.what:34} {row.tucano:10.0f} {theirs} {row.target:5.2f} {row.unit:11} {verdict}")


if __name__ == "__main__":
    main(sys.argv[1:])
