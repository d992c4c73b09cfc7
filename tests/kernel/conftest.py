from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.world import RealWorld


@pytest.fixture
def real() -> Iterator[RealWorld]:
    """Real threads; all that it is told to start has stopped, in order, when the test is over."""
    made = RealWorld()
    yield made
    made.close()
