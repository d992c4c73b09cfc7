"""The failure detector, over made-up time."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tucano.transport.detector import Detector

GAPS = st.lists(st.floats(0, 30), min_size=1, max_size=100)


def beating(every: float, times: int = 100, **settings: Any) -> tuple[Detector, float]:
    """A detector that heard a regular beat, and the moment of the last one."""
    detector = Detector(**settings)
    for beat in range(times):
        detector.heard(beat * every)
    return detector, (times - 1) * every


@given(GAPS, st.floats(0, 100))
def test_silence_below_the_floor_is_borne_and_above_the_ceiling_never(gaps: list[float], silence: float) -> None:
    detector, now = Detector(floor=2.0, ceiling=10.0), 0.0
    for now in itertools.accumulate(gaps):
        detector.heard(now)
    assert 2.0 <= detector.limit <= 10.0
    if silence < 1.999:
        assert not detector.overdue(now + silence)
    if silence > 10.001:
        assert detector.overdue(now + silence)


@given(GAPS, st.floats(0, 50), st.floats(0, 50))
def test_who_is_overdue_stays_overdue_until_heard(gaps: list[float], silence: float, longer: float) -> None:
    detector, now = Detector(), 0.0
    for now in itertools.accumulate(gaps):
        detector.heard(now)
    if detector.overdue(now + silence):
        assert detector.overdue(now + silence + longer)
    detector.heard(now + silence + longer)
    assert not detector.overdue(now + silence + longer)


@given(st.floats(0.01, 3.0), st.floats(0, 0.3), st.lists(st.floats(-1, 1), min_size=20, max_size=60))
def test_a_steady_beat_with_jitter_is_never_suspected(every: float, jitter: float, luck: list[float]) -> None:
    detector, now = Detector(), 0.0
    detector.heard(now)
    for step in luck:
        now += every * (1 + jitter * step)
        assert not detector.overdue(now)
        detector.heard(now)


@pytest.mark.parametrize("every", [0.1, 0.5, 1.0, 2.0, 3.0])
def test_two_beats_in_a_row_may_be_lost(every: float) -> None:
    detector, now = beating(every)
    assert not detector.overdue(now + 2.99 * every)


def test_a_fast_regular_beat_is_missed_after_the_floor() -> None:
    detector, now = beating(0.5)
    assert not detector.overdue(now + 2.0)
    assert detector.overdue(now + 2.01)


def test_an_irregular_beat_is_given_more_time_than_a_regular_one_of_the_same_mean() -> None:
    regular, _ = beating(1.0)
    irregular, now = Detector(), 0.0
    for beat in range(100):
        now += 0.5 if beat % 2 else 1.5
        irregular.heard(now)
    assert irregular.limit == pytest.approx(3.0 + 5.6 * 0.5, rel=0.01)
    assert irregular.limit > regular.limit


@given(st.floats(0.01, 1.0), st.floats(2.0, 9.9))
def test_a_beat_that_slows_for_good_is_learned(before: float, after: float) -> None:
    detector, now = beating(before, window=16)
    for _ in range(16):
        now += after
        detector.heard(now)
    assert not detector.overdue(now + after)


def test_an_outage_is_forgotten_with_the_window() -> None:
    detector, now = beating(0.5, window=16)
    now += 3600
    assert detector.overdue(now)
    detector.heard(now)
    assert detector.limit <= 10.0
    for _ in range(16):
        now += 0.5
        detector.heard(now)
    assert detector.limit == 2.0


def test_forgiveness_restarts_the_wait_and_teaches_nothing() -> None:
    detector, now = beating(0.5)
    learned = detector.limit
    asleep = now + 600
    assert detector.overdue(asleep)
    detector.forgive(asleep)
    assert not detector.overdue(asleep)
    assert detector.silent_for(asleep + 1.5) == 1.5
    assert not detector.overdue(asleep + 2.0)
    assert detector.overdue(asleep + 2.01)
    detector.heard(asleep + 1.0)
    detector.heard(asleep + 1.5)
    assert detector.limit == learned


def test_nobody_is_overdue_before_a_wait_has_begun() -> None:
    detector = Detector()
    assert detector.silent_for(1e9) == 0.0
    assert not detector.overdue(1e9)


def test_a_node_that_never_spoke_is_overdue_once_the_wait_was_begun() -> None:
    detector = Detector(floor=2.0, ceiling=10.0)
    detector.forgive(100.0)
    assert not detector.overdue(110.0)
    assert detector.overdue(110.1)


def test_before_its_rhythm_is_known_a_node_is_given_the_ceiling_and_then_what_it_needs() -> None:
    detector = Detector(floor=2.0, ceiling=10.0)
    detector.heard(0.0)
    assert detector.limit == 10.0
    detector.heard(0.5)
    assert detector.limit == 2.0


def test_beats_that_queued_up_while_we_slept_do_not_make_it_impatient() -> None:
    detector, now = beating(0.5)
    for _ in range(1000):
        detector.heard(now)
    assert not detector.overdue(now + 2.0)


def test_a_clock_that_steps_back_is_taken_as_no_time() -> None:
    detector = Detector()
    detector.heard(100.0)
    detector.heard(99.0)
    assert detector.silent_for(98.0) == 0.0
    assert not detector.overdue(98.0)


@pytest.mark.parametrize(
    "settings",
    [
        {"floor": 0.0}, {"floor": 20.0}, {"floor": math.nan}, {"ceiling": math.inf}, {"factor": 1.0}, {"window": 0},
        {"deviations": -1.0},
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no such detector"):
        Detector(**settings)
