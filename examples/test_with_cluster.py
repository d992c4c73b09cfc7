"""A test against a real cluster: `pytest test_with_cluster.py`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import tucano
from tucano.local import Cluster

HELLO = Path(__file__).parent / "hello"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with tucano.local_cluster(workers=2) as running:
        running.deploy(HELLO)
        yield running


def test_the_service_greets(cluster: Cluster) -> None:
    answer = cluster.get("hello", "/Ada")
    assert (answer.status, answer.body) == (200, b"Hello, Ada!\n")


def test_a_service_that_nobody_deployed_is_not_found(cluster: Cluster) -> None:
    assert cluster.get("nobody").status == 404
