"""Who fails again and again is left alone, but never more than half; retries stay within their budget."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tucano.actors.messages.model import Balance
from tucano.actors.proxy.budget import SHARE, SPARE, WINDOW, Budget
from tucano.actors.proxy.ejection import Ejection
from tucano.actors.proxy.pick import Rota
from tucano.actors.proxy.policies import Candidate


def ejection(count: int, after: int = 2) -> Ejection[int]:
    made: Ejection[int] = Ejection(after)
    made.replace(range(count))
    return made


STEPS = st.lists(st.tuples(st.sampled_from(["fail", "succeed", "wait", "resize"]), st.integers(0, 8)), max_size=80)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 8), st.integers(1, 3), STEPS)
def test_never_more_than_half_and_never_the_last_are_out(count: int, after: int, steps: list[tuple[str, int]]) -> None:
    one, now = ejection(count, after), 0.0
    for what, which in steps:
        match what:
            case "fail":
                one.failed(which, now)
            case "succeed":
                one.succeeded(which)
            case "wait":
                now += which
                one.over(now)
            case _:
                count = which
                one.replace(range(count))
        assert len(one.out) <= count // 2
        assert all(member < count for member in (*one.out, *one.troubled))
        assert count == 0 or len(one.out) < count
        assert all(now < until <= now + 60 for until in one.out.values())


def test_only_failures_in_a_row_eject() -> None:
    one = ejection(2, after=3)
    for _ in range(5):
        assert not one.failed(0, 0.0)
        assert not one.failed(0, 0.0)
        one.succeeded(0)
    assert [one.failed(0, 0.0) for _ in range(4)] == [False, False, True, False]


def test_each_further_ejection_takes_twice_as_long_until_a_success_forgives() -> None:
    one, now, times = ejection(2), 0.0, []
    for _ in range(9):
        while not one.failed(0, now):
            pass
        times.append(one.out[0] - now)
        now = one.out[0]
        one.over(now)
        assert not one.out
    assert times == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    one.succeeded(0)
    assert not one.troubled
    assert not one.failed(0, now)
    assert one.failed(0, now)
    assert one.out[0] == now + 1


def test_an_old_request_that_succeeds_does_not_shorten_an_ejection() -> None:
    one = ejection(2, after=1)
    assert one.failed(0, 0.0)
    one.succeeded(0)
    assert one.out == {0: 1.0}


def test_nobody_is_ejected_where_that_is_not_wanted() -> None:
    one = ejection(4, after=0)
    assert not any(one.failed(0, 0.0) for _ in range(100))


def test_one_that_is_ejected_is_not_chosen_until_its_time_is_over_unless_all_others_were_tried() -> None:
    bad, good = Candidate("bad"), Candidate("good")
    one: Rota[Candidate] = Rota(random.Random(7), Balance(eject_after=2))
    one.replace([bad, good])
    one.failed(bad, 0.0)
    one.failed(bad, 0.0)
    assert {one.pick(0.9) for _ in range(50)} == {good}
    assert one.pick(0.9, tried=(good,)) is bad
    assert {one.pick(1.0) for _ in range(50)} == {good, bad}


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 400), st.integers(0, 200)), max_size=60))
def test_no_retry_is_granted_beyond_the_share_of_the_window(steps: list[tuple[float, int, int]]) -> None:
    budget, now, total = Budget(), 0.0, 0
    requests: list[tuple[float, int]] = []
    retries: list[float] = []
    for pause, more, wanted in steps:
        now += pause
        total += more
        requests.append((now, more))
        granted = [now for _ in range(wanted) if budget.spend(now, total)]
        retries += granted
        recent = sum(count for at, count in requests if now - WINDOW < at)
        assert not granted or sum(now - WINDOW < at for at in retries) <= SPARE + SHARE * recent


def test_what_is_spent_comes_back_and_the_share_is_granted() -> None:
    budget = Budget()
    assert sum(budget.spend(0.0, 500) for _ in range(500)) == SPARE
    assert sum(budget.spend(1.0, 1500) for _ in range(500)) == SHARE * 1000
    assert sum(budget.spend(1.0 + WINDOW, 1500) for _ in range(500)) == SPARE
