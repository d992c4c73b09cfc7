"""The users' ZeroMQ front against C `zmq.proxy`: the same load, the same core, turn by turn.

The broker has one core to itself; client and instances share the other. The instances are C: `zmq.proxy` from a ROUTER
to itself sends back what it gets. The client is a Python program with 100 requests in flight, as users have it; and,
for the most that each broker can do, C as well: an answer of Majordomo is, frame by frame, the next request, and what
went through is counted by the kernel. Behind `zmq.proxy`, ROUTER to DEALER, instances connect; behind Tucano they bind.
Run it: `python -m tests.bench mdp`. Roles of this module started by itself: `client`, `drive`, `rep`, `router`,
`tucano`, `proxy`.
"""

import contextlib
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import psutil
import zmq

from tests.bench.table import Row, lone
from tucano.actors.messages import model
from tucano.actors.proxy import Service, Target
from tucano.mdp_front import MdpFront

ROUNDS = 5
SECONDS = 1
_IN_FLIGHT = 100
_MESSAGE = [b"", b"MDPC01", b"echo", b"x" * 100]
_NOBLOCK, _MORE = int(zmq.NOBLOCK), int(zmq.SNDMORE)
_CORES = sorted(os.sched_getaffinity(0))
_BROKER_CORE = {_CORES[0]}
_LOAD_CORE = {_CORES[-1]}


class Role(NamedTuple):
    """A role that runs: its process, and what it said when it served: ports, or a figure."""

    pid: int
    said: list[int]


class Figures(NamedTuple):
    """What one run of the load has found: requests a second, microseconds of the broker's processor for each."""

    rate: float
    cost: float


def run(rounds: int = ROUNDS, seconds: int = SECONDS) -> list[Row]:
    """Measure; medians of interleaved rounds."""
    with contextlib.ExitStack() as stack:
        brokers: dict[str, tuple[int, int]] = {}  # process and port
        proxy = stack.enter_context(_role("proxy", _BROKER_CORE))
        brokers["zmq.proxy"] = proxy.pid, proxy.said[0]
        for _ in range(2):
            stack.enter_context(_role("router", _LOAD_CORE, f"connect tcp://127.0.0.1:{proxy.said[1]}"))
        for kind in ("rep", "router"):
            bound = [stack.enter_context(_role(kind, _LOAD_CORE, "bind tcp://127.0.0.1:0")) for _ in range(2)]
            broker = stack.enter_context(_role("tucano", _BROKER_CORE, *(str(one.said[0]) for one in bound)))
            brokers[kind] = broker.pid, broker.said[0]
        found: dict[tuple[str, str], list[Figures]] = {}
        loads = {"many": ("client", _IN_FLIGHT), "one": ("client", 1), "most": ("drive", _IN_FLIGHT)}
        for _ in range(rounds):
            for load, (role, in_flight) in loads.items():
                for name, (pid, port) in brokers.items():
                    figures = _load(role, pid, port, seconds, in_flight)
                    found.setdefault((load, name), []).append(figures)

    def rate(load: str, name: str) -> float:
        return median(one.rate for one in found[load, name])

    def cost(name: str) -> float:
        return median(one.cost for one in found["most", name])

    c, ours, rep = "zmq.proxy", "router", "rep"
    return [
        Row("100 in flight", rate("many", ours), c, rate("many", c), 0.8, "higher", "requests/s"),
        Row("one at a time", 1e6 / rate("one", ours), c, 1e6 / rate("one", c), 1.3, "lower", "us"),
        lone("100 in flight, REP instances in Python", rate("many", rep), "requests/s"),
        lone("one at a time, REP instances in Python", 1e6 / rate("one", rep), "us"),
        lone("the most, from a client in C", rate("most", ours), "requests/s"),
        lone("the same of zmq.proxy", rate("most", c), "requests/s"),
        lone("processor for each of these", cost(ours), "us"),
        lone("the same of zmq.proxy", cost(c), "us"),
    ]


def _load(role: str, pid: int, port: int, seconds: float, in_flight: int) -> Figures:
    before = sum(psutil.Process(pid).cpu_times()[:2])
    with _role(role, _LOAD_CORE, str(port), str(seconds), str(in_flight)) as load:
        rate, count = load.said
        return Figures(rate, (sum(psutil.Process(pid).cpu_times()[:2]) - before) / count * 1e6)


@contextlib.contextmanager
def _role(name: str, cores: set[int], *args: str) -> Iterator[Role]:
    """Run a role of this module on its core; it says its ports when it serves, or its figure."""
    command = [sys.executable, "-m", "tests.bench.mdp", name, *args]
    pin = partial(os.sched_setaffinity, 0, cores)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=pin) as process:
        try:
            assert process.stdout is not None
            yield Role(process.pid, [int(figure) for figure in process.stdout.readline().split()])
        finally:
            process.terminate()


# --- the roles -------------------------------------------------------------------------------------------------------


def _port(one: zmq.Socket[bytes]) -> int:
    return int(one.get_string(zmq.LAST_ENDPOINT).rpartition(":")[2])


class _Pipe:
    """A socket's messages, by the calls below those of pyzmq that check and convert: a third of the time."""

    def __init__(self, one: zmq.Socket[bytes]) -> None:
        raw: Any = super(zmq.Socket, one)
        self._receive: Callable[..., Any] = raw.recv
        self._send: Callable[[bytes, int], None] = raw.send

    def receive(self) -> list[bytes]:
        receive, frames = self._receive, []
        while True:
            frame = receive(_NOBLOCK, False)
            frames.append(frame.bytes)
            if not frame.more:
                return frames

    def send(self, frames: list[bytes]) -> None:
        for frame in frames[:-1]:
            self._send(frame, _NOBLOCK | _MORE)
        self._send(frames[-1], _NOBLOCK)


def _begin(port: int, in_flight: int) -> zmq.Socket[bytes]:
    """A client with so many requests in flight, to which an answer has come."""
    client = zmq.Context().socket(zmq.DEALER)
    client.set(zmq.LINGER, 0)
    client.connect(f"tcp://127.0.0.1:{port}")
    for _ in range(in_flight):
        client.send_multipart(_MESSAGE)
    if client.recv_multipart() != _MESSAGE:
        raise RuntimeError("this is no answer")
    client.send_multipart(_MESSAGE)
    return client


def _client(port: int, seconds: float, in_flight: int) -> None:
    one = _begin(port, in_flight)
    pipe = _Pipe(one)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        one.poll()
        with contextlib.suppress(zmq.Again):
            while True:
                pipe.receive()
                pipe.send(_MESSAGE)
                count += 1
    print(int(count / (time.perf_counter() - began)), count, flush=True)
    os._exit(0)


def _drive(port: int, seconds: float, in_flight: int) -> None:
    size = sum(len(frame) + 2 for frame in _MESSAGE)  # RFC 23/ZMTP: a byte of flags and one of length
    client = _begin(port, in_flight)
    threading.Thread(target=zmq.proxy, args=(client, client), daemon=True).start()
    connection = next(one for one in psutil.Process().net_connections("tcp") if one.raddr and one.raddr.port == port)
    with socket.socket(fileno=os.dup(connection.fd)) as sock:
        began, before = time.perf_counter(), _acknowledged(sock)
        time.sleep(seconds)
        now, took = _acknowledged(sock), time.perf_counter() - began
    print(int((now - before) / size / took), now // size, flush=True)
    os._exit(0)  # the proxy goes on for ever


def _acknowledged(sock: socket.socket) -> int:
    """Bytes that the other side has got, of `struct tcp_info` in linux/tcp.h."""
    at = 120
    return int(struct.unpack_from("Q", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, at + 8), at)[0])


def _instance(kind: int, where: str) -> None:
    echo = zmq.Context().socket(kind)
    how, endpoint = where.split()
    if how == "bind":
        echo.bind(endpoint)
        print(_port(echo), flush=True)
    else:
        echo.connect(endpoint)
        print(0, flush=True)
    if kind == zmq.ROUTER:
        zmq.proxy(echo, echo)
    while True:
        frames = echo.recv_multipart()
        with contextlib.suppress(zmq.Again):  # what is there, without waking up for each
            while True:
                echo.send_multipart(frames)
                frames = echo.recv_multipart(zmq.NOBLOCK)


def _proxy() -> None:
    context = zmq.Context()
    front, back = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    for side in (front, back):
        side.bind("tcp://127.0.0.1:0")
    print(_port(front), _port(back), flush=True)
    zmq.proxy(front, back)


def _tucano(instances: list[int]) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    front = MdpFront(listener, chance=random.Random(7))
    targets = tuple(Target(f"echo-{number}", "127.0.0.1", number, True) for number in instances)
    front.apply({"echo": Service("echo", targets, expected=False, route=model.Route(protocol="zmq"))})
    front.start()
    print(port, flush=True)
    signal.sigwait({signal.SIGTERM})
    front.stop(0.0)


def main(args: list[str]) -> None:
    """Run a role."""
    match args:
        case ["client", port, seconds, in_flight]:
            _client(int(port), float(seconds), int(in_flight))
        case ["drive", port, seconds, in_flight]:
            _drive(int(port), float(seconds), int(in_flight))
        case ["rep", where]:
            _instance(zmq.REP, where)
        case ["router", where]:
            _instance(zmq.ROUTER, where)
        case ["proxy"]:
            _proxy()
        case ["tucano", *instances]:
            _tucano([int(port) for port in instances])
        case _:
            raise SystemExit("this is a role of `python -m tests.bench mdp`")


if __name__ == "__main__":
    main(sys.argv[1:])
