"""Running services: start to first answer and kill -9 to answering again, against a bare spawn and other supervisors.

All run the same service, turn by turn, in one run. supervisord and Circus come with the extra `bench`; one that is not
installed is left out and said so.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

import tucano
from tests.bench.table import Row
from tests.proc.kit import APP, write
from tucano.local import Cluster

ROUNDS = 5
BIN = Path(sys.executable).parent
TOML = '[service]\nname = "hello"\n[run]\nscript = "exec {python} app.py"\n[health]\nhttp = "/"\n'


class Measured(NamedTuple):
    """Milliseconds."""

    start: float
    back: float


def run(rounds: int = ROUNDS) -> list[Row]:
    """Measure; medians of interleaved rounds."""
    with tempfile.TemporaryDirectory(prefix="tucano-bench-") as folder, contextlib.ExitStack() as stack:
        place = write(Path(folder) / "hello", TOML.format(python=sys.executable), app_py=APP)
        cluster = stack.enter_context(tucano.local_cluster(workers=2))
        contenders: dict[str, Callable[[], Measured]] = {
            "bare": lambda: _bare(place),
            "call": lambda: _tucano(cluster, lambda: cluster.client.deploy(place, wait=False)),
            "command": lambda: _tucano(cluster, lambda: _command(cluster, place)),
        }
        for name, daemon in {"supervisord": _supervisord, "Circus": _circus}.items():
            if (BIN / DAEMONS[name]).exists():
                contenders[name] = stack.enter_context(daemon(Path(folder) / name, place))
        found: dict[str, list[Measured]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, measure in contenders.items():
                found[name].append(measure())

    def start(name: str) -> float | None:
        return median(one.start for one in found[name]) if name in found else None

    def back(name: str) -> float | None:
        return median(one.back for one in found[name]) if name in found else None

    bare, call, command, again = (start("bare") or 0, start("call") or 0, start("command") or 0, back("call") or 0)
    rows = [
        Row("deploy call to first answer", call, "bare spawn", bare, 1.5, "lower", "ms"),
        Row("kill -9 to answering again", again, "bare spawn + 20 ms", bare + 20, 1.0, "lower", "ms"),
    ]
    for name in DAEMONS:
        rows.append(Row("start command to first answer", command, name, start(name), 1.0, "lower", "ms"))
        rows.append(Row("kill -9 to answering again", again, name, back(name), 1.0, "lower", "ms"))
    return rows


DAEMONS = {"supervisord": "supervisord", "Circus": "circusd"}


def _bare(place: Path) -> Measured:
    port = _free_port()
    started = time.perf_counter()
    process = _spawn_bare(place, port)
    _answered(port)
    took = _since(started)
    process.kill()
    process.wait()
    return Measured(took, 0.0)


def _spawn_bare(place: Path, port: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "HOST": "127.0.0.1", "PORT": str(port), "TUCANO_INSTANCE": "x"}
    return subprocess.Popen([sys.executable, "app.py"], cwd=place, env=environment, stdout=subprocess.DEVNULL)


def _tucano(cluster: Cluster, deploy: Callable[[], object]) -> Measured:
    port = cluster.running.http_port
    started = time.perf_counter()
    deploy()
    _answered(port)
    start = _since(started)
    pid = cluster.client.show("hello").instances[0].pid
    back = _killed(pid, port)
    cluster.client.undeploy("hello")
    cluster.client.wait_until_gone("hello")
    return Measured(start, back)


def _command(cluster: Cluster, place: Path) -> None:
    environment = {**os.environ, "TUCANO_HOME": str(cluster.home)}
    command = [sys.executable, "-m", "tucano", "deploy", "--no-wait", str(place)]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def _supervisord(folder: Path, place: Path) -> Iterator[Callable[[], Measured]]:
    port = _free_port()
    folder.mkdir()
    config = folder / "supervisord.conf"
    config.write_text(f"""
[supervisord]
nodaemon=true
logfile={folder}/log
pidfile={folder}/pid
[unix_http_server]
file={folder}/socket
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{folder}/socket
[program:hello]
command={sys.executable} app.py
directory={place}
environment=HOST=127.0.0.1,PORT={port},TUCANO_INSTANCE=x
autostart=false
startsecs=0
""")
    tell = [str(BIN / "supervisorctl"), "-c", str(config)]
    with _daemon([str(BIN / "supervisord"), "-c", str(config)], folder):
        _until(lambda: (folder / "socket").exists())
        yield lambda: _supervised([*tell, "start", "hello"], [*tell, "stop", "hello"], port)


@contextlib.contextmanager
def _circus(folder: Path, place: Path) -> Iterator[Callable[[], Measured]]:
    port, control = _free_port(), _free_port()
    folder.mkdir()
    config = folder / "circus.ini"
    config.write_text(f"""
[circus]
endpoint=tcp://127.0.0.1:{control}
pubsub_endpoint=tcp://127.0.0.1:{_free_port()}
[watcher:hello]
cmd={sys.executable} app.py
working_dir={place}
autostart=false
copy_env=true
[env:hello]
HOST=127.0.0.1
PORT={port}
TUCANO_INSTANCE=x
""")
    tell = [str(BIN / "circusctl"), "--endpoint", f"tcp://127.0.0.1:{control}"]
    with _daemon([str(BIN / "circusd"), str(config)], folder):
        _until(lambda: subprocess.run([*tell, "status"], capture_output=True, check=False).returncode == 0)
        yield lambda: _supervised([*tell, "start", "hello"], [*tell, "stop", "hello", "--waiting"], port)


@contextlib.contextmanager
def _daemon(command: list[str], folder: Path) -> Iterator[None]:
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:  # Circus at times waits for a watcher that it has stopped
            process.kill()
            process.wait()


def _supervised(start: list[str], stop: list[str], port: int) -> Measured:
    started = time.perf_counter()
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL)
    _answered(port)
    took = _since(started)
    pid = next(
        one.pid for one in psutil.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid
    )  # fmt: skip
    back = _killed(pid, port)
    subprocess.run(stop, check=True, stdout=subprocess.DEVNULL)
    return Measured(took, back)


def _killed(pid: int, port: int) -> float:
    """Milliseconds from a kill until the service answers again."""
    descriptor = os.pidfd_open(pid)
    started = time.perf_counter()
    os.kill(pid, signal.SIGKILL)
    select.select([descriptor], [], [])  # what died does not answer
    os.close(descriptor)
    _answered(port)
    return _since(started)


def _answered(port: int) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": "hello"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def answers() -> bool:
        try:
            with opener.open(request, timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False

    _until(answers)


def _until(condition: Callable[[], bool], within: float = 30.0) -> None:
    deadline = time.perf_counter() + within
    while not condition():
        if time.perf_counter() > deadline:
            raise TimeoutError("it does not answer")
        time.sleep(0.001)


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
