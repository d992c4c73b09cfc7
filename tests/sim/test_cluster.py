"""The control plane under trouble: the real components on simulated nodes, by many seeds.

What holds, and is checked by `Cluster` all the time or when all is quiet again:

- a service that serves keeps as many instances serving as it has replicas, whatever rollouts and other parts do; only
  its own deaths may take some away, and nothing more is drained before they are made good;
- an acknowledged command is never lost; a bad release is taken back;
- no instance runs twice, or in two places;
- soon after all faults have ended, what runs is what is wanted; record, workers and routes say the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.sim.cluster import Cluster
from tests.sim.machine import CRASHES
from tests.sim.storm import Storm
from tucano.testing import Simulation, seeds

MANY = 20


def start(simulation: Simulation, home: Path, workers: int = 3) -> Cluster:
    """A cluster with two services that are up."""
    cluster = Cluster(simulation, home, workers)
    cluster.deploy("alpha", 3)
    cluster.deploy("beta", 2)
    cluster.settle()
    return cluster


@seeds(MANY)
def test_what_does_not_die_by_itself_serves_through_all_trouble(simulation: Simulation, home: Path) -> None:
    cluster = start(simulation, home)
    Storm(cluster, ("alpha",), ("beta", "gamma")).blow(50.0, deaths=False)
    cluster.settle()


@seeds(MANY)
def test_all_is_as_wanted_again_soon_after_any_trouble(simulation: Simulation, home: Path) -> None:
    cluster = start(simulation, home, workers=simulation.chance.randint(2, 5))
    Storm(cluster, ("alpha",), ("beta", "gamma")).blow(50.0, deaths=True)
    cluster.settle()


@seeds(20)
def test_without_faults_no_request_comes_to_an_instance_that_does_not_serve(simulation: Simulation, home: Path) -> None:
    cluster = start(simulation, home)
    simulation.network.latency(0.0, 0.1)
    storm = Storm(cluster, ("alpha",), ("beta", "gamma"))
    for _ in range(8):
        storm.command()
        simulation.run(simulation.chance.uniform(0.0, 15.0))
    cluster.settle()


@seeds(MANY)
def test_an_acknowledged_command_outlives_the_controller_whenever_it_dies(simulation: Simulation, home: Path) -> None:
    cluster = start(simulation, home, workers=1)
    for _ in range(3):
        simulation.turns.after(simulation.chance.uniform(0.0, 5e-5), lambda: cluster.crash("controller"))
        cluster.scale("alpha", simulation.chance.randint(1, 5))
        simulation.run(simulation.chance.choice((1e-4, 1.0)))
        cluster.start("controller")
        simulation.run(simulation.chance.choice((0.1, 1.0)))
    cluster.settle()


@seeds(30)
def test_a_bad_release_is_taken_back_though_the_controller_dies_over_it(simulation: Simulation, home: Path) -> None:
    cluster = start(simulation, home)
    cluster.deploy("alpha", 3, script=CRASHES)
    simulation.run(simulation.chance.uniform(0.0, 15.0))
    cluster.crash("controller")
    simulation.run(simulation.chance.uniform(0.0, 5.0))
    cluster.start("controller")
    cluster.settle()


@seeds(30)
def test_a_controller_that_was_away_does_without_no_instance_on_the_word_of_its_record(
    simulation: Simulation, home: Path
) -> None:
    cluster = start(simulation, home, workers=4)
    cluster.restart("alpha")
    simulation.run(simulation.chance.uniform(0.0, 12.0))
    cluster.crash("controller")
    cluster.calm = cluster.lasting = False
    simulation.run(1.0)
    for name in simulation.chance.sample(list(cluster.machines), 2):
        cluster.lose_power(name, disk=False)
    simulation.run(simulation.chance.uniform(11.0, 30.0))
    cluster.start("controller")
    cluster.settle()
    for name in cluster.machines:
        cluster.start(name)
    cluster.settle()


def digest(seed: int) -> str:
    """Of a run with all faults."""
    with tempfile.TemporaryDirectory() as made, Simulation(seed) as simulation:
        cluster = start(simulation, Path(made))
        Storm(cluster, ("alpha",), ("beta", "gamma")).blow(20.0, deaths=True)
        cluster.settle()
        return simulation.digest


def test_the_same_seed_gives_the_same_run_in_any_process() -> None:
    here = digest(7)
    assert digest(8) != here
    script = "from tests.sim.test_cluster import digest; print(digest(7))"
    for hashes in ("1", "2"):  # the order of sets differs, and so does the process id
        said = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONHASHSEED": hashes},
                              capture_output=True, text=True, check=True)  # fmt: skip
        assert said.stdout.strip() == here
