"""A whole cluster in a simulation: the controller's and the balancers' real components, workers with stand-ins."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import random
import shutil
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.sim.auditor import Auditor
from tests.sim.doors import Answer, DataPath, Door, Street
from tests.sim.ledger import Ledger, Op
from tests.sim.machine import Machine, Process
from tests.sim.supervisor import Supervisor
from tucano.actors.balancer import Balancer
from tucano.actors.deployer import Deployer
from tucano.actors.discovery import Discovery
from tucano.actors.disk.artifact_store import Store
from tucano.actors.disk.store import Store as RecordStore
from tucano.actors.gateway import Gateway
from tucano.actors.kernel import Child, Law, Refused
from tucano.actors.messages.discovery import Entries, Range
from tucano.actors.messages.model import Build, Health, Instance, Run, Service, Spec
from tucano.actors.notifier import Notifier
from tucano.actors.worker_mgr import WorkerMgr
from tucano.testing import Simulation
from tucano.testing.runtime import EPOCH

LAW = Law(intensity=10, period=10.0)
"""As `tucano.node` has it."""

QUIET = 5.0
"""Seconds for which all must stay as it should be."""

NEWS = 10.0
"""Seconds that it may take until all know that an instance has ceased to serve."""

"""What actors crash with; whatever else they crash with is their own mistake."""

ARTIFACTS = tuple(f"artifact {number}".encode() for number in range(3))


class AsWantedError(Exception):
    """What actors crash with because the test says so; whatever else they crash with is a mistake of theirs."""


class Cluster:
    """A controller, balancers, workers, and a client.

    Args:
        simulation: an empty one.
        home: for the record; emptied.
        workers: how many.
        balancers: how many.

    Attributes:
        machines: by worker.
        paths: the present data path of each balancer.
        floors: how many instances of a service must serve, whatever happens that is not their own death.
        lasting: no process dies or falls ill by itself.
        calm: nothing goes wrong at all: no request may come to an instance that does not serve.
        wrong: what should not have happened, so far.

    """

    def __init__(self, simulation: Simulation, home: Path, workers: int = 3, balancers: int = 2) -> None:
        self.simulation = simulation
        self.turns = simulation.turns
        self.street = Street(self.turns)
        self.paths: dict[str, DataPath] = {}
        self.ledgers: dict[str, Ledger] = {}
        self.floors: dict[str, int] = {}
        self.wrong: list[str] = []
        self.lasting = True
        self.calm = True
        self._home = home
        self._places: dict[str, str] = {}  # where each instance was started
        self._lapses: deque[tuple[float, str]] = deque()  # when one ceased to serve by itself, and of which service
        shutil.rmtree(home, ignore_errors=True)
        simulation.node("controller", start=self._controller, law=LAW)
        for name in ("balancer", *(f"balancer-{number}" for number in range(2, balancers + 1))):
            simulation.node(name, start=functools.partial(self._balancer, name), peers=("controller",), law=LAW)
        self.machines: dict[str, Machine] = {}
        for number in range(1, workers + 1):
            name = f"worker-{number}"
            chance = random.Random(f"{simulation.seed}/{name}/machine")
            self.machines[name] = Machine(name, self.turns, chance, self._process_changed)
            simulation.node(name, start=functools.partial(self._worker, name), peers=("controller",), law=LAW)
        for content in ARTIFACTS:
            said = self.street.ask("upload", artifact=sha(content), size=len(content), offset=0, data=content)
            assert not said.code, said

    # Commands.

    def deploy(self, name: str, replicas: int = 1, script: str = "serve", build: str = "") -> Answer:
        """Deploy a release; see `machine` for what it can be like."""
        content = self.simulation.chance.choice(ARTIFACTS)
        spec = Spec(name, Run(script), Build(build), Health(deadline=8.0), replicas)
        args = {"spec": msgspec.to_builtins(spec), "artifact": sha(content), "size": len(content)}
        return self._command("deploy", name, args, replicas, spec)

    def scale(self, name: str, replicas: int) -> Answer:
        """Want so many."""
        return self._command("scale", name, {"name": name, "replicas": replicas}, replicas)

    def restart(self, name: str) -> Answer:
        """Replace all."""
        return self._command("restart", name, {"name": name}, self.floors.get(name, 0))

    def undeploy(self, name: str) -> Answer:
        """Remove it."""
        return self._command("undeploy", name, {"name": name}, 0)

    def _command(self, op: Op, service: str, args: dict[str, Any], replicas: int, spec: Spec | None = None) -> Answer:
        before = self.floors.get(service, 0)
        self.floors[service] = min(before, replicas)
        answer = self.street.ask(op, **args)
        if answer.is_known and answer.code:  # nothing has come of it
            self.floors[service] = before
        self.simulation.note(f"client {op} {service} {replicas} {answer}")
        objection = self.ledgers.setdefault(service, Ledger()).note(op, answer, spec, replicas)
        if objection:
            self._complain(f"{service}: {objection}")
        return answer

    # Nodes.

    def fail(self, address: str) -> None:
        """Crash an actor, if it runs."""
        with contextlib.suppress(LookupError):
            self.simulation.fail(address, AsWantedError())

    def crash(self, node: str) -> None:
        """Kill a node's process; what a worker runs goes on."""
        if self.simulation.nodes[node].system is None:
            return
        store = self._store()
        self.simulation.nodes[node].crash()
        if node == "controller":
            self.street.door = None
            if store is not None:
                store.close()  # as its process's end does
        elif node in self.machines:
            self.machines[node].tell = None

    def lose_power(self, worker: str, *, disk: bool) -> None:
        """Let a worker's machine fail, with all that runs there; with `disk`, it comes back as a new one."""
        self.crash(worker)
        self.machines[worker].lose_power(disk=disk)

    def start(self, node: str) -> None:
        """Start a node that is down, or has given up."""
        if not self.simulation.nodes[node].is_up:
            self.crash(node)
            self.simulation.nodes[node].start()

    def fill_disk(self, *, full: bool = True) -> None:
        """Leave the present record no room to grow, or give it back."""
        store = self._store()
        if store is not None:
            store._database.execute(f"PRAGMA max_page_count = {1 if full else 1 << 30}")

    def _store(self) -> RecordStore | None:
        """Of the record that runs."""
        player = self.simulation.nodes["controller"].players.get("discovery")
        return player.actor._store if player is not None and isinstance(player.actor, Discovery) else None

    def _controller(self) -> list[Child]:
        kept = self._home / "controller"
        about = {"cluster": "sim", "version": "0", "node": "controller", "since": EPOCH, "http_port": 1, "zmq_port": 1}
        gateway = {"make_door": lambda: Door(self.street), "artifacts": lambda: Store(kept / "artifacts")}
        return [
            Child("discovery", Discovery, {"path": kept / "record.sqlite"}),
            Child("notifier", Notifier),
            Child("deployer", Deployer),
            Child("worker_mgr", WorkerMgr),
            Child("gateway", Gateway, {**gateway, "about": about}),
            Child("auditor", Auditor, {"drained": self._drained}),
        ]

    def _balancer(self, name: str) -> list[Child]:
        draw = functools.partial(random.Random(f"{self.simulation.seed}/requests at {name}").uniform, 0.0, 3.0)

        def make_proxy() -> DataPath:
            self.paths[name] = DataPath(self.turns, draw)
            return self.paths[name]

        about = {"address": f"tcp://{name}:1", "pid": self.simulation.nodes[name].incarnation, "cpus": 1}
        cache = self._home / name / "routes.msgpack"
        return [Child("balancer", Balancer, {"make_proxy": make_proxy, "cache": cache, **about})]

    def _worker(self, name: str) -> list[Child]:
        pid = self.simulation.nodes[name].incarnation
        return [Child("supervisor", Supervisor, {"machine": self.machines[name], "pid": pid})]

    # What there is.

    def processes(self, service: str) -> list[Process]:
        """The service's, on all machines."""
        return [p for m in self.machines.values() for p in m.processes.values() if p.order.spec.name == service]

    def record(self) -> Entries | None:
        """What the record says, if it can be asked."""
        try:
            found: Entries = self.simulation.nodes["controller"].ref("discovery").ask(Range(""), timeout=5.0)
        except (Refused, RuntimeError):
            return None
        return found

    def unsettled(self) -> str:
        """What is not yet as it should be; empty if all is."""
        entries = self.record()
        if entries is None:
            return "the record cannot be asked"
        services = {e.service.name: e.service for e in entries.entries if e.service is not None}
        instances = [e.instance for e in entries.entries if e.instance is not None]
        workers = {e.worker.name: e.worker.state for e in entries.entries if e.worker is not None}
        there = {n: "ready" if node.is_up else "gone" for n, node in self.simulation.nodes.items() if n != "controller"}
        if workers != there:
            return f"the record has {workers}, there are {there}"
        for service in services.values():
            mine = [i for i in instances if i.service == service.name]
            if service.rollout in ("rolling", "removing") or not _is_as_wanted(service, mine):
                return f"{service} has {mine}"
        strays = [i for i in instances if i.service not in services]
        if strays:
            return f"of no service: {strays}"
        kept = {(i.id, i.node, "ready") for i in instances}
        up = [machine for name, machine in self.machines.items() if self.simulation.nodes[name].is_up]
        disks = {(r.order.id, m.name, r.instance.state) for m in up for r in m.disk.values()}
        if disks != kept:
            return f"workers have {sorted(disks)}, the record {sorted(kept)}"
        runs = {(p.order.id, m.name, p.serves) for m in self.machines.values() for p in m.processes.values()}
        if runs != {(i.id, i.node, True) for i in instances}:
            return f"what runs is {sorted(runs)}, the record has {sorted(kept)}"
        right = {name: {(i.id, True) for i in instances if i.service == name} for name in services}
        for name, path in self.paths.items():
            routes = {service: {(t.instance, t.ready) for t in route.targets} for service, route in path.routes.items()}
            if routes != right:
                return f"the routes of {name} are {routes}, the record has {sorted(kept)}"
        return ""

    def settle(self, within: float = 90.0) -> None:
        """Go on until all is as it should be and stays so, and hold the cluster to it from then on.

        Raises:
            AssertionError: it is not, in so many virtual seconds, or something wrong has happened.

        """
        until = self.simulation.now() + within
        while (missing := self.unsettled()) and self.simulation.now() < until and not self.wrong:
            self.simulation.run(1.0)
        assert not missing or self.wrong, f"not within {within:g} s: {missing}"
        self.simulation.run(QUIET)
        assert not self.wrong, self.wrong[0]
        assert not (missing := self.unsettled()), f"it did not stay so: {missing}"
        crashes = [line for line in self.simulation.trace.splitlines() if " actor_crashed " in line]
        assert all(line.endswith("AsWantedError()") for line in crashes), f"a component crashed: {crashes}"
        entries = self.record()
        assert entries is not None
        services = {e.service.name: e.service for e in entries.entries if e.service is not None}
        for name, ledger in self.ledgers.items():
            objection = ledger.objection(services.get(name), forgiving=not self.lasting)
            assert not objection, f"{name}: {objection}"
        self.floors = {s.name: 0 if s.halted else s.replicas for s in services.values()}

    def _process_changed(self, machine: Machine, process: Process) -> None:
        service = process.order.spec.name
        if self._places.setdefault(process.order.id, machine.name) != machine.name:
            self._complain(f"{process.order.id} runs on {machine.name} and ran on {self._places[process.order.id]}")
        if process.was_well and not process.ends and not (process.healthy and machine.runs(process)):
            self._lapses.append((self.turns.now(), service))
        serving = sum(p.serves for p in self.processes(service))
        if self.lasting and serving < self.floors.get(service, 0):
            self._complain(f"only {serving} of {service} serve, {self.floors[service]} should")
        if self.calm and not process.serves and any(process.order.id in path.open() for path in self.paths.values()):
            self._complain(f"users are sent to {process.order.id}, which does not serve")

    def _drained(self, service: str, draining: Sequence[str]) -> None:
        """The controller has decided to do without some ready instances: rightly, as far as it could know?"""
        while self._lapses and self._lapses[0][0] < self.turns.now() - NEWS:
            self._lapses.popleft()
        serving = sum(p.serves and p.order.id not in draining for p in self.processes(service))
        lapses = sum(name == service for _, name in self._lapses)
        if serving + lapses < self.floors.get(service, 0):
            self._complain(f"{draining} are drained though only {serving} others of {service} serve")

    def _complain(self, what: str) -> None:
        self.simulation.note(f"WRONG {what}")
        self.wrong.append(f"at {self.turns.now():.3f}: {what}")


def sha(content: bytes) -> str:
    """Its hash."""
    return hashlib.sha256(content).hexdigest()


def _is_as_wanted(service: Service, instances: Sequence[Instance]) -> bool:
    wanted = 0 if service.halted else service.replicas
    right = [i for i in instances if i.state == "ready" and i.revision == service.target.number]
    return len(right) == len(instances) == wanted
