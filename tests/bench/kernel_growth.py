"""What a watch and a timer cost when there are many already: equal work beside 100, 1,000 and 10,000 others.

Ten actors watch all others, so that 10,000 watches stand on 1,000 actors with a thread each. Each round starts fifty
further actors, in trees of ten, has them watched by the ten as well, and stops them: `Down` is timed from the order to
stop until all have been told, and so includes the ends of fifty threads. The ten are held meanwhile: woken for each
`Down`, the changes from thread to thread would cost ten times what is measured.
"""

from __future__ import annotations

import contextlib
import gc
import random
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, assert_never

import pykka

from tests.bench.kit import all_up, node, turn_by_turn
from tests.bench.table import Row, lone
from tucano.actors.kernel import Actor, Child, Down, Message, Ref, Reply, StartChild, StopChild, System, Tree

ROUNDS = 7
WATCHERS = 10
FURTHER_TREES = 5
BRANCHES = 10
FURTHER = FURTHER_TREES * BRANCHES
WATCHES = (100, 1_000, 10_000)
TIMERS = (100, 10_000, 100_000)
MADE = 5_000
DEADLINE = 60.0
LONG = 3_600.0


class WatchAll(Message, frozen=True):
    whom: tuple[Ref, ...]


class TellDowns(Message, frozen=True):
    """Answered when so many more have been reported down; all meet at the door, and again to go on from there."""

    count: int
    door: Any


class Watcher(Actor):
    Inbox = WatchAll | TellDowns | Down

    def __init__(self) -> None:
        super().__init__()
        self.downs = 0
        self.wanted = 0
        self.reply: Reply | None = None

    def receive(self, message: WatchAll | TellDowns | Down) -> float | None:
        match message:
            case WatchAll(whom):
                started = time.perf_counter()
                for ref in whom:
                    self.watch(ref)
                return time.perf_counter() - started
            case TellDowns(count, door):
                self.wanted, self.reply = count, self.reply_later()
                door.wait(DEADLINE)
                door.wait(DEADLINE)
                self._tell()
            case Down():
                self.downs += 1
                self._tell()
            case _:
                assert_never(message)
        return None

    def _tell(self) -> None:
        if self.reply is not None and self.downs >= self.wanted:
            self.reply.answer(None)
            self.downs, self.reply = 0, None


class Idle(Actor):
    """Is watched."""


class Fill(Message, frozen=True):
    count: int


class Cancel(Message, frozen=True):
    count: int


class Fire(Message, frozen=True):
    """Answered when so many timers have fired."""

    count: int


class Fired(Message, frozen=True):
    pass


class Alarms(Actor):
    Inbox = Fill | Cancel | Fire | Fired

    def __init__(self) -> None:
        super().__init__()
        self.random = random.Random(7)
        self.awaited = 0
        self.reply: Reply | None = None

    def receive(self, message: Fill | Cancel | Fire | Fired) -> None:
        match message:
            case Fill(count):
                for _ in range(count):
                    self.after(self._long(), Fired())
            case Cancel(count):
                for _ in range(count):
                    self.after(self._long(), Fired()).cancel()
            case Fire(count):
                self.awaited, self.reply = count, self.reply_later()
                for _ in range(count):
                    self.after(0.0, Fired())
            case Fired():
                self.awaited -= 1
                if self.awaited == 0 and self.reply is not None:
                    self.reply.answer(None)
            case _:
                assert_never(message)

    def _long(self) -> float:
        return LONG * (1.0 + self.random.random())  # anywhere among those that wait


def run(
    rounds: int = ROUNDS, watches: Sequence[int] = WATCHES, timers: Sequence[int] = TIMERS, made: int = MADE
) -> list[Row]:
    """Measure; medians of interleaved rounds.

    Args:
        rounds: that count, after one that does not.
        watches: how many stand while further ones are measured, a multiple of ten; the first is what others are
            compared with.
        timers: how many wait while further ones are measured; as above.
        made: timers in a round.

    """
    with contextlib.ExitStack() as stack:
        systems = {count: stack.enter_context(node(*_watched(count))) for count in watches}
        for system in systems.values():
            _watch_all(system, [info.name for info in system.snapshot() if info.kind == "Idle"])
        watched = turn_by_turn({count: partial(_watch_and_down, system) for count, system in systems.items()}, rounds)
    timed = turn_by_turn({count: partial(_timers, count, made) for count in timers}, rounds)
    return [
        *_rows("a watch beside {:,}", {count: figures[0] for count, figures in watched.items()}, 2.0),
        *_rows("its Down beside {:,}", {count: figures[1] for count, figures in watched.items()}, 2.0),
        *_rows("a timer set and cancelled beside {:,}", {count: figures[0] for count, figures in timed.items()}, 3.0),
        *_rows("a timer set and fired beside {:,}", {count: figures[1] for count, figures in timed.items()}, 3.0),
    ]


def _rows(what: str, costs: dict[int, float], target: float) -> list[Row]:
    (least, cost), *more = costs.items()
    return [
        lone(what.format(least), cost, "us"),
        *(Row(what.format(n), figure, f"{least:,}", cost, target, "lower", "us") for n, figure in more),
    ]


# --- watches ---------------------------------------------------------------------------------------------------------


def _watched(watches: int) -> list[Child]:
    """The watchers, in trees of ten what so many watches need, and who says when a tree has ended."""
    watchers = [Child(f"watcher-{number}", Watcher) for number in range(WATCHERS)]
    idle = watches // WATCHERS
    trees = [_tree(f"tree-{first}", range(first, min(first + BRANCHES, idle))) for first in range(0, idle, BRANCHES)]
    return [*watchers, Child("herald", Watcher), *trees]


def _tree(name: str, numbers: Sequence[int]) -> Child:
    return Child(name, Tree, {"children": tuple(Child(f"{name}-idle-{number}", Idle) for number in numbers)})


def _watch_and_down(system: System) -> tuple[float, float]:
    """Microseconds for a watch, and for its `Down`, of actors that are started for it."""
    root = system.ref("root")
    trees = [_tree(f"further-{number}", range(BRANCHES)) for number in range(FURTHER_TREES)]
    for tree in trees:
        root.ask(StartChild(tree), timeout=DEADLINE)
    all_up(system)
    watching = _watch_all(system, [child.name for tree in trees for child in tree.args["children"]])
    herald, door = system.ref("herald"), threading.Barrier(WATCHERS + 1)
    herald.ask(WatchAll(tuple(system.ref(tree.name) for tree in trees)), timeout=DEADLINE)
    ended = herald.ask(TellDowns(len(trees), threading.Barrier(1)), timeout=DEADLINE, block=False)
    told = [watcher.ask(TellDowns(FURTHER, door), timeout=DEADLINE, block=False) for watcher in _watchers(system)]
    door.wait(DEADLINE)
    started = time.perf_counter()
    for tree in trees:
        root.tell(StopChild(tree.name))
    ended.get(timeout=DEADLINE)
    door.wait(DEADLINE)
    pykka.get_all(told, timeout=DEADLINE)
    return watching / (WATCHERS * FURTHER) * 1e6, (time.perf_counter() - started) / (WATCHERS * FURTHER) * 1e6


def _watch_all(system: System, names: list[str]) -> float:
    """All watchers watch all names; seconds that this took them."""
    order = WatchAll(tuple(system.ref(name) for name in names))
    return sum(float(watcher.ask(order, timeout=DEADLINE)) for watcher in _watchers(system))


def _watchers(system: System) -> list[Ref]:
    return [system.ref(f"watcher-{number}") for number in range(WATCHERS)]


# --- timers ----------------------------------------------------------------------------------------------------------


def _timers(waiting: int, made: int) -> tuple[float, float]:
    """Microseconds for a timer that is cancelled, and for one that fires at once, while so many wait."""
    with node(Child("alarms", Alarms)) as system:
        alarms = system.ref("alarms")
        alarms.ask(Fill(waiting), timeout=DEADLINE)
        took = []
        for work in (Cancel(made), Fire(made)):
            gc.collect()  # or the collector would look through all that wait in the middle, at one size only
            started = time.perf_counter()
            alarms.ask(work, timeout=DEADLINE)
            took.append((time.perf_counter() - started) / made * 1e6)
    return took[0], took[1]
