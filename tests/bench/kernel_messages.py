"""Messages between actors of one process, against stock Pykka: the same message, the same trivial receiver.

Tells are counted at the receiver: the clock stops when the last one has been handled. Both sides take turns in one
process. What Pykka has no counterpart for is measured on its own.
"""

from __future__ import annotations

import queue
import threading
import time
from functools import partial
from typing import Any

import pykka

from tests.bench.kit import node, quiet, turn_by_turn
from tests.bench.table import Row, lone
from tests.helpers import eventually
from tucano.actors.kernel import Actor, Child, Message, Ref, StopChild

ROUNDS = 7
MESSAGES = 100_000
WAITING = 10_000
IN_FLIGHT = 100
DEADLINE = 60.0
TIMEOUT = 5.0
"""Seconds, of the asks that are measured: a usual one, for what an ask costs may depend on it."""

AnyRef = Ref | pykka.ActorRef[Any]


class Say(Message, frozen=True):
    number: int


class Burst(Message, frozen=True):
    to: Ref
    count: int


SAY = Say(7)


class Counter(Actor):
    """Ours."""

    Inbox = Say

    def __init__(self) -> None:
        super().__init__()
        self.handled = 0

    def receive(self, message: Say) -> int:
        self.handled += 1
        return self.handled


class PykkaCounter(pykka.ThreadingActor):
    """Theirs."""

    use_daemon_thread = True

    def __init__(self) -> None:
        super().__init__()
        self.handled = 0

    def on_receive(self, message: Say) -> int:
        self.handled += 1
        return self.handled


class Teller(Actor):
    """Tells another actor as often as it is asked to."""

    Inbox = Burst

    def receive(self, message: Burst) -> None:
        for _ in range(message.count):
            message.to.tell(SAY)


class Held(Actor):
    """Stays at its first message until the gate opens; says when it stops, and how many it has handled by then."""

    Inbox = Say

    def __init__(self, entered: threading.Event, gate: threading.Event, stops: queue.SimpleQueue[Any]) -> None:
        super().__init__()
        self.entered = entered
        self.gate = gate
        self.stops = stops
        self.handled = 0

    def receive(self, message: Say) -> None:
        self.entered.set()
        self.gate.wait(DEADLINE)
        self.handled += 1

    def on_stop(self) -> None:
        self.stops.put((time.perf_counter(), self.handled))


def run(rounds: int = ROUNDS, messages: int = MESSAGES) -> list[Row]:
    """Measure; medians of interleaved rounds.

    Args:
        rounds: that count, after one that does not.
        messages: tells in a round; asks in flight are a fifth, asks one at a time a twentieth of them.

    """
    theirs = PykkaCounter.start()
    try:
        with node(Child("counter", Counter, mailbox=messages + 1), Child("teller", Teller)) as system:
            ours, teller = system.ref("counter"), system.ref("teller")
            found = {
                what: turn_by_turn(
                    {"ours": partial(measure, ours, count), "theirs": partial(measure, theirs, count)}, rounds
                )
                for what, (measure, count) in {
                    "tells": (_tells, messages),
                    "in flight": (_asks_in_flight, messages // 5),
                    "one": (_asks, messages // 20),
                }.items()
            }
            between = turn_by_turn({"ours": partial(_tells_between, teller, ours, messages)}, rounds)["ours"]
    finally:
        theirs.stop()
    overtaking = turn_by_turn({"ours": partial(_stop_behind, min(messages, WAITING))}, rounds)["ours"]

    def row(what: str, target: float, unit: str) -> Row:
        ours, theirs = found[what]["ours"][0], found[what]["theirs"][0]
        return Row(NAMES[what], ours, "stock Pykka", theirs, target, "higher", unit)

    return [
        row("tells", 5.0, "tells/s"),
        row("in flight", 3.0, "asks/s"),
        row("one", 1.2, "asks/s"),
        lone("tells from actor to actor", between[0], "tells/s"),
        lone(f"a stop behind {min(messages, WAITING):,} messages", overtaking[0], "us"),
        lone("messages handled before that stop", overtaking[1], "messages"),
    ]


NAMES = {"tells": "tells", "in flight": f"asks, {IN_FLIGHT} in flight", "one": "asks, one at a time"}


def _tells(ref: AnyRef, count: int) -> tuple[float]:
    before: int = ref.ask(SAY, block=True, timeout=DEADLINE)
    started = time.perf_counter()
    for _ in range(count):
        ref.tell(SAY)
    handled: int = ref.ask(SAY, block=True, timeout=DEADLINE)
    took = time.perf_counter() - started
    _check(handled - before, count + 1)
    return (count / took,)


def _asks_in_flight(ref: AnyRef, count: int) -> tuple[float]:
    started = time.perf_counter()
    for _ in range(count // IN_FLIGHT):
        futures = [ref.ask(SAY, block=False, timeout=TIMEOUT) for _ in range(IN_FLIGHT)]
        for future in futures:
            future.get(timeout=TIMEOUT)
    return (count // IN_FLIGHT * IN_FLIGHT / (time.perf_counter() - started),)


def _asks(ref: AnyRef, count: int) -> tuple[float]:
    started = time.perf_counter()
    for _ in range(count):
        ref.ask(SAY, timeout=TIMEOUT)
    return (count / (time.perf_counter() - started),)


def _tells_between(teller: Ref, counter: Ref, count: int) -> tuple[float]:
    before = counter.ask(SAY, timeout=DEADLINE)
    started = time.perf_counter()
    teller.ask(Burst(counter, count), timeout=DEADLINE)
    handled = counter.ask(SAY, timeout=DEADLINE) - before
    took = time.perf_counter() - started
    _check(handled, count + 1)
    return (count / took,)


def _stop_behind(waiting: int) -> tuple[float, float]:
    """Microseconds until an actor stops that was told so behind `waiting` messages, and how many it handled first."""
    entered, gate = threading.Event(), threading.Event()
    stops: queue.SimpleQueue[tuple[float, int]] = queue.SimpleQueue()
    args = {"entered": entered, "gate": gate, "stops": stops}
    with quiet(), node(Child("held", Held, args, shutdown=DEADLINE, mailbox=waiting + 1)) as system:
        held = system.ref("held")
        for _ in range(1 + waiting):
            held.tell(SAY)
        entered.wait(DEADLINE)
        system.ref("root").tell(StopChild("held"))
        eventually(lambda: "stopping" in {info.phase for info in system.snapshot()}, "the stop is on its way")
        opened = time.perf_counter()
        gate.set()
        stopped, handled = stops.get(timeout=DEADLINE)
    return (stopped - opened) * 1e6, handled - 1


def _check(handled: int, sent: int) -> None:
    if handled != sent:
        raise RuntimeError(f"{sent} messages were sent, {handled} handled")
