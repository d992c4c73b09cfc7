from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.world import RealWorld, VirtualWorld, World


@pytest.fixture(params=[RealWorld, VirtualWorld], ids=["threads", "simulation"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Where the actors of a test live; all that it is told to start has stopped, in order, when the test is over."""
    made: World = request.param()
    yield made
    made.close()


@pytest.fixture
def real() -> Iterator[RealWorld]:
    """For what is about threads."""
    made = RealWorld()
    yield made
    made.close()


@pytest.fixture
def virtual() -> Iterator[VirtualWorld]:
    """For what is about moments in time."""
    made = VirtualWorld()
    yield made
    made.close()
