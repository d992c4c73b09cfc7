"""Trouble and commands at random, drawn from the simulation's seed."""

from __future__ import annotations

from collections.abc import Callable

from tests.sim.cluster import Cluster
from tests.sim.machine import CRASHES, HANGS, Habits

ACTORS = (
    "controller/discovery", "controller/deployer", "controller/worker_mgr", "controller/gateway",
    "balancer/balancer", "balancer-2/balancer",
)  # fmt: skip


class Storm:
    """What goes wrong, and what clients ask for meanwhile.

    Args:
        cluster: which has to bear it.
        lasting: services that are never removed.
        others: services that may be.

    """

    def __init__(self, cluster: Cluster, lasting: tuple[str, ...] = (), others: tuple[str, ...] = ()) -> None:
        self._cluster = cluster
        self._lasting = lasting
        self._others = others
        self._simulation = cluster.simulation
        self._chance = cluster.simulation.chance
        self._over = False

    def blow(self, seconds: float, *, deaths: bool) -> None:
        """Let it blow for so long, then let all faults end.

        Args:
            seconds: virtual ones.
            deaths: machines and processes die, too, and the controller's disk is full.

        """
        until = self._simulation.now() + seconds
        self._cluster.calm = False
        troubles = [self._disturb, self._partition, self._slow, self._crash_node, self._crash_actor]
        if deaths:
            troubles += [self._kill_process, self._lose_power, self._sicken, self._fill_disk]
            self._cluster.lasting = False
            for machine in self._cluster.machines.values():
                machine.habits = Habits(crash=self._chance.choice((0.0, 0.1, 0.3)))
        while self._simulation.now() < until:
            self._simulation.run(self._chance.expovariate(1 / 2.0))
            if self._chance.random() < 0.5:
                self.command(trouble=0.2)
            else:
                self._chance.choice(troubles)()
        self.end()
        if deaths and self._chance.random() < 0.5:  # not all return
            self._cluster.lose_power(self._chance.choice(list(self._cluster.machines)), disk=True)
            self._crash_actor()

    def end(self) -> None:
        """Let all faults end."""
        network = self._simulation.network
        self._over = True
        network.disturb()
        network.latency(0.0, 0.01)
        network.heal()
        self._cluster.fill_disk(full=False)
        for name in self._simulation.nodes:
            network.slow(name)
            self._cluster.start(name)
        for machine in self._cluster.machines.values():
            machine.habits = Habits()
            for process in machine.processes.values():
                if process.order.spec.run.script == "serve" and process.was_well:
                    machine.feel(process, well=True)

    def command(self, trouble: float = 0.0) -> None:
        """Let a client want something.

        Args:
            trouble: probability that something crashes in the middle of it.

        """
        cluster, chance = self._cluster, self._chance
        name = chance.choice(self._lasting + self._others)
        least = 2 if name in self._lasting else 1
        what = chance.choice(("good", "bad", "scale", "restart", "undeploy"))
        if chance.random() < trouble:
            self._later(0.0, 5e-5, chance.choice((self._crash_node, self._crash_actor)))
        match what:
            case "good":
                cluster.deploy(name, chance.randint(least, 4))
            case "bad":
                script, build = chance.choice(((CRASHES, ""), (HANGS, ""), ("serve", CRASHES)))
                cluster.deploy(name, chance.randint(least, 4), script, build)
            case "scale":
                cluster.scale(name, chance.randint(least, 5))
            case "undeploy" if name in self._others:
                cluster.undeploy(name)
            case _:
                cluster.restart(name)

    # Troubles.

    def _later(self, low: float, high: float, do: Callable[[], object]) -> None:
        self._cluster.turns.after(self._chance.uniform(low, high), lambda: None if self._over else do())

    def _disturb(self) -> None:
        network, chance = self._simulation.network, self._chance
        network.disturb(
            loss=chance.choice((0.0, 0.02, 0.2)), duplication=chance.choice((0.0, 0.1)),
            reordering=chance.choice((0.0, 0.1)),
        )  # fmt: skip
        network.latency(0.0, chance.choice((0.0, 0.01, 0.3)))
        self._later(1.0, 10.0, network.disturb)

    def _partition(self) -> None:
        nodes = list(self._simulation.nodes)
        self._chance.shuffle(nodes)
        self._simulation.network.partition(nodes[: self._chance.randint(1, len(nodes) - 1)])
        self._later(0.5, 12.0, self._simulation.network.heal)

    def _slow(self) -> None:
        name = self._chance.choice(list(self._simulation.nodes))
        self._simulation.network.slow(name, seconds=self._chance.uniform(0.1, 3.0))
        self._later(1.0, 10.0, lambda: self._simulation.network.slow(name))

    def _crash_node(self) -> None:
        name = self._chance.choice(["controller", *self._simulation.nodes])
        self._cluster.crash(name)
        self._later(0.1, self._chance.choice((0.5, 10.0, 30.0)), lambda: self._cluster.start(name))

    def _crash_actor(self) -> None:
        address = self._chance.choice((*ACTORS, *(f"{name}/supervisor" for name in self._cluster.machines)))
        self._cluster.fail(address)

    def _fill_disk(self) -> None:
        self._cluster.fill_disk()
        self._later(1.0, 10.0, lambda: self._cluster.fill_disk(full=False))

    def _kill_process(self) -> None:
        machine = self._chance.choice(list(self._cluster.machines.values()))
        if machine.processes:
            machine.gone(self._chance.choice(list(machine.processes.values())))

    def _sicken(self) -> None:
        machine = self._chance.choice(list(self._cluster.machines.values()))
        well = [process for process in machine.processes.values() if process.healthy]
        if well:
            process = self._chance.choice(well)
            machine.feel(process, well=False)
            self._later(0.5, 10.0, lambda: machine.feel(process, well=True))

    def _lose_power(self) -> None:
        name = self._chance.choice(list(self._cluster.machines))
        self._cluster.lose_power(name, disk=self._chance.random() < 0.5)
        self._later(0.1, 10.0, lambda: self._cluster.start(name))
