"""Messages between two processes over TCP loopback, side by side with raw pyzmq and with others that do the same job.

Rounds are interleaved, medians taken. The yardstick is a DEALER and a ROUTER with msgpack, one message a frame. Tells
are counted at the receiver. Processor time is that of both ends together: steadier than the clock on a busy machine.
Who is not installed is left out (`pip install -e '.[bench]'`).
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Literal

import pykka

from tests.bench.kernel_messages import SAY, PykkaCounter, _asks_in_flight, _tells
from tests.bench.kit import Figures, turn_by_turn
from tests.bench.peers import IN_FLIGHT, NAMES, THREADS, Contender
from tests.bench.peers.ours import Ours
from tests.bench.peers.taker import Taker
from tests.bench.table import Row, lone
from tucano.actors.kernel import Child

ROUNDS = 5
MESSAGES = 100_000
MIB = 1024
"""Of the artifact that moves while control asks are measured."""

TARGETS = {
    "in flight": {"raw pyzmq": 1.0, "RPyC": 5.0, "xoscar": 12.0, "gRPC": 12.0},
    "tells": {"raw pyzmq": 1.0, "RPyC": 12.0, "Pyro5": 12.0, "xoscar": 12.0, "gRPC": 12.0},
    "one": {"raw pyzmq": 1.5},
    "threads": {"Pyro5": 2.5},
}
SHARE = {"ours": 1.0, "raw pyzmq": 1.0}
"""Of the messages: all others are slower, and get this much."""
OTHERS = 0.05


def run(rounds: int = ROUNDS, messages: int = MESSAGES, mib: int = MIB, names: Sequence[str] = NAMES) -> list[Row]:
    """Measure.

    Args:
        rounds: that count, after one that does not.
        messages: tells in a round; asks are fewer.
        mib: size of the artifact, MiB.
        names: who takes part; ours and the yardstick always.

    """
    with contextlib.ExitStack() as stack:
        contenders: dict[str, Contender] = {}
        for name in names:
            with contextlib.suppress(ImportError):
                contenders[name] = contender = Contender(name)
                stack.callback(contender.close)
        rows: list[Row] = []
        for what, (measure, share) in _MEASURES.items():
            found = turn_by_turn(
                {
                    name: partial(measure, contender, max(200, int(messages * share * SHARE.get(name, OTHERS))))
                    for name, contender in contenders.items()
                },
                rounds,
            )
            rows += _rows(what, found)
        rows += _stock(rounds, messages)
        rows += _curve(rounds, messages)
        ours = contenders["ours"].client
        assert isinstance(ours, Ours)
        rows += _lanes(ours, mib, rounds)
    return rows


def _rows(what: str, found: dict[str, Figures]) -> list[Row]:
    name, unit = _NAMES[what]
    better: Literal["lower", "higher"] = "lower" if what == "one" else "higher"
    rows = [
        Row(name, found["ours"][0], other, found[other][0] if other in found else None, target, better, unit)
        for other, target in TARGETS[what].items()
    ]
    rows += [
        lone(f"{name}: {other}", figures[0], unit) for other, figures in found.items() if other not in TARGETS[what]
    ]
    for other in ("ours", "raw pyzmq"):
        rows.append(lone(f"{name}: processor time of both ends, {other}", found[other][1], "us/message"))
    return rows


def _timed(contender: Contender, count: int, work: Callable[[], object]) -> tuple[float, float]:
    """Messages a second, and microseconds of processor for each."""
    cpu, started = contender.cpu(), time.perf_counter()
    work()
    took = time.perf_counter() - started
    return count / took, (contender.cpu() - cpu) / count * 1e6


def _in_flight(contender: Contender, count: int) -> Figures:
    return _timed(contender, count, partial(contender.client.in_flight, count))


def _tells_far(contender: Contender, count: int) -> Figures:
    return _timed(contender, count, partial(contender.client.tell, count))


def _one(contender: Contender, count: int) -> Figures:
    took: list[float] = []
    _, cpu = _timed(contender, count, lambda: took.extend(_latencies(contender.client.ask, count)))
    return median(took) * 1e6, cpu


def _threads(contender: Contender, count: int) -> Figures:
    def run(ask: Callable[[], object]) -> None:
        for _ in range(count // THREADS):
            ask()

    threads = [threading.Thread(target=run, args=(contender.client.per_thread(),)) for _ in range(THREADS)]

    def work() -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return _timed(contender, count, work)


_MEASURES: dict[str, tuple[Callable[[Contender, int], Figures], float]] = {
    "in flight": (_in_flight, 0.3),
    "tells": (_tells_far, 1.0),
    "one": (_one, 0.03),
    "threads": (_threads, 0.06),
}
_NAMES = {
    "in flight": (f"asks, {IN_FLIGHT} in flight", "asks/s"),
    "tells": ("tells, counted at the receiver", "tells/s"),
    "one": ("one ask at a time, p50", "us"),
    "threads": (f"{THREADS} threads asking", "asks/s"),
}


def _latencies(ask: Callable[[], object], count: int) -> list[float]:
    took = []
    for _ in range(count):
        started = time.perf_counter()
        ask()
        took.append(time.perf_counter() - started)
    return took


def _curve(rounds: int, messages: int) -> list[Row]:
    """What encryption costs."""
    with contextlib.ExitStack() as stack:
        contenders = {name: Contender(name) for name in ("1 KiB", "1 KiB, CURVE")}
        for contender in contenders.values():
            stack.callback(contender.close)
        rows = []
        for what in ("in flight", "tells"):
            measure, share = _MEASURES[what]
            found = turn_by_turn(
                {
                    name: partial(measure, contender, max(200, int(messages * share * 0.5)))
                    for name, contender in contenders.items()
                },
                rounds,
            )
            name, unit = _NAMES[what]
            plain, secured = (found[name][0] for name in contenders)
            rows.append(Row(f"{name}, 1 KiB by CURVE", secured, "in the clear", plain, 0.8, "higher", unit))
    return rows


def _stock(rounds: int, messages: int) -> list[Row]:
    """Stock Pykka within one process: for comparison only."""
    actor: pykka.ActorRef[PykkaCounter] = PykkaCounter.start()
    try:
        actor.ask(SAY)
        found = turn_by_turn(
            {"tells": partial(_tells, actor, messages), "in flight": partial(_asks_in_flight, actor, messages // 5)},
            rounds,
        )
    finally:
        actor.stop()
    return [lone(f"stock Pykka in one process: {what}", figures[0], "/s") for what, figures in found.items()]


def _lanes(ours: Ours, mib: int, rounds: int) -> list[Row]:
    """What a control ask takes while an artifact moves on the bulk lane, and whether anybody seemed to be silent."""
    found = turn_by_turn(
        {"idle": lambda: (_p99(_latencies(ours.ask, 3000)),), "busy": partial(_busy, ours, mib)}, min(3, rounds)
    )
    (idle,), (busy, speed) = found["idle"], found["busy"]
    silent = ours.down_at_server() + sum(event.what == "node_down" for event in ours.system.events())
    return [
        Row("control ask, p99, while an artifact moves", busy, "idle", idle, 3.0, "lower", "us"),
        lone(f"an artifact of {mib} MiB on the bulk lane", speed, "MiB/s"),
        lone("nodes that seemed silent meanwhile", float(silent), "nodes"),
    ]


def _busy(ours: Ours, mib: int) -> Figures:
    with tempfile.TemporaryDirectory() as directory:
        source, target = Path(directory, "source"), Path(directory, "target")
        with source.open("wb") as file:
            for _ in range(mib):
                file.write(bytes(1 << 20))
        ended = threading.Event()
        args = {"source": source, "target": target, "size": mib << 20, "ended": ended}
        took: list[float] = []
        started = time.perf_counter()
        taker = ours.system.spawn(Child("taker", Taker, args))
        while not ended.is_set():
            took += _latencies(ours.ask, 50)
        speed = mib / (time.perf_counter() - started)
        taker.stop()
        if target.stat().st_size != mib << 20:
            raise RuntimeError("not all has arrived")
    return _p99(took), speed


def _p99(took: list[float]) -> float:
    return quantiles(took, n=100)[98] * 1e6
