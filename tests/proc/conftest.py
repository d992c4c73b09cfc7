from __future__ import annotations

from collections.abc import Iterator

import pytest

import tucano
from tucano.client import ClusterError
from tucano.local import Cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A real cluster of three workers, for the tests of one file."""
    with tucano.local_cluster(workers=3) as running:
        running.client.status()  # connects: the socket is the cluster's, not the first test's
        yield running


@pytest.fixture(autouse=True)
def _no_service_is_left(cluster: Cluster) -> Iterator[None]:
    yield
    for service in cluster.client.services():
        try:
            cluster.client.undeploy(service.name)
        except ClusterError as error:  # it was just going
            if error.code != "not_found":
                raise
        cluster.client.wait_until_gone(service.name)
