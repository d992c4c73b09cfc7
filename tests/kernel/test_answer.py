"""The future of an ask: what Pykka's futures can, from any thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pykka
import pytest

from tests.helpers import eventually
from tucano.actors.kernel import Refused, System, Threads, TimedOut
from tucano.actors.kernel.answer import Answer


@pytest.fixture
def runtime() -> Iterator[Threads]:
    made = Threads()
    yield made
    made.close()


@pytest.fixture
def answer(runtime: Threads) -> Answer:
    return Answer(None, 20.0, runtime)


def later(answer: Answer, value: Any) -> None:
    """Answer from another thread, when somebody waits."""

    def give() -> None:
        eventually(lambda: answer._waiting)
        answer.answer(value)

    threading.Thread(target=give).start()


def test_an_answer_that_is_there_is_read_at_once(answer: Answer) -> None:
    answer.answer(3)
    assert answer.get() == answer.get(timeout=0.0) == 3


def test_an_answer_that_comes_wakes_who_waits(answer: Answer) -> None:
    later(answer, 3)
    assert answer.get() == 3


def test_all_who_wait_get_the_answer(answer: Answer) -> None:
    got: list[Any] = []
    getters = [threading.Thread(target=lambda: got.append(answer.get())) for _ in range(8)]
    for getter in getters:
        getter.start()
    answer.answer("for all")
    for getter in getters:
        getter.join()
    assert got == ["for all"] * 8


def test_what_comes_after_the_first_answer_is_ignored(answer: Answer) -> None:
    answer.answer(None)
    answer.answer(2)
    answer.refuse(Refused("no", "too late"))
    answer.set(3)
    answer.set_exception((ValueError, ValueError("too late"), None))
    assert answer.get() is None


def test_of_many_who_answer_one_is_believed_by_all(runtime: Threads) -> None:
    for _ in range(200):
        answer = Answer(None, 20.0, runtime)
        got: list[Any] = []
        threads = [threading.Thread(target=answer.answer, args=(number,)) for number in range(4)]
        threads += [threading.Thread(target=lambda answer=answer, got=got: got.append(answer.get())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(got)) == 1
        assert answer.get() == got[0]


def test_a_refusal_is_raised_to_each_who_reads(answer: Answer) -> None:
    answer.refuse(Refused("no", "because"))
    for _ in range(2):
        with pytest.raises(Refused, match="because"):
            answer.get()


def test_who_waits_too_long_gets_the_timeout_and_so_does_everybody_after(runtime: Threads) -> None:
    answer = Answer(None, 0.001, runtime)
    with pytest.raises(TimedOut):
        answer.get()
    answer.answer("too late")
    with pytest.raises(TimedOut, match=r"an answer gave no answer in 0\.001 s"):
        answer.get()


def test_a_shorter_wait_leaves_the_answer_open(answer: Answer) -> None:
    with pytest.raises(pykka.Timeout) as silence:
        answer.get(timeout=0.001)
    assert not isinstance(silence.value, TimedOut)
    answer.answer("in time")
    assert answer.get() == "in time"


def test_an_answer_that_comes_in_the_very_moment_of_the_timeout_is_whole(runtime: Threads) -> None:
    entered, gate = threading.Event(), threading.Event()

    class Slow(Answer):
        def __setattr__(self, name: str, value: Any) -> None:
            if name == "_value":
                entered.set()
                gate.wait(20.0)
            super().__setattr__(name, value)

    answer = Slow(None, 0.001, runtime)
    got: list[Any] = []
    answering = threading.Thread(target=answer.answer, args=("whole",))
    getting = threading.Thread(target=lambda: got.append(answer.get()))
    answering.start()
    assert entered.wait(20.0)
    getting.start()
    runtime.timers.after(0.02, gate.set)
    answering.join()
    getting.join()
    assert got == ["whole"]


def test_it_maps_filters_joins_and_reduces_as_pykkas_do(runtime: Threads) -> None:
    numbers, more = Answer(None, 20.0, runtime), Answer(None, 20.0, runtime)
    doubled = numbers.map(lambda found: [2 * number for number in found])
    odd = numbers.filter(lambda number: number % 2 == 1)
    both = numbers.join(more)
    total = numbers.reduce(lambda one, other: one + other)
    numbers.answer([1, 2, 3])
    more.answer("more")
    assert doubled.get() == [2, 4, 6]
    assert odd.get() == [1, 3]
    assert both.get() == [[1, 2, 3], "more"]
    assert total.get() == 6
    assert pykka.get_all([numbers, more]) == [[1, 2, 3], "more"]


def test_it_can_be_awaited(answer: Answer) -> None:
    async def wait() -> Any:
        return await answer

    later(answer, 5)
    assert asyncio.run(wait()) == 5


def test_it_is_a_pykka_future_that_pykka_may_set() -> None:
    made = Answer()
    with pytest.raises(pykka.Timeout):
        made.get(timeout=0.0)
    made.set(1)
    assert made.get() == 1
    failed = Answer()
    try:
        raise ValueError("as told")
    except ValueError:
        failed.set_exception()
    with pytest.raises(ValueError, match="as told"):
        failed.get()


def test_an_ask_gives_such_a_future() -> None:
    system = System("here")
    system.run([])
    try:
        assert isinstance(system.ref("root").ask(1, timeout=1.0, block=False), Answer)
    finally:
        assert system.stop()
