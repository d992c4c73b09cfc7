"""What simulation has found, each as a scenario of its own."""

from __future__ import annotations

from pathlib import Path

from tests.sim.cluster import Cluster
from tests.sim.test_cluster import start
from tucano.actors.messages.model import Instance
from tucano.testing import Simulation, seeds


def instances(cluster: Cluster) -> list[Instance]:
    entries = cluster.record()
    assert entries is not None
    return [entry.instance for entry in entries.entries if entry.instance is not None]


def worker_state(cluster: Cluster, name: str) -> str:
    entries = cluster.record()
    assert entries is not None
    return next(e.worker.state for e in entries.entries if e.worker is not None and e.worker.name == name)


@seeds(20)
def test_a_balancer_whose_silence_it_did_not_notice_itself_is_ready_again(simulation: Simulation, home: Path) -> None:
    cluster = start(simulation, home)
    cluster.crash("balancer")
    simulation.run(simulation.chance.uniform(5.0, 5.25))  # so that its beats are not the controller's
    cluster.start("balancer")
    cluster.settle()
    simulation.run(simulation.chance.uniform(0.0, 0.25))
    simulation.network.partition(["balancer"])
    simulation.run(simulation.chance.uniform(1.75, 2.25))  # about as long as the detectors bear
    simulation.network.heal()
    simulation.run(1.0)
    cluster.settle(within=15.0)


@seeds(5)
def test_a_record_that_crashed_is_told_again_which_worker_is_gone_and_tells_others(
    simulation: Simulation, home: Path
) -> None:
    cluster = start(simulation, home)
    cluster.lasting = cluster.calm = False
    cluster.lose_power("worker-3", disk=True)
    while worker_state(cluster, "worker-3") != "gone":
        simulation.run(0.01)
    cluster.fail("controller/discovery")  # before it has written that
    simulation.run(1.0)
    assert worker_state(cluster, "worker-3") == "gone"
    cluster.deploy("gamma", 3)
    cluster.settle()
    cluster.start("worker-3")
    cluster.settle()
    cluster.lose_power("worker-2", disk=True)
    cluster.settle()


@seeds(5)
def test_a_worker_that_is_heard_is_not_given_up_though_it_says_no_hello(simulation: Simulation, home: Path) -> None:
    cluster = start(simulation, home)
    before = {instance.id for instance in instances(cluster)}
    simulation.network.disturb(loss=1.0)  # no worker learns that there is a new manager
    cluster.fail("controller/worker_mgr")
    simulation.run(0.5)
    simulation.network.disturb()
    simulation.run(20.0)
    assert {instance.id for instance in instances(cluster)} == before
    cluster.settle()


@seeds(40)
def test_an_instance_whose_readiness_the_record_missed_is_not_ended_by_the_next_rollout(
    simulation: Simulation, home: Path
) -> None:
    cluster = start(simulation, home)
    cluster.scale("alpha", 5)
    simulation.run_until(lambda: sum(process.serves for process in cluster.processes("alpha")) == 5)
    cluster.floors["alpha"] = 5
    cluster.calm = False
    simulation.run(simulation.chance.uniform(0.0, 0.25))  # what is written late is lost
    cluster.crash("controller")
    simulation.run(3.0)
    cluster.start("controller")
    simulation.run(simulation.chance.uniform(0.0, 0.5))  # the workers have not said hello yet
    cluster.restart("alpha")
    cluster.settle()


@seeds(20)
def test_an_instance_that_is_just_being_restarted_outlives_a_bad_release(simulation: Simulation, home: Path) -> None:
    cluster = start(simulation, home)
    cluster.lasting = cluster.calm = False
    before = {instance.id for instance in instances(cluster) if instance.service == "alpha"}
    for process in cluster.processes("alpha"):
        cluster.machines[next(n for n, m in cluster.machines.items() if m.runs(process))].gone(process)
    simulation.run(0.05)
    cluster.deploy("alpha", 3, build="exit 1")
    cluster.settle()
    assert {instance.id for instance in instances(cluster) if instance.service == "alpha"} == before


@seeds(5)
def test_lost_instances_of_a_service_that_never_worked_are_forgotten(simulation: Simulation, home: Path) -> None:
    cluster = start(simulation, home)
    cluster.lasting = cluster.calm = False
    cluster.deploy("gamma", 5, script="sleep infinity")
    simulation.run(5.0)
    cluster.lose_power("worker-2", disk=True)
    cluster.settle()
