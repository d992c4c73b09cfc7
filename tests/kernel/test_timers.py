"""The thread that keeps time for all actors of a node."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator

import pytest

from tests.helpers import eventually
from tucano.actors.kernel.clock import SystemClock
from tucano.actors.kernel.timers import Beat, ThreadTimers


@pytest.fixture
def timers() -> Iterator[ThreadTimers]:
    made = ThreadTimers(SystemClock())
    yield made
    made.close()


def test_timers_go_off_in_the_order_in_which_they_are_due(timers: ThreadTimers) -> None:
    fired: queue.Queue[int] = queue.Queue()
    for delay in (4, 2, 3, 1, 0, -1):
        timers.after(delay / 50, lambda delay=delay: fired.put(delay))  # type: ignore[misc]
    got = [fired.get(timeout=20.0) for _ in range(6)]
    assert sorted(got[:2]) == [-1, 0]
    assert got[2:] == [1, 2, 3, 4]


def test_timers_that_are_due_at_one_moment_go_off_in_the_order_in_which_they_were_made() -> None:
    class Still:
        moment = 0.0

        def now(self) -> float:
            return self.moment

        wall = now

    clock = Still()
    timers, fired = ThreadTimers(clock), []
    for number in range(100):
        timers.after(1.0, lambda number=number: fired.append(number))  # type: ignore[misc]
    clock.moment = 1.0
    timers.after(0.0, lambda: None)
    eventually(lambda: len(fired) == 100)
    assert fired == list(range(100))
    timers.close()


def test_a_sooner_timer_is_not_kept_waiting_by_a_later_one(timers: ThreadTimers) -> None:
    done = threading.Event()
    timers.after(3600.0, lambda: None)
    timers.after(0.0, done.set)
    assert done.wait(20.0)


def test_a_timer_that_fails_is_logged_and_harms_no_other(
    timers: ThreadTimers, caplog: pytest.LogCaptureFixture
) -> None:
    done = threading.Event()
    caplog.set_level(logging.ERROR)

    def fail() -> None:
        raise ValueError("as told")

    timers.after(0.0, fail)
    timers.after(0.001, done.set)
    assert done.wait(20.0)
    assert "ValueError: as told" in caplog.text


def test_timers_that_were_cancelled_do_not_pile_up(timers: ThreadTimers) -> None:
    kept = [timers.after(3600.0, lambda: None) for _ in range(100)]
    for _ in range(100_000):
        timers.after(60.0, lambda: None).cancel()
    assert timers.pending() <= 100 + 1000 + 2
    assert all(timer.fire is not None for timer in kept)


def test_a_cancelled_timer_does_not_go_off(timers: ThreadTimers) -> None:
    fired: list[str] = []
    done = threading.Event()
    timers.after(0.01, lambda: fired.append("cancelled")).cancel()
    timers.after(0.02, done.set)
    assert done.wait(20.0)
    assert fired == []


def test_many_threads_set_timers_at_once(timers: ThreadTimers) -> None:
    fired: queue.SimpleQueue[int] = queue.SimpleQueue()

    def set_many() -> None:
        for number in range(1000):
            timers.after(number % 7 / 1000, lambda: fired.put(1))

    threads = [threading.Thread(target=set_many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: fired.qsize() == 8000)
    eventually(lambda: timers.pending() == 0)


def test_nothing_goes_off_once_it_is_closed() -> None:
    timers, fired = ThreadTimers(SystemClock()), []
    timers.after(0.01, lambda: fired.append(1))
    timers.close()
    timers.close()
    timers.after(0.0, lambda: fired.append(2))
    assert fired == []


def test_a_timer_may_close_them() -> None:
    timers, done = ThreadTimers(SystemClock()), threading.Event()

    def close() -> None:
        timers.close()
        done.set()

    timers.after(0.0, close)
    assert done.wait(20.0)
    timers.close()


def test_a_beat_that_is_cancelled_by_itself_is_over(timers: ThreadTimers) -> None:
    beats: list[Beat] = []

    def beat(asker: Beat) -> None:
        beats.append(asker)
        asker.answer(None)
        if len(beats) == 3:
            asker.cancel()

    Beat(SystemClock(), timers, 0.001, beat)
    eventually(lambda: len(beats) == 3)
    eventually(lambda: timers.pending() == 0)
    assert len(beats) == 3
