from pathlib import Path

from tests.sim.cluster import Cluster
from tucano.testing import Simulation, seeds


@seeds(10)
def away(simulation: Simulation, tmp_path: Path) -> None:
    cluster = Cluster(simulation, tmp_path / "home", workers=4)
    cluster.deploy("alpha", 3)
    cluster.settle()
    cluster.restart("alpha")
    simulation.run(simulation.chance.uniform(0.0, 12.0))
    cluster.crash("controller")
    cluster.lasting = False
    simulation.run(1.0)
    for name in simulation.chance.sample(list(cluster.machines), 2):
        cluster.crash(name)
        cluster.machines[name].lose_power()
    simulation.run(simulation.chance.uniform(11.0, 30.0))
    cluster.start("controller")
    simulation.run(30.0)
    for name in cluster.machines:
        cluster.start(name)
    cluster.settle()
