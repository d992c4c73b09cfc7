from __future__ import annotations

from tucano.actors.pure import lifecycle
from tucano.actors.pure.lifecycle import Again, Failed, Life


def half() -> float:
    return 0.5


def ended(life: Life, now: float) -> Again | Failed:
    return lifecycle.ended(life, now, half)


def test_a_new_instance_may_end_twice_before_it_fails() -> None:
    first = ended(Life(), 0.0)
    assert isinstance(first, Again)
    assert (first.after, first.same_port) == (0.0, False)
    second = ended(first.life, 1000.0)
    assert isinstance(second, Again)
    assert second.after > 0
    assert ended(second.life, 2000.0) == Failed(3, 2000.0)


def test_a_proven_process_keeps_its_port_and_its_successor_must_prove_itself() -> None:
    ready = lifecycle.checked(Life(), healthy=True).life
    again = ended(ready, 0.0)
    assert isinstance(again, Again)
    assert (again.after, again.same_port) == (0.0, True)
    assert again.life.served
    once_more = ended(again.life, 0.1)
    assert isinstance(once_more, Again)
    assert not once_more.same_port


def test_ends_before_the_first_readiness_are_forgiven() -> None:
    again = ended(Life(), 0.0)
    assert isinstance(again, Again)
    assert not lifecycle.checked(again.life, healthy=True).life.crashes.crashes


def test_a_proven_instance_fails_after_more_than_five_ends_in_a_minute() -> None:
    life = lifecycle.checked(Life(), healthy=True).life
    for moment in range(5):
        again = ended(life, float(moment))
        assert isinstance(again, Again)
        life = lifecycle.checked(again.life, healthy=True).life
    assert ended(life, 5.0) == Failed(6, 5.0)
    assert isinstance(ended(life, 90.0), Again)


def test_three_failures_make_a_ready_one_unready_and_one_success_ready() -> None:
    life = lifecycle.checked(Life(), healthy=True).life
    states = []
    for healthy in (False, False, True, False, False, False, True):
        life = lifecycle.checked(life, healthy).life
        states.append(life.state)
    assert states == ["ready", "ready", "ready", "ready", "ready", "unready", "ready"]


def test_ten_failures_in_a_row_mean_that_a_proven_process_hangs() -> None:
    life = lifecycle.checked(Life(), healthy=True).life
    verdicts = []
    for _ in range(10):
        life, hung = lifecycle.checked(life, healthy=False)
        verdicts.append(hung)
    assert verdicts == [False] * 9 + [True]


def test_one_that_is_starting_only_has_a_deadline() -> None:
    life = Life()
    for _ in range(20):
        life, hung = lifecycle.checked(life, healthy=False)
        assert (life.state, hung) == ("starting", False)
