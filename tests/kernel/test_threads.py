"""What only real threads can break: wake-ups, ends that cross with messages, names that are taken twice at once."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from tests.contract.kit import FAST, PATIENCE, Add, Crash, Diary, Do, Total, Write, grove, info, part, parts, total
from tests.contract.world import RealWorld
from tests.helpers import eventually
from tucano.actors.kernel import Ref, Refused
from tucano.actors.kernel.cell import Cell
from tucano.actors.kernel.mailbox import Envelope, Mailbox

PRODUCERS = 8


@pytest.fixture(autouse=True)
def _threads_are_switched_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def together(work: Callable[[int], object], times: int = PRODUCERS) -> None:
    """Do something in several threads at once; the first exception of any is raised."""
    failed: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=run, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def test_no_message_is_slept_through(real: RealWorld) -> None:
    here = real.node(*parts("a", "b"))

    def ask_again_and_again(number: int) -> None:
        for name in "ab" * 150:
            here.ref(name).ask(Add(1), timeout=PATIENCE)

    together(ask_again_and_again)
    assert total(here.ref("a")) == total(here.ref("b")) == PRODUCERS * 150


def test_each_senders_messages_keep_their_order(real: RealWorld) -> None:
    diary: Diary = []
    here = real.node(part("a", diary, mailbox=1_000_000))
    together(lambda number: [here.ref("a").tell(Write((number, count))) for count in range(5000)])
    total(here.ref("a"))
    for sender in range(PRODUCERS):
        assert [entry[1] for entry in diary[1:] if entry[0] == sender] == list(range(5000))


def test_no_message_is_lost_or_handled_twice_in_a_storm_of_crashes(real: RealWorld) -> None:
    handled: list[tuple[int, int]] = []
    here = real.node(part("a", mailbox=1_000_000), law=FAST)

    def handle(number: int, count: int, actor: Any) -> None:
        handled.append((number, count))
        if count % 50 == 0:
            raise ValueError("as told")

    together(lambda number: [here.ref("a").tell(Do(partial(handle, number, count))) for count in range(1000)])
    assert total(here.ref("a")) == 0
    assert sorted(handled) == [(number, count) for number in range(PRODUCERS) for count in range(1000)]
    assert info(here, "a").restarts == PRODUCERS * 20


def test_an_end_that_crosses_with_asks_leaves_none_unanswered(real: RealWorld) -> None:
    here = real.node()
    for _ in range(30):
        a = here.spawn(part("a"))
        answers: list[Any] = []

        def ask(number: int, a: Ref = a, answers: list[Any] = answers) -> None:
            answers.extend(a.ask(Total(), timeout=PATIENCE, block=False) for _ in range(20))
            if number == PRODUCERS // 2:
                a.stop(block=False)

        together(ask)
        codes = set()
        for answer in answers:
            try:
                codes.add(answer.get())
            except Refused as refused:
                codes.add(refused.code)
        assert codes <= {0, "stopped", "not_found", "mailbox_full"}
        eventually(lambda a=a: not a.is_alive())  # type: ignore[misc]


def test_a_name_is_given_once_whoever_asks_at_once(real: RealWorld) -> None:
    here = real.node()
    barrier = threading.Barrier(PRODUCERS)
    won: list[Cell] = []

    def take(number: int) -> None:
        for count in range(300):
            barrier.wait(PATIENCE)
            with contextlib.suppress(Refused):
                won.append(here.cell(part(f"a{count}"), "root", lambda _: None))

    together(take)
    assert len(won) == len({cell.name for cell in won}) == 300
    for cell in won:
        here.forget(cell, "stopped")


def test_a_tree_finds_its_children_while_others_come_and_go(real: RealWorld) -> None:
    here = real.node(grove("t", *parts("a", "b")))
    done: list[int] = []

    def come(number: int) -> None:
        for count in range(2000):
            here.cell(part(f"x{number}.{count}"), "nobody", lambda _: None)
        done.append(number)

    def look(number: int) -> None:
        while len(done) < 3:
            assert [cell.name for cell in here.below("t")] == ["b", "a"]

    together(lambda number: come(number) if number else look(number), 4)
    for cell in here.below("nobody"):
        here.forget(cell, "stopped")


def test_crashes_under_load_are_counted_each(real: RealWorld) -> None:
    here = real.node(*parts("a", "b", "c"), law=FAST)

    def crash(number: int) -> None:
        for name in "abc" * 10:
            with pytest.raises(Refused):
                here.ref(name).ask(Crash(), timeout=PATIENCE)

    together(crash)
    for name in "abc":
        assert total(here.ref(name)) == 0
        assert info(here, name).restarts == PRODUCERS * 10


class Bell:
    """Counts its rings; nobody sleeps."""

    def __init__(self) -> None:
        self.rings = 0

    def put(self, item: None, /) -> None:
        self.rings += 1

    def get(self) -> None:
        raise AssertionError("nobody has rung")


def test_a_burst_costs_one_ring() -> None:
    bell = Bell()
    mailbox = Mailbox(1000, bell)
    assert not mailbox.waits()
    for _ in range(100):
        assert mailbox.put(Envelope("message"))
    mailbox.put_control("control")
    mailbox.put_note(Envelope("note"))
    assert bell.rings == 1
    assert mailbox.waits()
    mailbox.sleep()


def test_what_is_put_while_a_mailbox_closes_is_refused_too() -> None:
    refused: list[Refused] = []

    class Asking:
        def answer(self, value: Any, /) -> None:
            raise AssertionError("answered")

        def refuse(self, error: Refused, /) -> None:
            refused.append(error)

    mailbox = Mailbox(10, Bell())
    assert mailbox.put(Envelope(1, Asking()))
    assert mailbox.close() == 1
    mailbox.put_control(Envelope(2, Asking()))
    mailbox.put_note(Envelope(3, Asking(), incarnation=1))
    assert not mailbox.put(Envelope(4, Asking()))
    assert [error.code for error in refused] == ["stopped"] * 3
