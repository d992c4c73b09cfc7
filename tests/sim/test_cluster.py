"""The control plane under trouble: the real components, simulated nodes, many seeds."""

from __future__ import annotations

from pathlib import Path

from tests.sim.cluster import Cluster
from tests.sim.storm import Storm
from tucano.testing import Simulation, seeds


@seeds(10)
def test_what_does_not_die_by_itself_serves_through_all_trouble(simulation: Simulation, tmp_path: Path) -> None:
    cluster = Cluster(simulation, tmp_path / "home")
    cluster.deploy("alpha", 3)
    cluster.deploy("beta", 2)
    cluster.settle()
    Storm(cluster, ("alpha",), ("beta", "gamma")).blow(60.0, deaths=False)
    cluster.settle()


@seeds(10)
def test_all_is_as_wanted_again_after_any_trouble(simulation: Simulation, tmp_path: Path) -> None:
    cluster = Cluster(simulation, tmp_path / "home")
    cluster.deploy("alpha", 3)
    cluster.deploy("beta", 2)
    cluster.settle()
    Storm(cluster, ("alpha",), ("beta", "gamma")).blow(60.0, deaths=True)
    cluster.settle()
