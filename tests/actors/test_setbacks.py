"""How fast what fails again and again is replaced."""

from __future__ import annotations

from tests.actors.builders import worker
from tucano.actors.pure.setbacks import LAW, REFUSING, Setbacks


def half() -> float:
    return 0.5


def test_each_failure_holds_the_next_instance_longer_up_to_a_minute() -> None:
    setbacks, now, waits = Setbacks(), 0.0, []
    for _ in range(12):
        setbacks.note("db", "worker-1", now, half)
        waits.append(next(wait for wait in range(1000) if not setbacks.hold("db", now + wait)))
        now += waits[-1]
    assert waits[0] <= 1
    assert waits == sorted(waits)
    assert waits[-1] <= LAW.ceiling


def test_who_wants_something_new_need_not_wait_and_the_place_is_remembered() -> None:
    setbacks = Setbacks()
    for now in (0.0, 1.0, 2.0):
        setbacks.note("db", "worker-1", now, half)
    assert setbacks.hold("db", 2.0)
    assert not setbacks.hold("other", 2.0)
    setbacks.pardon("db")
    assert not setbacks.hold("db", 2.0)
    assert setbacks.avoid("db") == {"worker-1"}
    setbacks.forget("db")
    assert setbacks.avoid("db") == frozenset()


def test_a_worker_that_refuses_is_asked_again_after_a_while() -> None:
    setbacks, workers = Setbacks(), [worker("w1"), worker("w2")]
    setbacks.refuse("w1", 10.0)
    assert [one.name for one in setbacks.willing(workers, 10.0)] == ["w2"]
    assert [one.name for one in setbacks.willing(workers, 9.9 + REFUSING)] == ["w2"]
    assert setbacks.willing(workers, 10.0 + REFUSING) == workers
