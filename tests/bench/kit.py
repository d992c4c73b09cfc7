"""What the benchmarks of the kernel share: taking turns, and a node with actors."""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Callable, Hashable, Iterator, Mapping
from statistics import median
from typing import Any, TypeVar

from tests.helpers import eventually
from tucano.actors.kernel import Child, System

Name = TypeVar("Name", bound=Hashable)
Figures = tuple[float, ...]


def turn_by_turn(contenders: Mapping[Name, Callable[[], Figures]], rounds: int) -> dict[Name, Figures]:
    """Measure each in turn, and once before that nobody counts; the order is turned round each time.

    Args:
        contenders: each does equal work and returns its figures.
        rounds: that count.

    Returns:
        The median of each figure of each contender.

    """
    found: dict[Name, list[Figures]] = {name: [] for name in contenders}
    order = list(contenders)
    for number in range(rounds + 1):
        for name in order:
            gc.collect()  # nobody pays for what the one before has left
            figures = contenders[name]()
            if number > 0:
                found[name].append(figures)
        order.reverse()
    return {name: tuple(map(median, zip(*rounds_of_it, strict=True))) for name, rounds_of_it in found.items()}


@contextlib.contextmanager
def node(*children: Child, **tree: Any) -> Iterator[System]:
    """A node on its own whose actors are all up; they are stopped at the end of the block."""
    system = System("bench")
    system.run(children, **tree)
    try:
        all_up(system)
        yield system
    finally:
        if not system.stop(60.0):
            raise RuntimeError("not all actors stopped in time")


def all_up(system: System) -> None:
    """Wait until every actor has started."""
    eventually(lambda: {info.phase for info in system.snapshot()} == {"up"}, "all actors are up", within=60.0)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What is meant to go wrong is logged to nobody."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
