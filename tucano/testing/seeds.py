"""A test under many seeds; the one that fails says how to run it again."""

from __future__ import annotations

import functools
import inspect
import os
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tucano.testing.simulation import Simulation

LINES = 40
"""Lines of the trace that a failure shows."""

VARIABLE = "TUCANO_SEED"
"""Names the one seed to run."""


def seeds(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test `count` times, each time with a `Simulation` of another seed as its first argument (after `self`).

    When one fails, the error says which seed it was and the command that runs that one alone.

    Args:
        count: seeds 0 to `count - 1`; the variable `TUCANO_SEED` names a single one instead.

    Raises:
        TypeError: at decoration: `count` is no number, or what is decorated is not a plain function that takes a
            simulation; pytest would not run it, or not with one.
        ValueError: at decoration: `count` is less than 1, so that nothing would run.

    """
    if type(count) is not int:
        raise TypeError(f"say how many seeds, such as @seeds(100); not {count!r}")
    if count < 1:
        raise ValueError(f"a test under {count} seeds would never run: at least 1")

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        position = _position(test)

        @functools.wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            for seed in _chosen(count):
                with Simulation(seed) as simulation:
                    try:
                        test(*args[:position], simulation, *args[position:], **kwargs)
                    except BaseException as error:
                        error.add_note(replay(test, simulation))
                        raise

        signature = inspect.signature(test)  # without the simulation, which pytest would take for a fixture
        others = list(signature.parameters.values())
        del others[position]
        run.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return run

    return decorate


def replay(test: Callable[..., None], simulation: Simulation) -> str:
    """How it ended, and the command that runs it again, from any directory."""
    source = Path(inspect.getsourcefile(test) or "").absolute()
    present = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
    file, _, name = present.partition("::")  # the file as seen from the root directory, which pytest tells nobody
    named = shlex.quote(f"{_absolute(Path(file), source)}::{name or test.__qualname__.replace('.', '::')}")
    lines = "".join(simulation.trace.splitlines(keepends=True)[-LINES:])
    return f"{lines}replay this run: {VARIABLE}={simulation.seed} python -m pytest {named}"


def _position(test: Callable[..., None]) -> int:
    """Where among its arguments a test takes the simulation."""
    if not inspect.isfunction(test):
        raise TypeError(f"@seeds is for a plain function or method, the innermost decorator; not for {test!r}")
    if any(
        kind(test) for kind in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    ):
        raise TypeError(f"{test.__qualname__} would not run: @seeds is for a `def` without `async` and `yield`")
    parameters = list(inspect.signature(test).parameters.values())
    position = 1 if parameters and parameters[0].name == "self" else 0
    in_order = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len(parameters) <= position or parameters[position].kind not in in_order:
        raise TypeError(f"{test.__qualname__} takes no simulation: its first argument (after self) is to be one")
    return position


def _absolute(file: Path, source: Path) -> Path:
    """Where a test's file is: the one that it was written in, or one that inherits or imports it."""
    if file == Path() or source.parts[-len(file.parts) :] == file.parts:
        return source
    above = (Path.cwd(), *Path.cwd().parents)
    return next((directory / file for directory in above if (directory / file).is_file()), source)


def _chosen(count: int) -> Iterable[int]:
    chosen = os.environ.get(VARIABLE)
    if chosen is None:
        return range(count)
    if not chosen.isdecimal():
        raise ValueError(f"{VARIABLE} must be a seed, a whole number from 0, not {chosen!r}")
    return [int(chosen)]
