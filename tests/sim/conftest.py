"""What simulations share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory in memory, if there is one: a record is flushed to its disk hundreds of times a simulated minute."""
    with tempfile.TemporaryDirectory(prefix="tucano-", dir=MEMORY if MEMORY.is_dir() else None) as made:
        yield Path(made)
