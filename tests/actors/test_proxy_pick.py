"""Choosing an instance, by lots that are fixed."""

import random
from collections import Counter
from typing import Any

import pytest

from tucano.actors.messages import model
from tucano.actors.proxy.pick import Rota
from tucano.actors.proxy.policies import Candidate


def rota(*members: Candidate) -> Rota[Candidate]:
    made: Rota[Candidate] = Rota(random.Random(7))
    made.replace(members)
    return made


def test_nobody_is_chosen_from_nobody() -> None:
    assert rota().pick(0) is None


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_requests_one_after_the_other_spread_over_all(count: int) -> None:
    members = [Candidate() for _ in range(count)]
    chosen = Counter(rota(*members).pick(0) for _ in range(1)) + Counter()
    one = rota(*members)
    chosen = Counter(one.pick(0) for _ in range(1000))
    assert min(chosen[member] for member in members) > 1000 / count * 0.7


def test_of_two_the_one_with_fewer_open_requests_is_chosen() -> None:
    busy, idle = Candidate(), Candidate()
    busy.open = 1
    assert {rota(busy, idle).pick(0) for _ in range(50)} == {idle}


def test_the_busiest_of_many_is_never_chosen() -> None:
    members = [Candidate() for _ in range(4)]
    members[2].open = 5
    one = rota(*members)
    assert members[2] not in {one.pick(0) for _ in range(500)}


def test_open_requests_stay_level() -> None:
    members = [Candidate() for _ in range(5)]
    one = rota(*members)
    for _ in range(500):
        chosen = one.pick(0)
        assert chosen is not None
        chosen.open += 1
    assert max(member.open for member in members) - min(member.open for member in members) <= 6


def test_one_that_refused_is_avoided_for_a_while_if_there_is_another() -> None:
    bad, good = Candidate(), Candidate()
    one = rota(bad, good)
    one.avoid(bad, until=5.0)
    assert {one.pick(4.9) for _ in range(50)} == {good}
    assert {one.pick(5.0) for _ in range(50)} == {good, bad}


def test_the_last_one_is_never_avoided() -> None:
    bad = Candidate()
    one = rota(bad)
    one.avoid(bad, until=5.0)
    assert one.pick(0) is bad


def test_when_all_refused_all_are_tried() -> None:
    first, second = Candidate(), Candidate()
    one = rota(first, second)
    one.avoid(first, until=5.0)
    one.avoid(second, until=5.0)
    assert {one.pick(0) for _ in range(50)} == {first, second}


def test_what_was_tried_is_not_chosen_again_but_what_is_avoided_may_be() -> None:
    first, second = Candidate(), Candidate()
    one = rota(first, second)
    one.avoid(first, until=5.0)
    assert one.pick(0, tried=(second,)) is first
    assert one.pick(0, tried=(second, first)) is None


def test_one_that_left_and_came_back_is_no_longer_avoided() -> None:
    bad, good = Candidate(), Candidate()
    one = rota(bad, good)
    one.avoid(bad, until=5.0)
    one.replace([good])
    one.replace([good, bad])
    assert {one.pick(0) for _ in range(50)} == {good, bad}


@pytest.mark.parametrize("policy", ["two_choices", "least_latency", "round_robin"])
@pytest.mark.parametrize("heavy", [False, True])
def test_who_comes_back_has_its_share_and_does_not_catch_up(policy: Any, heavy: bool) -> None:
    members = [Candidate() for _ in range(3)]
    members[1].weight = 2.0 if heavy else 1.0
    one: Rota[Candidate] = Rota(random.Random(7), model.Balance(policy=policy, eject_after=1))
    one.replace(members)
    for _ in range(300):
        one.pick(0.0)
    assert one.failed(members[0], 0.0)
    back = one.ejection.out[members[0]]
    assert members[0] not in {one.pick(back / 2) for _ in range(3000)}
    chosen = Counter(one.pick(back) for _ in range(400))
    assert 60 <= chosen[members[0]] <= 400 / 3 * 1.2
