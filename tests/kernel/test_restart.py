"""The restart law, as a law: what holds for every history of crashes."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tucano.actors.kernel.restart import GiveUp, History, Law, Restart, crashed

LAWS = st.builds(
    Law,
    intensity=st.integers(0, 8),
    period=st.floats(0.1, 100),
    first=st.floats(0, 5),
    base=st.floats(0.001, 5),
    factor=st.floats(1, 10),
    ceiling=st.floats(0, 60),
    jitter=st.floats(0, 0.99),
)
PAUSES = st.lists(st.floats(0, 60), max_size=40)
CHANCE = st.floats(0, 1, exclude_max=True)


def middle() -> float:
    return 0.5


def delays(law: Law, crashes: int) -> list[float]:
    """The delays of `crashes` crashes that all fall into one period, without luck."""
    history, found = History(), []
    for now in range(crashes):
        verdict = crashed(law, history, now * law.period / 1e6, middle)
        assert isinstance(verdict, Restart)
        history = verdict.history
        found.append(verdict.after)
    return found


@given(LAWS, PAUSES, CHANCE)
def test_no_period_holds_more_restarts_than_the_intensity(law: Law, pauses: list[float], luck: float) -> None:
    history, restarts = History(), []
    for now in itertools.accumulate(pauses):
        verdict = crashed(law, history, now, lambda: luck)
        if isinstance(verdict, Restart):
            restarts.append(now)
            history = verdict.history
        # else: the owner insists and asks again with the old history; the law still holds
    for begin in restarts:
        assert sum(1 for moment in restarts if begin <= moment and moment - begin <= law.period) <= law.intensity


@given(LAWS, PAUSES)
def test_it_gives_up_only_when_more_than_intensity_crashes_fell_into_the_period(law: Law, pauses: list[float]) -> None:
    history, moments = History(), []
    for now in itertools.accumulate(pauses):
        moments.append(now)
        recent = [moment for moment in moments if now - moment <= law.period]
        match crashed(law, history, now, middle):
            case GiveUp(crashes, within):
                assert crashes == len(recent) == law.intensity + 1
                assert within == now - recent[0] <= law.period
                return
            case Restart(_, history):
                assert history.crashes == tuple(recent)
                assert len(recent) <= law.intensity


@given(LAWS, st.integers(1, 8), CHANCE)
def test_a_delay_stays_within_its_jitter_and_under_the_ceiling(law: Law, crashes: int, luck: float) -> None:
    history = History((0.0,) * (crashes - 1))
    verdict = crashed(law, history, 0.0, lambda: luck)
    if crashes > law.intensity:
        assert isinstance(verdict, GiveUp)
        return
    assert isinstance(verdict, Restart)
    plain = law.first if crashes == 1 else law.base * law.factor ** (crashes - 2)
    low = min(plain, law.ceiling / (1 + law.jitter)) * (1 - law.jitter)
    assert low - 1e-9 <= verdict.after <= min(law.ceiling, plain * (1 + law.jitter)) + 1e-9
    assert verdict.after <= law.ceiling


def test_the_first_restart_is_at_once_and_then_each_delay_doubles_up_to_the_ceiling() -> None:
    law = Law(intensity=8, ceiling=1.1, jitter=0.1)
    assert delays(law, 7) == pytest.approx([0.0, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


def test_jitter_spreads_both_ways_even_at_the_ceiling() -> None:
    law = Law(intensity=100, ceiling=30.0, jitter=0.1)
    history = History((0.0,) * 50)
    low = crashed(law, history, 0.0, lambda: 0.0)
    high = crashed(law, history, 0.0, lambda: 1.0)
    assert isinstance(low, Restart)
    assert isinstance(high, Restart)
    assert high.after == pytest.approx(30.0)
    assert low.after == pytest.approx(30.0 * 0.9 / 1.1)


@given(LAWS.filter(lambda law: law.intensity > 0), PAUSES, st.floats(0.1, 100))
def test_calm_for_longer_than_the_period_resets_everything(law: Law, pauses: list[float], calm: float) -> None:
    history, now = History(), 0.0
    for now in itertools.accumulate(pauses):
        verdict = crashed(law, history, now, middle)
        if isinstance(verdict, Restart):
            history = verdict.history
    later = now + law.period + calm
    assert crashed(law, history, later, middle) == crashed(law, History(), later, middle)


def test_a_crash_exactly_one_period_old_still_counts_and_a_moment_later_no_more() -> None:
    law = Law(intensity=1, period=10.0)
    assert crashed(law, History((0.0,)), 10.0, middle) == GiveUp(2, 10.0)
    assert crashed(law, History((0.0,)), 10.001, middle) == Restart(0.0, History((10.001,)))


def test_an_intensity_of_zero_allows_no_restart() -> None:
    assert crashed(Law(intensity=0), History(), 7.0, middle) == GiveUp(1, 0.0)


def test_thousands_of_crashes_do_not_overflow_the_delay() -> None:
    law = Law(intensity=10_000, ceiling=30.0, jitter=0.0)
    assert crashed(law, History((0.0,) * 5_000), 0.0, middle)[0] == 30.0


def test_chance_is_not_asked_when_there_is_nothing_to_spread() -> None:
    def forbidden() -> float:
        raise AssertionError("asked")

    assert crashed(Law(), History(), 1.0, forbidden) == Restart(0.0, History((1.0,)))
    assert crashed(Law(jitter=0.0), History((1.0,)), 1.0, forbidden) == Restart(0.1, History((1.0, 1.0)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("intensity", -1), ("period", 0.0), ("period", math.nan), ("first", -0.1), ("base", 0.0), ("base", math.inf),
        ("factor", 0.5), ("ceiling", -1.0), ("ceiling", math.inf), ("jitter", 1.0), ("jitter", -0.1),
    ],
)  # fmt: skip
def test_a_law_without_meaning_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"cannot have {field}="):
        Law(**{field: value})  # type: ignore[arg-type]
