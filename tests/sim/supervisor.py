"""A stand-in for the worker's supervisor and runners: their messages and decisions, on a `Machine`."""

from __future__ import annotations

from typing import Any, assert_never

import msgspec

from tests.sim.machine import Machine, Process, Record, fails_to_build
from tucano.actors.kernel import Actor, Down, Message, Refused
from tucano.actors.messages import supervisor, worker_mgr
from tucano.actors.messages.model import Instance, State
from tucano.actors.pure import lifecycle
from tucano.actors.pure.lifecycle import Life

BEAT = 2.0
RETRY = 0.5
ASK = 5.0


class ProcessChanged(Message, frozen=True):
    """Note to self: look at the process of an instance."""

    id: str


class BuildEnded(Message, frozen=True):
    """Note to self: a build has ended."""

    id: str


class StartDue(Message, frozen=True):
    """Note to self: the backoff is over."""

    id: str


class DeadlineDue(Message, frozen=True):
    """Note to self: a process has had its time to become ready."""

    id: str
    pid: int


_Inbox = (
    supervisor.Run | supervisor.Stop | supervisor.HelloDue | supervisor.HelloAnswered | supervisor.InventoryDue
    | ProcessChanged | BuildEnded | StartDue | DeadlineDue | Down
)  # fmt: skip


class Supervisor(Actor):
    """Speaks as `tucano.actors.supervisor` does.

    Args:
        machine: what it looks after.
        pid: of the worker's process.

    """

    Inbox = _Inbox

    def __init__(self, machine: Machine, pid: int) -> None:
        super().__init__()
        self._machine = machine
        self._pid = pid
        self._manager = self.address("controller/worker_mgr")
        self._lives: dict[str, Life] = {}
        self._is_known = False

    def on_start(self) -> None:
        """Go on with what the disk says."""
        self._machine.tell = lambda identifier: self.note(ProcessChanged(identifier))
        for record in list(self._machine.disk.values()):
            self._resume(record)
        self._say_hello()
        self.after(self._beat(), supervisor.InventoryDue())

    def receive(self, message: _Inbox) -> Any:
        """Handle one message."""
        match message:
            case supervisor.Run():
                self._run(message)
            case supervisor.Stop(identifier):
                self._stop_instance(identifier)
            case ProcessChanged(identifier):
                self._look_at(identifier)
            case BuildEnded(identifier):
                self._built(identifier)
            case StartDue(identifier):
                if self._state(identifier) == "starting" and identifier not in self._machine.processes:
                    self._start(self._machine.disk[identifier])
            case DeadlineDue(identifier, pid):
                self._too_late(identifier, pid)
            case supervisor.HelloDue():
                self._say_hello()
            case supervisor.HelloAnswered(result):
                self._greeted(result)
            case supervisor.InventoryDue():
                self.after(self._beat(), supervisor.InventoryDue())
                if self._is_known:
                    self._tell_inventory()
            case Down():
                self._is_known = False
                self.after(RETRY * self.chance.uniform(0.5, 1.0), supervisor.HelloDue())
            case _:
                assert_never(message)
        return None

    # Instances.

    def _resume(self, record: Record) -> None:
        identifier, state = record.order.id, record.instance.state
        served = record.instance.served
        proven = state in ("ready", "unready")
        self._lives[identifier] = Life("ready" if proven else "starting", served=served, proven=proven)
        process = self._machine.processes.get(identifier)
        if state == "stopping" and process is None:
            self._forget(record)
        elif state == "stopping" and process is not None:
            self._machine.end(process)
        elif process is not None:
            self._look_at(identifier)
            self._give_time(record, process)
        elif state == "building":
            self._build(record)
        elif state != "failed":
            self._ended(record, "ended while no worker was there to see it")

    def _run(self, order: supervisor.Run) -> None:
        if order.id in self._machine.disk:
            return
        instance = Instance(
            order.id, order.spec.name, order.revision, self.ref.node, state="building", since=self.wall()
        )
        record = self._machine.disk[order.id] = Record(order, instance)
        self._lives[order.id] = Life()
        self._manager.tell(worker_mgr.InstanceChanged(instance))
        self._build(record)

    def _build(self, record: Record) -> None:
        cached = record.order.artifact in self._machine.built
        self.after(0.0 if cached else self._machine.draw(self._machine.habits.build), BuildEnded(record.order.id))

    def _built(self, identifier: str) -> None:
        if self._state(identifier) != "building":
            return
        record = self._machine.disk[identifier]
        if fails_to_build(record.order.spec):
            self._update(record, "failed", detail="the build failed")
            return
        self._machine.built.add(record.order.artifact)
        self._start(record)

    def _start(self, record: Record) -> None:
        process = self._machine.start(record.order)
        self._update(record, "starting", host="127.0.0.1", port=20_000 + process.pid)
        self._give_time(record, process)

    def _give_time(self, record: Record, process: Process) -> None:
        self.after(record.order.spec.health.deadline, DeadlineDue(record.order.id, process.pid))

    def _stop_instance(self, identifier: str) -> None:
        record = self._machine.disk.get(identifier)
        if record is None or record.instance.state == "stopping":
            return
        self._update(record, "stopping")
        process = self._machine.processes.get(identifier)
        if process is None:
            self._forget(record)
        else:
            self._machine.end(process)

    def _forget(self, record: Record) -> None:
        del self._machine.disk[record.order.id]
        self._update(record, "stopped")

    def _look_at(self, identifier: str) -> None:
        record = self._machine.disk.get(identifier)
        if record is None:
            return
        process, state = self._machine.processes.get(identifier), record.instance.state
        if process is None:
            if state == "stopping":
                self._forget(record)
            elif state in ("starting", "ready", "unready"):
                self._ended(record, "exited with status 1")
        elif state in ("starting", "ready", "unready"):
            self._checked(record, process)

    def _checked(self, record: Record, process: Process) -> None:
        life = self._lives[record.order.id]
        for _ in range(1 if process.healthy else lifecycle.UNREADY_AFTER):
            life, _ = lifecycle.checked(life, process.healthy)
        self._lives[record.order.id] = msgspec.structs.replace(life, failures=0)
        if life.state != record.instance.state:
            self._update(record, life.state, served=life.served)

    def _ended(self, record: Record, how: str) -> None:
        verdict = lifecycle.ended(self._lives[record.order.id], self.now(), self.chance.random)
        if isinstance(verdict, lifecycle.Failed):
            self._update(record, "failed", detail=f"it {how}")
            return
        self._lives[record.order.id] = verdict.life
        self._update(record, "starting", restarts=record.instance.restarts + 1, detail=f"it {how}; started again")
        self.after(verdict.after, StartDue(record.order.id))

    def _too_late(self, identifier: str, pid: int) -> None:
        process = self._machine.processes.get(identifier)
        if process is not None and process.pid == pid and self._state(identifier) == "starting":
            if not self._lives[identifier].served:
                self._update(self._machine.disk[identifier], "failed", detail="did not answer in time")
            self._machine.end(process)

    def _state(self, identifier: str) -> State | None:
        record = self._machine.disk.get(identifier)
        return None if record is None else record.instance.state

    def _update(self, record: Record, state: State, **fields: Any) -> None:
        old = record.instance
        since = old.since if state == old.state else self.wall()
        process = self._machine.processes.get(old.id)
        pid = 0 if process is None else process.pid
        record.instance = msgspec.structs.replace(old, state=state, since=since, pid=pid, **fields)
        self._manager.tell(worker_mgr.InstanceChanged(record.instance))

    # The controller.

    def _say_hello(self) -> None:
        hello = worker_mgr.Hello(self.ref.node, self._pid, f"tcp://{self.ref.node}:1", 2, 1 << 30, self._instances())
        self.pipe(self._manager, hello, ASK, supervisor.HelloAnswered)

    def _greeted(self, result: Any) -> None:
        if isinstance(result, Refused):
            self.after(RETRY * self.chance.uniform(0.8, 1.2), supervisor.HelloDue())
            return
        self._is_known = True
        self.watch(self._manager)
        self._tell_inventory()

    def _tell_inventory(self) -> None:
        self._manager.tell(supervisor.Inventory(self.ref.node, self._instances()))

    def _instances(self) -> tuple[Instance, ...]:
        return tuple(record.instance for record in self._machine.disk.values())

    def _beat(self) -> float:
        return BEAT * self.chance.uniform(0.9, 1.1)
