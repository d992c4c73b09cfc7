"""A test under many seeds; the one that fails says how to run it again."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable
from typing import Any

from tucano.testing.simulation import Simulation

LINES = 40
"""Lines of the trace that a failure shows."""

VARIABLE = "TUCANO_SEED"
"""Names the one seed to run."""


def seeds(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test `count` times, each time with a `Simulation` of another seed as its first argument.

    When one fails, the error says which seed it was and the command that runs that one alone.

    Args:
        count: seeds 0 to `count - 1`; the variable `TUCANO_SEED` names a single one instead.

    """

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            for seed in _chosen(count):
                with Simulation(seed) as simulation:
                    try:
                        test(simulation, *args, **kwargs)
                    except BaseException as error:
                        error.add_note(replay(test, simulation))
                        raise

        signature = inspect.signature(test)  # without the simulation, which pytest would take for a fixture
        run.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
        return run

    return decorate


def replay(test: Callable[..., None], simulation: Simulation) -> str:
    """How it ended, and the command that runs it again."""
    present = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
    named = present or f"{inspect.getsourcefile(test)}::{test.__name__}"
    lines = "".join(simulation.trace.splitlines(keepends=True)[-LINES:])
    return f"{lines}replay this run: {VARIABLE}={simulation.seed} python -m pytest '{named}'"


def _chosen(count: int) -> Iterable[int]:
    chosen = os.environ.get(VARIABLE)
    if chosen is None:
        return range(count)
    if not chosen.isdecimal():
        raise ValueError(f"{VARIABLE} must be a seed, a whole number from 0, not {chosen!r}")
    return [int(chosen)]
