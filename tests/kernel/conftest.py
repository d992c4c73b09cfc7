from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tucano.actors.kernel import Child, System


@pytest.fixture
def system() -> Iterator[Callable[..., System]]:
    """Starts actor systems and stops them after the test, in time or it fails."""
    running: list[System] = []

    def start(*children: Child, node: str = "here", **tree: Any) -> System:
        made = System(node)
        running.append(made)
        made.run(children, **tree)
        return made

    yield start
    for made in running:
        assert made.stop(10), "actors did not stop in time"
