"""The proxies that are measured, each on a core of its own before the same backends, and those backends.

`python -m tests.bench.proxies backend|proxy` is a role that the benchmarks start.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import uvloop

from tests.helpers import eventually
from tucano.actors.proxy import Proxy, Service, Target

_CORES = sorted(os.sched_getaffinity(0))
PROXY_CORE = {_CORES[0]}
LOAD_CORE = {_CORES[-1]}


def pin(cores: set[int]) -> Callable[[], None]:
    """For `preexec_fn`."""
    return partial(os.sched_setaffinity, 0, cores)


class Process:
    """One process: a backend, or a proxy.

    Args:
        command: its command line.
        cores: where it may run.
        port: where it listens; 0: it says so in its first line.
        says: takes what it prints; None: its answers are read.

    """

    def __init__(self, command: Sequence[str], cores: set[int], port: int = 0, says: IO[str] | None = None) -> None:
        talks = subprocess.PIPE if says is None else says
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=talks, stderr=says, text=True, preexec_fn=pin(cores)
        )
        self.pid = self._process.pid
        self.port = port or int(self._line())
        eventually(lambda: _reachable(self.port), f"{command[0]} listens")

    def ask(self, word: object) -> Any:
        """Tell a role something, and wait for its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(word) + "\n")
        self._process.stdin.flush()
        return json.loads(self._line())

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def close(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a process of the benchmark has ended")
        return line


def _reachable(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def role(name: str, cores: set[int], *args: str) -> Process:
    """Run a role of this module."""
    return Process([sys.executable, "-m", "tests.bench.proxies", name, *args], cores)


def backend() -> Process:
    """A backend on the load's core."""
    return role("backend", LOAD_CORE)


def tucano(folder: Path, backends: Sequence[int], *more: str) -> Process:
    """Our data path, with an access log."""
    process = role("proxy", PROXY_CORE, str(folder / "tucano.log"), *more)
    process.ask([[f"hello-{port}", port, True] for port in backends])
    return process


def haproxy(folder: Path, backends: Sequence[int], *, more: str = "") -> Process | None:
    """HAProxy with one thread and an access log; `more` goes to its backend section. None if it is not installed."""
    port = _free()
    return _program("haproxy", folder, port, f"""
global
  nbthread 1
  maxconn 8192
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  option http-keep-alive
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
frontend f
  bind 127.0.0.1:{port}
  use_backend hello if {{ hdr(host) -i hello }}
backend hello
  balance leastconn
  http-reuse always
  option forwardfor
  {more}
{"".join(f"  server s{number} 127.0.0.1:{number}" + chr(10) for number in backends)}
""", "-f")  # fmt: skip


def nginx(folder: Path, backends: Sequence[int]) -> Process | None:
    """Nginx with one worker, kept upstream connections and an access log. None if it is not installed."""
    port = _free()
    return _program("nginx", folder, port, f"""
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.error;
events {{ worker_connections 8192; }}
http {{
  access_log {folder}/nginx.log combined buffer=64k flush=1s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  upstream hello {{ least_conn; keepalive 256; keepalive_requests 1000000000;
    {" ".join(f"server 127.0.0.1:{number};" for number in backends)} }}
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096; server_name hello;
    location / {{
      proxy_pass http://hello; proxy_http_version 1.1; proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For $remote_addr;
    }}
  }}
}}
""", "-c")  # fmt: skip


def _program(name: str, folder: Path, port: int, config: str, option: str) -> Process | None:
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        print(f"tests.bench: {name} is not installed, it is left out", file=sys.stderr)
        return None
    file = folder / f"{name}-{port}.cfg"
    file.write_text(config)
    with (folder / f"{name}-{port}.out").open("w") as says:
        return Process([path, option, str(file)], PROXY_CORE, port, says)


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


# --- the roles -------------------------------------------------------------------------------------------------------


class _Backend(asyncio.Protocol):
    """As little as a backend can do: 100 bytes; 64 KiB for /l; an echo for /e/...; WebSocket frames as they come."""

    SMALL = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n" + b"x" * 100
    LARGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 65536\r\n\r\n" + b"x" * 65536
    SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._data = b""
        self._echoes = False

    def data_received(self, data: bytes) -> None:
        if self._echoes:
            self._transport.write(data)
        elif data.startswith(b"GET /s"):
            self._transport.write(self.SMALL)
        elif data.startswith(b"GET /l"):
            self._transport.write(self.LARGE)
        elif data.startswith(b"GET /w"):
            self._echoes = True
            self._transport.write(self.SWITCH)
        else:
            self._echo(self._data + data)

    def _echo(self, data: bytes) -> None:
        """Answer with the target and what the body says."""
        head, found, body = data.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not found or len(body) < int(length or 0):
            self._data = data
            return
        self._data = b""
        answer = head.split(b" ", 2)[1] + b" " + body
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))


async def _serve_backend() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Backend, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _serve_proxy(log: str, changes: float = 0.0) -> None:
    """Be a proxy; each line names its instances, and is answered with those that have requests open.

    Args:
        log: the access log.
        changes: how often a second the routes are changed besides: a service comes or goes.

    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    port = listener.getsockname()[1]
    proxy = Proxy(listener, access_log=Path(log), chance=random.Random(7))
    proxy.start()
    print(port, flush=True)
    services: dict[str, Service] = {}
    ended = threading.Event()

    def change() -> None:
        number = 0
        while not ended.wait(1 / changes):
            number += 1
            more = {"other": Service("other", (), expected=False)} if number % 2 else {}
            proxy.apply(services | more)

    changer = threading.Thread(target=change)
    if changes:
        changer.start()
    for line in sys.stdin:
        targets = tuple(Target(name, "127.0.0.1", port, ready) for name, port, ready in json.loads(line))
        wanted = {"hello": Service("hello", targets, expected=False)}
        if wanted != services:
            services = wanted
            proxy.apply(services)
        print(json.dumps(proxy.in_flight()), flush=True)
    ended.set()
    proxy.stop(0.0)


def main(args: list[str]) -> None:
    """Be a role."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    match args:
        case ["backend"]:
            uvloop.run(_serve_backend())
        case ["proxy", log, *changes]:
            _serve_proxy(log, *map(float, changes))


if __name__ == "__main__":
    main(sys.argv[1:])
