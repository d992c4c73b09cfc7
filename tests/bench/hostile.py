"""The balancer under clients and instances that mean no good: what another client feels, and what memory it takes.

The proxy has one core to itself; the attackers, their instance, the other client and its instance share the other one,
so a ratio says how much the machine is slowed, at worst, and not only the balancer. For each attack the other client
asks on one connection, alone and meanwhile: the ratio is what it feels. Roles of this module that are started by
itself: `instance`, `proxy`, and the names of the attacks. Run it: `python -m tests.bench hostile`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from statistics import quantiles
from typing import NamedTuple

import psutil
import uvloop

from tests.bench.table import Row, lone
from tucano.actors.proxy import Proxy, Service, Target

SECONDS = 4
IDLE = 10_000  # connections
GIGABYTES = 10  # of each streamed body
_PIECE = b"x" * 262_144
_CORES = sorted(os.sched_getaffinity(0))
_MAX_GROWTH = 64  # MiB


class Felt(NamedTuple):
    """What the other client measured: its slowest of a hundred requests, in milliseconds, and how many it made."""

    p99: float
    requests: int


def run(seconds: int = SECONDS) -> list[Row]:
    """Measure each attack for so many seconds, and the streams to their end."""
    rows = []
    for name, attack in ATTACKS.items():
        with (
            _role("instance", _CORES[-1]) as (polite, _),
            _role("instance", _CORES[-1]) as (evil, _),
            _role("proxy", _CORES[0], str(polite), str(evil)) as (port, pid),
        ):
            proxy = psutil.Process(pid)
            alone = _ask(port, seconds)
            before = proxy.memory_info().rss
            with _role(name, _CORES[-1], str(port)) as (_, attacker):
                rows += _meanwhile(name, attack.what, port, seconds, alone, proxy, psutil.Process(attacker))
                grown = (proxy.memory_info().rss - before) / (1 << 20)
            rows.append(Row(f"{attack.what}: memory grows", grown, "the bound", _MAX_GROWTH, 1.0, "lower", "MiB"))
    return rows


def _meanwhile(
    name: str, what: str, port: int, seconds: int, alone: Felt, proxy: psutil.Process, attacker: psutil.Process
) -> list[Row]:
    began, peak = time.monotonic(), 0.0
    felt = [_ask(port, seconds)]
    while name in STREAMS and attacker.status() != psutil.STATUS_ZOMBIE:
        felt.append(_ask(port, 1))
        peak = max(peak, proxy.memory_info().rss / (1 << 20))
    worst = sorted(one.p99 for one in felt)[len(felt) // 2]
    rows = [Row(f"{what}: another's p99", worst, "alone", alone.p99, 10.0, "lower", "ms")]
    if name in STREAMS:
        rows.append(lone(f"{what}: speed", GIGABYTES * 1000 / (time.monotonic() - began), "MB/s"))
        rows.append(lone(f"{what}: most memory", peak, "MiB"))
    return rows


def _ask(port: int, seconds: float) -> Felt:
    """Ask one request after the other on one connection."""
    times: list[float] = []
    with socket.create_connection(("127.0.0.1", port)) as sock:
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end or len(times) < 100:
            sock.sendall(b"GET /s HTTP/1.1\r\nHost: hello\r\n\r\n")
            data = b""
            while not data.endswith(b"\r\n\r\n" + b"x" * 100):
                data += sock.recv(65_536)
            times.append(time.perf_counter() - began)
    return Felt(quantiles(times, n=100)[98] * 1000, len(times))


@contextlib.contextmanager
def _role(name: str, core: int, *args: str) -> Iterator[tuple[int, int]]:
    """Run a role of this module on its core; it says its port, or 0, when it is at work. Yields that and its pid."""
    command = [sys.executable, "-m", "tests.bench.hostile", name, *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        os.sched_setaffinity(process.pid, {core})
        output = process.stdout
        assert output is not None
        try:
            yield int(output.readline()), process.pid
        finally:
            process.kill()


# --- the roles -------------------------------------------------------------------------------------------------------


async def _instance() -> None:
    """Small answers for `/s`, endless ones for `/flood`, those of a given size for `/down/N`; swallows, or is deaf."""
    forever = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1]
                if path == b"/deaf":
                    await forever.wait()
                elif path == b"/sink":
                    while await reader.read(1 << 20):
                        pass
                elif path == b"/s":
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100)
                else:
                    size = int(path.rpartition(b"/")[2])
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                    for _ in range(size // len(_PIECE)):
                        writer.write(_PIECE)
                        await writer.drain()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _proxy(**instances: int) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    proxy = Proxy(listener, chance=random.Random(7))
    proxy.start()
    proxy.apply(
        {
            name: Service(name, (Target(f"{name}-1", "127.0.0.1", instance, ready=True),), expected=False)
            for name, instance in instances.items()
        }
    )
    print(listener.getsockname()[1], flush=True)
    signal.sigwait({signal.SIGTERM})


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


_kept: list[Streams] = []  # to the end of the process, whoever forgets them


async def _connected(port: int, count: int) -> list[Streams]:
    made = [await asyncio.open_connection("127.0.0.1", port, limit=1 << 20) for _ in range(count)]
    _kept.extend(made)
    return made


def _head(line: bytes, *lines: bytes) -> bytes:
    return line + b" HTTP/1.1\r\nHost: evil\r\n" + b"".join(one + b"\r\n" for one in lines) + b"\r\n"


async def _slow_heads(port: int) -> AsyncIterator[None]:
    connections = await _connected(port, 1000)
    for _, writer in connections:
        writer.write(b"GET / HTTP/1.1\r\nHost: hello\r\nX: ")
    yield
    while True:
        for _, writer in connections:
            writer.write(b"x")
        await asyncio.sleep(0.5)


async def _bytes(port: int) -> AsyncIterator[None]:
    yield
    while True:
        connections = await _connected(port, 20)
        for _ in range(8000):
            for _, writer in connections:
                writer.write(b"x")
            await asyncio.sleep(0)
        for _, writer in connections:
            writer.close()


async def _tiny_chunks(port: int) -> AsyncIterator[None]:
    connections = await _connected(port, 4)
    for _, writer in connections:
        writer.write(_head(b"POST /sink", b"Transfer-Encoding: chunked"))
    yield
    while True:
        for _, writer in connections:
            writer.write(b"1\r\nx\r\n" * 20_000)
            await writer.drain()


async def _unread(port: int) -> AsyncIterator[None]:
    for _, writer in await _connected(port, 200):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(_head(b"GET /flood/10000000000"))
    yield


async def _deaf(port: int) -> AsyncIterator[None]:
    for _, writer in await _connected(port, 200):
        writer.write(_head(b"POST /deaf", b"Content-Length: 10000000000") + _PIECE * 8)
    yield


async def _idle(port: int) -> AsyncIterator[None]:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    await _connected(port, min(IDLE, most - 100))
    yield


async def _down(port: int) -> AsyncIterator[None]:
    ((reader, writer),) = await _connected(port, 1)
    size = GIGABYTES * 10**9 // len(_PIECE) * len(_PIECE)
    writer.write(_head(b"GET /down/%d" % size))
    yield
    left = size
    await reader.readuntil(b"\r\n\r\n")
    while left:
        left -= len(await reader.read(1 << 20))


async def _up(port: int) -> AsyncIterator[None]:
    ((_, writer),) = await _connected(port, 1)
    writer.write(_head(b"POST /sink", b"Content-Length: %d" % (GIGABYTES * 10**9)))
    yield
    for _ in range(GIGABYTES * 10**9 // len(_PIECE)):
        writer.write(_PIECE)
        await writer.drain()


class Attack(NamedTuple):
    """An attack: what it is, and who carries it out, from the first `yield` on."""

    what: str
    begin: Callable[[int], AsyncIterator[None]]


STREAMS = ("down", "up")
ATTACKS = {
    "slow-heads": Attack("1,000 heads, a byte each half second", _slow_heads),
    "bytes": Attack("20 heads, byte by byte as fast as it goes", _bytes),
    "tiny-chunks": Attack("4 floods of chunks of a byte", _tiny_chunks),
    "unread": Attack("200 clients that never read 10 GB", _unread),
    "deaf": Attack("200 bodies that an instance never reads", _deaf),
    "idle": Attack(f"{IDLE:,} idle connections", _idle),
    "down": Attack(f"{GIGABYTES} GB to a client", _down),
    "up": Attack(f"{GIGABYTES} GB to an instance", _up),
}


async def _carry_out(attack: Attack, port: int, stays: bool) -> None:
    doing = attack.begin(port)
    await anext(doing)
    print(0, flush=True)
    with contextlib.suppress(ConnectionError):  # the proxy defends itself
        async for _ in doing:
            pass
    if stays:
        await asyncio.Event().wait()


def main(args: list[str]) -> None:
    """Run a role."""
    match args:
        case ["instance"]:
            uvloop.run(_instance())
        case ["proxy", polite, evil]:
            _proxy(hello=int(polite), evil=int(evil))
        case [name, port]:
            uvloop.run(_carry_out(ATTACKS[name], int(port), stays=name not in STREAMS))
        case _:
            sys.exit("python -m tests.bench hostile")


if __name__ == "__main__":
    main(sys.argv[1:])
