"""Shares, hashing and slow start, by lots that are fixed."""

from __future__ import annotations

import random
from collections import Counter
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tucano.actors.messages.model import Balance
from tucano.actors.proxy.pick import Rota
from tucano.actors.proxy.policies import Candidate

POLICIES = ["two_choices", "round_robin", "least_latency"]
WEIGHTS = st.lists(st.integers(1, 9), min_size=1, max_size=6)


def members(weights: list[float], latency: float = 0.0) -> list[Candidate]:
    made = [Candidate(f"hello-{number}") for number in range(len(weights))]
    for one, weight in zip(made, weights, strict=True):
        one.weight = weight
        one.latency = latency
    return made


def rota(those: list[Candidate], policy: str = "two_choices", seed: int = 7, **options: object) -> Rota[Candidate]:
    made: Rota[Candidate] = Rota(random.Random(seed), Balance(policy, **options))  # type: ignore[arg-type]
    made.replace(those)
    return made


def shares(one: Rota[Candidate], count: int, now: float = 0.0) -> dict[Candidate | None, float]:
    """What each gets of `count` requests, one after the other."""
    return {chosen: times / count for chosen, times in Counter(one.pick(now) for _ in range(count)).items()}


@pytest.mark.parametrize("policy", POLICIES)
@settings(deadline=None, max_examples=30)
@given(weights=WEIGHTS, seed=st.integers(0, 1000))
def test_shares_are_as_the_weights(policy: str, weights: list[float], seed: int) -> None:
    those = members(weights, latency=0.1)
    found = shares(rota(those, policy, seed), 3000)
    for one in those:
        assert found.get(one, 0.0) == pytest.approx(one.weight / sum(weights), abs=0.05)


@pytest.mark.parametrize("policy", [*POLICIES, "hash"])
def test_who_has_no_weight_gets_nothing_even_as_the_last(policy: str) -> None:
    none, some = members([0, 1])
    one = rota([none, some], policy)
    assert set(shares(one, 100)) == {some}
    assert one.pick(0, tried=(some,)) is None
    assert rota([none], policy).pick(0) is None


@settings(deadline=None, max_examples=30)
@given(WEIGHTS, st.integers(0, 1000))
def test_open_requests_are_level_by_weight(weights: list[float], seed: int) -> None:
    those = members(weights)
    one = rota(those, seed=seed)
    for _ in range(2000):
        chosen = one.pick(0)
        assert chosen is not None
        chosen.open += 1
    for member in those:
        assert member.open / 2000 == pytest.approx(member.weight / sum(weights), abs=0.05)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 7))
def test_round_robin_goes_round(count: int) -> None:
    those = members([1.0] * count)
    one = rota(those, "round_robin")
    first = [one.pick(0) for _ in range(count)]
    assert set(first) == set(those)
    assert [one.pick(0) for _ in range(count)] == first


def test_the_faster_one_is_preferred_until_it_has_more_to_do() -> None:
    slow, fast = members([1, 1])
    slow.answered(0.4, now=0.0)
    fast.answered(0.1, now=0.0)
    one = rota([slow, fast], "least_latency")
    assert {one.pick(0) for _ in range(50)} == {fast}
    fast.open = 5
    assert {one.pick(0) for _ in range(50)} == {slow}


def test_who_is_not_known_yet_gets_one_request_to_show_itself() -> None:
    known, new = members([1, 1])
    known.answered(0.1, now=0.0)
    one = rota([known, new], "least_latency")
    assert one.pick(0) is new
    new.open = 1
    assert {one.pick(0) for _ in range(50)} == {known}


def test_what_is_slower_is_believed_at_once_and_what_is_faster_slowly_and_all_fades() -> None:
    slow, fast = members([1, 1])
    slow.answered(0.1, now=0.0)
    slow.answered(2.0, now=1.0)
    assert slow.latency == 2.0
    slow.answered(0.1, now=2.0)
    assert 1.5 < slow.latency < 2.0
    one = rota([slow, fast], "least_latency")
    for second in range(100):
        fast.answered(0.1, now=float(second))
    assert one.pick(100.0) is slow


def keyed(one: Rota[Candidate], count: int = 2000) -> list[Candidate | None]:
    return [one.pick(0, key=b"user %d" % number) for number in range(count)]


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 12))
def test_when_one_goes_only_its_keys_move(count: int) -> None:
    those = members([1.0] * count)
    one = rota(those, "hash")
    before = keyed(one)
    one.replace(those[1:])
    after = keyed(one)
    assert all(then is now for then, now in zip(before, after, strict=True) if then is not those[0])
    one.replace(those)
    assert keyed(one) == before


@pytest.mark.parametrize("count", range(1, 13))
def test_one_that_comes_takes_its_share_of_keys_and_nothing_else_moves(count: int) -> None:
    those = members([1.0] * (count + 1))
    one = rota(those[1:], "hash")
    before = keyed(one)
    one.replace(those)
    after = keyed(one)
    moved = [now for then, now in zip(before, after, strict=True) if then is not now]
    assert set(moved) == {those[0]}
    assert 0.5 / (count + 1) < len(moved) / len(before) < 1.6 / (count + 1)


@pytest.mark.parametrize("weights", [[1, 1, 1], [1, 2, 3], [5, 1, 1, 1], [1] * 12])
def test_keys_are_spread_as_the_weights(weights: list[float]) -> None:
    those = members(weights)
    found = Counter(keyed(rota(those, "hash")))
    for one in those:
        fair = one.weight / sum(weights)
        assert found[one] / 2000 == pytest.approx(fair, rel=0.6, abs=0.03)


def test_all_balancers_send_a_key_to_the_same_one() -> None:
    there, here = members([1.0] * 5), members([1.0] * 5)
    chosen = [(one, other) for one, other in zip(keyed(rota(there, "hash")), keyed(rota(here, "hash", 8)), strict=True)]
    assert all(one is not None and other is not None and one.identity == other.identity for one, other in chosen)


def test_a_key_whose_instance_cannot_be_chosen_goes_elsewhere_and_comes_back() -> None:
    those = members([1.0] * 3)
    one = rota(those, "hash")
    home = one.pick(0, key=b"x")
    assert home is not None
    assert one.pick(0, (home,), b"x") not in (home, None)
    one.avoid(home, until=5.0)
    assert one.pick(4.0, key=b"x") is not home
    assert one.pick(5.0, key=b"x") is home


def test_without_a_key_hashing_is_by_lot() -> None:
    those = members([1.0] * 3)
    assert set(shares(rota(those, "hash"), 300)) == set(those)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_share_of_one_that_joins_others_grows_from_a_tenth_to_the_whole(policy: str) -> None:
    old, new = members([1, 1], latency=0.1)
    one = rota([old], policy, slow_start=100.0)
    one.replace([old, new], now=50.0)
    found = []
    for now in (50.0, 75.0, 100.0, 125.0, 150.0):
        found.append(shares(one, 3000, now)[new])
        growing = min(1.0, 0.1 + 0.9 * (now - 50) / 100)
        assert found[-1] == pytest.approx(growing / (1 + growing), abs=0.07)
    assert found == sorted(found)


def test_who_comes_into_an_empty_set_is_not_started_slowly() -> None:
    those = members([1, 1])
    one = rota([], slow_start=100.0)
    one.replace(those, now=1.0)
    assert {member.stride for member in those} == {1.0}


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 5), st.integers(1, 4), st.lists(st.integers(0, 9), max_size=60))
def test_nobody_is_chosen_beyond_its_cap(count: int, cap: int, steps: list[int]) -> None:
    those = members([1.0] * count)
    one = rota(those, max_in_flight=cap)
    opened: list[Candidate] = []
    for step in steps:
        if step < 7:
            chosen = one.pick(0)
            assert (chosen is None) == (len(opened) == cap * count) == one.crowded(()) * (not one.has_room(0))
            if chosen is not None:
                chosen.open += 1
                opened.append(chosen)
        elif opened:
            opened.pop(step % len(opened)).open -= 1
        assert all(member.open <= cap for member in those)


def test_without_a_cap_there_is_always_room() -> None:
    (only,) = members([1])
    only.open = 10_000
    one = rota([only])
    assert one.has_room(inf)
    assert one.pick(0) is only
    assert not one.crowded(())
