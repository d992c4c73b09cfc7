from __future__ import annotations

import random
from collections import Counter

from tests.actors.builders import instance, worker
from tucano.actors.messages.model import Instance
from tucano.actors.pure.placement import place


def test_replicas_spread_over_workers() -> None:
    chance = random.Random(1)
    workers = [worker(f"w{i}") for i in range(3)]
    placed: list[Instance] = []
    for number in range(9):
        node = place("hello", workers, placed, chance.random)
        assert node is not None
        placed.append(instance(f"i{number}", "pending", node=node))
    assert set(Counter(i.node for i in placed).values()) == {3}


def test_only_ready_workers_are_chosen() -> None:
    some = [worker("a", "silent"), worker("b", "gone"), worker("c", role="balancer"), worker("d")]
    assert place("hello", some, [], random.random) == "d"
    assert place("hello", some[:3], [], random.random) is None


def test_a_worker_to_avoid_is_the_last_resort() -> None:
    both = [worker("a"), worker("b")]
    crowded = [instance(f"i{n}", node="b") for n in range(5)]
    assert place("hello", both, crowded, random.random, frozenset("a")) == "b"
    assert place("hello", both[:1], crowded, random.random, frozenset("a")) == "a"


def test_what_has_ended_does_not_count() -> None:
    both = [worker("a"), worker("b")]
    ended = [instance(f"i{n}", "failed", node="a") for n in range(5)] + [instance("x", node="b")]
    assert place("hello", both, ended, random.random) == "a"
