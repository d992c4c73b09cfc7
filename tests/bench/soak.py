"""A thousand actors on real threads crash at random while they are asked from outside: does anything grow?

They live in trees of all strategies and crash in asks, in tells, at timers and at their start, by exceptions of all
kinds. A warm-up and two runs, all three equal: after each, everything comes to rest, garbage is collected, and what is
left is counted. Nothing may be left but the actors.
"""

from __future__ import annotations

import builtins
import ctypes
import gc
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, assert_never

import psutil
import pykka

from tests.bench.kit import all_up, node, quiet
from tests.bench.table import Row, lone
from tests.helpers import eventually
from tucano.actors.kernel import Actor, Child, Law, Message, Ref, Refused, System, TimedOut, Timer, Tree

SECONDS = 60
TREES = 20
SMALL = 10
LARGE = 60
"""Of the trees four in twenty are small, since one crash there restarts many: 4 x 10 and 16 x 60 are a thousand."""
ASKERS = 4
BATCH = 25
PATIENCE = 2.0
"""Seconds that an asker waits for an answer and a tree for an end: after it, nothing is left to wait for."""
CRASHES = ("ValueError", "SystemExit", "KeyboardInterrupt", "GeneratorExit")
LAW = Law(intensity=1_000_000, period=1.0, base=0.01, ceiling=0.05)
OUTCOMES = ("answered", "refused", "timed out")


class Work(Message, frozen=True):
    number: int
    crash: str = ""


class Later(Message, frozen=True):
    delay: float
    crash: str = ""


class Due(Message, frozen=True):
    crash: str


class Tally:
    """Counts for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def add(self) -> None:
        with self._lock:
            self.count += 1


class Fragile(Actor):
    """Does as it is told, and at times fails to start."""

    Inbox = Work | Later | Due

    def __init__(self, crashes: Tally) -> None:
        super().__init__()
        self.crashes = crashes

    def on_start(self) -> None:
        if self.chance.random() < 0.02:
            raise OSError("no start today")

    def on_crash(self) -> None:
        self.crashes.add()

    def receive(self, message: Work | Later | Due) -> int | None:
        match message:
            case Work(number, crash):
                _crash(crash)
                return number
            case Later(delay, crash):
                self.after(delay, Due(crash))
            case Due(crash):
                _crash(crash)
            case _:
                assert_never(message)
        return None


def _crash(how: str) -> None:
    if how:
        raise getattr(builtins, how)("as told")


class Figures(NamedTuple):
    """What is left when all is at rest.

    Attributes:
        threads: of the process.
        objects: that the garbage collector knows of, after it has collected.
        rss: MiB, with what the allocator keeps of what was freed in other threads; it grows less and less.
        pss: MiB, likewise; it also moves when other processes come and go.
        used: RSS in MiB once the allocator has returned what is free; a leak would show here.
        timers: that are yet to fire.
        kept: timers that have fired or are cancelled, but that something still holds.
        waiting: messages in all mailboxes.

    """

    threads: int
    objects: int
    rss: float
    pss: float
    used: float
    timers: int
    kept: int
    waiting: int


GROWTH = (  # what, figure, unit, and the most that the first and the second run may multiply it by
    ("threads", "threads", "threads", 1.0, 1.0),
    ("objects", "objects", "objects", 1.01, 1.01),
    ("RSS, what is free returned,", "used", "MiB", 1.05, 1.02),
    ("RSS as it is", "rss", "MiB", 1.10, 1.10),
)
LEFT = (
    ("PSS", "pss", "MiB"),
    ("messages that wait", "waiting", "messages"),
    ("timers that wait", "timers", "timers"),
    ("timers kept that are over", "kept", "timers"),
)


def run(seconds: float = SECONDS, trees: int = TREES, patience: float = PATIENCE) -> list[Row]:
    """Measure.

    Args:
        seconds: length of the warm-up and of each run.
        trees: fifty actors each, on average over twenty.
        patience: seconds that an ask has, and that is waited before anything is counted.

    """
    crashes = Tally()
    with quiet(), node(*(_tree(n, crashes, patience) for n in range(trees)), law=LAW) as system:
        refs = [system.ref(info.name) for info in system.snapshot() if info.kind == Fragile.__name__]
        _spell(refs, seconds, patience, 0)
        looks, outcomes, crashed = [_at_rest(system, patience)], Counter[str](), crashes.count
        for seed in (1, 2):
            outcomes += _spell(refs, seconds, patience, seed)
            looks.append(_at_rest(system, patience))
        crashed = crashes.count - crashed
    return _report(len(refs), looks, outcomes, crashed)


def _report(actors: int, looks: Sequence[Figures], outcomes: Counter[str], crashed: int) -> list[Row]:
    asks, settled = outcomes.total(), sum(outcomes[outcome] for outcome in OUTCOMES)
    rows = [
        lone("actors", actors, "actors"),
        lone("crashes", crashed, "crashes"),
        *(lone(f"asks {outcome}", outcomes[outcome], "asks") for outcome in OUTCOMES),
        Row("asks that came back in one of these ways", settled, "asks made", asks, 1.0, "higher", "asks"),
    ]
    for what, field, unit, *targets in GROWTH:
        before, first, second = (getattr(look, field) for look in looks)
        rows.append(Row(f"{what} after the first run", first, "before it", before, targets[0], "lower", unit))
        rows.append(Row(f"{what} after the second", second, "before it", first, targets[1], "lower", unit))
    for what, field, unit in LEFT:
        for when, look in zip(("before", "after the first run", "after the second"), looks, strict=True):
            rows.append(lone(f"{what} {when}", getattr(look, field), unit))
    return rows


def _tree(number: int, crashes: Tally, shutdown: float) -> Child:
    strategy = {0: "one_for_all", 5: "rest_for_one"}.get(number % 10, "one_for_one")
    size = LARGE if strategy == "one_for_one" else SMALL
    name = f"tree-{number}"
    children = tuple(Child(f"{name}-{n}", Fragile, {"crashes": crashes}, shutdown=shutdown) for n in range(size))
    return Child(name, Tree, {"children": children, "strategy": strategy, "law": LAW})


# --- asking from outside ---------------------------------------------------------------------------------------------


def _spell(refs: Sequence[Ref], seconds: float, patience: float, seed: int) -> Counter[str]:
    """Several threads ask around for so long: how many asks ended in which way."""
    until = time.monotonic() + seconds
    with ThreadPoolExecutor(ASKERS) as pool:
        chances = [random.Random(seed * ASKERS + n) for n in range(ASKERS)]
        askers = [pool.submit(_ask_around, refs, until, patience, chance) for chance in chances]
        return sum((asker.result() for asker in askers), Counter[str]())


def _ask_around(refs: Sequence[Ref], until: float, patience: float, chance: random.Random) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    while time.monotonic() < until:
        futures = []
        for number in range(BATCH):
            ref = chance.choice(refs)
            ref.tell(Later(chance.random() * 0.1, _how(chance)))
            ref.tell(Work(number, _how(chance)))
            futures.append(ref.ask(Work(number, _how(chance)), timeout=patience, block=False))
        outcomes.update(_outcome(future, number, patience) for number, future in enumerate(futures))
    return outcomes


def _how(chance: random.Random) -> str:
    return chance.choice(CRASHES) if chance.random() < 0.02 else ""


def _outcome(future: pykka.Future[Any], number: int, patience: float) -> str:
    try:
        answer = future.get(timeout=patience + 10.0)
    except TimedOut:
        return "timed out"
    except Refused:
        return "refused"
    except pykka.Timeout:  # not even the deadline came: the ask is lost
        return "lost"
    return "answered" if answer == number else "answered with another's"


# --- counting what is left -------------------------------------------------------------------------------------------


def _at_rest(system: System, patience: float) -> Figures:
    """Wait until the deadline of the last ask has passed and nothing is left to be done; then count."""
    last = time.monotonic()
    eventually(lambda: time.monotonic() > last + patience + 0.5, "all deadlines have passed", within=60.0)
    eventually(lambda: _waiting(system) == 0, "all messages are handled", within=60.0)
    all_up(system)
    gc.collect()
    process = psutil.Process()
    memory = process.memory_full_info()
    _return_what_is_free()
    objects = gc.get_objects()
    timers = [thing for thing in objects if isinstance(thing, Timer)]
    pending = sum(timer.fire is not None and timer.due > time.monotonic() for timer in timers)
    return Figures(
        threads=threading.active_count(),
        objects=len(objects),
        rss=memory.rss / 2**20,
        pss=memory.pss / 2**20,
        used=process.memory_info().rss / 2**20,
        timers=pending,
        kept=len(timers) - pending,
        waiting=_waiting(system),
    )


def _return_what_is_free() -> None:
    """The C library keeps what its threads have freed; without glibc, whatever is kept is counted."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _waiting(system: System) -> int:
    return sum(info.depth for info in system.snapshot())
