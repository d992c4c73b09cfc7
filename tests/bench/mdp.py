"""The users' ZeroMQ front against C `zmq.proxy`: the same load, the same core, turn by turn.

The broker has one core to itself; the client (a DEALER with 100 requests in flight) and two instances share the other.
Behind `zmq.proxy`, which is ROUTER to DEALER, the same instances connect; behind Tucano they bind, as services do.
Run it: `python -m tests.bench mdp`. Roles of this module started by itself: `rep`, `router`, `tucano`, `proxy`.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from statistics import median

import zmq

from tests.bench.table import Row, lone
from tucano.actors.proxy import Service, Target
from tucano.mdp_front import MdpFront

ROUNDS = 5
SECONDS = 2
_IN_FLIGHT = 100
_BODY = b"x" * 100
_CORES = sorted(os.sched_getaffinity(0))
_BROKER_CORE = {_CORES[0]}
_LOAD_CORE = {_CORES[-1]}


def run(rounds: int = ROUNDS, seconds: int = SECONDS) -> list[Row]:
    """Measure; medians of interleaved rounds."""
    with contextlib.ExitStack() as stack:
        front, back = stack.enter_context(_role("proxy", _BROKER_CORE))
        for kind in ("router", "router"):
            stack.enter_context(_role(kind, _LOAD_CORE, f"connect tcp://127.0.0.1:{back}"))
        ports = {"zmq.proxy": front}
        for kind in ("rep", "router"):
            bound = [stack.enter_context(_role(kind, _LOAD_CORE, "bind tcp://127.0.0.1:0"))[0] for _ in range(2)]
            (ports[kind],) = stack.enter_context(_role("tucano", _BROKER_CORE, *map(str, bound)))
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, _LOAD_CORE)
        try:
            figures: dict[str, list[float]] = {name: [] for name in ports}
            single: dict[str, list[float]] = {name: [] for name in ports}
            for _ in range(rounds):
                for name, port in ports.items():
                    figures[name].append(_load(port, seconds, _IN_FLIGHT))
                    single[name].append(1e6 / _load(port, 1, 1))
        finally:
            os.sched_setaffinity(0, before)
    theirs, alone = median(figures["zmq.proxy"]), median(single["zmq.proxy"])
    return [
        Row("100 in flight, ROUTER instances", median(figures["router"]), "zmq.proxy", theirs, 0.8, "higher", "req/s"),
        Row("100 in flight, REP instances", median(figures["rep"]), "zmq.proxy", theirs, 0.8, "higher", "req/s"),
        Row("one at a time, ROUTER instances", median(single["router"]), "zmq.proxy", alone, 1.3, "lower", "us"),
        lone("one at a time, REP instances", median(single["rep"]), "us"),
    ]


def _load(port: int, seconds: float, in_flight: int) -> float:
    """Requests a second; each is a Majordomo request, which zmq.proxy passes on as it is."""
    request = [b"", b"MDPC01", b"echo", _BODY]
    with zmq.Context() as context, context.socket(zmq.DEALER) as client:
        client.set(zmq.LINGER, 0)
        client.set(zmq.RCVTIMEO, 10_000)
        client.connect(f"tcp://127.0.0.1:{port}")
        for _ in range(in_flight):
            client.send_multipart(request)
        count, began = 0, time.perf_counter()
        until = began + seconds
        while time.perf_counter() < until:
            for _ in range(50):
                frames = client.recv_multipart()
                client.send_multipart(request)
            if frames[-1] != _BODY:
                raise RuntimeError(f"answered {frames}")
            count += 50
        took = time.perf_counter() - began
        for _ in range(in_flight):
            client.recv_multipart()
    return count / took


@contextlib.contextmanager
def _role(name: str, cores: set[int], *args: str) -> Iterator[list[int]]:
    """Run a role of this module on its core; it says its ports when it serves."""
    command = [sys.executable, "-m", "tests.bench.mdp", name, *args]
    pin = partial(os.sched_setaffinity, 0, cores)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=pin) as process:
        try:
            assert process.stdout is not None
            yield [int(port) for port in process.stdout.readline().split()]
        finally:
            process.terminate()


# --- the roles -------------------------------------------------------------------------------------------------------


def _port(socket: zmq.Socket[bytes]) -> int:
    return int(socket.get(zmq.LAST_ENDPOINT).rpartition(b":")[2])


def _instance(kind: int, where: str) -> None:
    socket = zmq.Context().socket(kind)
    how, endpoint = where.split()
    if how == "bind":
        socket.bind(endpoint)
        print(_port(socket), flush=True)
    else:
        socket.connect(endpoint)
        print(0, flush=True)
    while True:
        frames = socket.recv_multipart()
        with contextlib.suppress(zmq.Again):  # what is there, without waking up for each
            while True:
                socket.send_multipart(frames)
                frames = socket.recv_multipart(zmq.NOBLOCK)


def _proxy() -> None:
    context = zmq.Context()
    front, back = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    for socket in (front, back):
        socket.bind("tcp://127.0.0.1:0")
    print(_port(front), _port(back), flush=True)
    zmq.proxy(front, back)


def _tucano(instances: list[int]) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    with zmq.Context() as context, context.socket(zmq.ROUTER) as probe:
        port = probe.bind_to_random_port("tcp://127.0.0.1")
    front = MdpFront(f"tcp://127.0.0.1:{port}", chance=random.Random(7))
    targets = tuple(Target(f"echo-{number}", "127.0.0.1", number, True) for number in instances)
    front.apply({"echo": Service("echo", targets, expected=False, protocol="zmq")})
    front.start()
    print(port, flush=True)
    signal.sigwait({signal.SIGTERM})
    front.stop(0.0)


def main(args: list[str]) -> None:
    """Run a role."""
    match args:
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
