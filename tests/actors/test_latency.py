"""Histograms of times: what is lost by them is bounded, and nothing is lost by adding them up."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tucano.actors.messages.latency import EDGES, FINEST, SLOTS, Latency, quantile, since, together

TIMES = st.lists(st.floats(0, 200), max_size=60)


def histogram(times: Sequence[float]) -> Latency:
    slots = [0] * SLOTS
    for time in times:
        slots[bisect_right(EDGES, time)] += 1
    return Latency.of(slots)


def test_the_buckets_grow_from_a_fraction_of_a_millisecond_to_more_than_a_minute() -> None:
    assert list(EDGES) == sorted(set(EDGES))
    assert EDGES[0] == FINEST
    assert 90 < EDGES[-1] < 100
    assert all(upper - lower <= max(FINEST, lower / 8) * 1.000001 for lower, upper in pairwise(EDGES))


@given(TIMES, TIMES)
def test_together_is_the_histogram_of_the_union(one: list[float], other: list[float]) -> None:
    assert together([histogram(one), histogram(other)]) == histogram(one + other)
    assert together([histogram(one)]) == histogram(one)


def test_nothing_together_is_nothing() -> None:
    assert together([]) == Latency()


@given(TIMES, TIMES)
def test_what_came_since_is_the_histogram_of_what_came(before: list[float], more: list[float]) -> None:
    assert since(histogram(before), histogram(before + more)) == histogram(more)
    if more:
        assert since(histogram(before + more), histogram(before)) is None


@given(st.lists(st.floats(0.1e-3, 98), min_size=1, max_size=200), st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_within_a_sixteenth_of_the_true_one(times: list[float], share: float) -> None:
    true = sorted(times)[max(1, math.ceil(share * len(times))) - 1]
    found = quantile(histogram(times), share)
    assert found is not None
    assert abs(found - true) <= true / 16 * 1.000001


@given(TIMES)
def test_a_histogram_travels_unharmed(times: list[float]) -> None:
    sent = histogram(times)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(sent), type=Latency) == sent
    assert Latency.of(sent.slots()) == sent


def test_no_requests_have_no_quantile() -> None:
    assert quantile(Latency(), 0.5) is None


@pytest.mark.parametrize("body", [b'{"first":-1}', b'{"first":168,"counts":[1]}', b'{"counts":[-1]}'])
def test_a_histogram_with_other_buckets_is_refused_at_the_door(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=Latency)
