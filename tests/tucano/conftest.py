from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tucano.mdp_kit import Stage
from tests.tucano.stand_in import StandIn, write_service


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    """A gateway that speaks the wire, of a cluster whose home is `tmp_path / "home"`."""
    gateway = StandIn(tmp_path / "home")
    yield gateway
    gateway.close()


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """The directory of a small service."""
    return write_service(tmp_path / "hello")


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A front for users' ZeroMQ with clients and instances."""
    stage = Stage()
    yield stage
    stage.close()
