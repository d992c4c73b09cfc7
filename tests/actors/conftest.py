from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tucano.actors.kernel import Child, System
from tucano.testing import Probe


@pytest.fixture
def node() -> Iterator[Callable[..., System]]:
    """Starts a node with these actors, all others that they speak to being probes; stopped after the test."""
    running: list[System] = []

    def start(*children: Child, name: str = "controller", **probes: Probe) -> System:
        system = System(name)
        running.append(system)
        system.run([*(probe.child(who) for who, probe in probes.items()), *children])
        return system

    yield start
    for system in running:
        assert system.stop(10)
