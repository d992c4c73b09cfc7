"""The worker manager: who is there, who is silent, who is gone, and what they report."""

from __future__ import annotations

from typing import assert_never

import msgspec

from tucano.actors.kernel import Actor, Down, Refused
from tucano.actors.messages import deployer, discovery, notifier
from tucano.actors.messages.model import Instance, Worker
from tucano.actors.messages.supervisor import Inventory
from tucano.actors.messages.worker_mgr import (
    AllMetrics,
    Hello,
    InstanceChanged,
    LoadDue,
    Loaded,
    Metrics,
    PatienceDue,
    ShowMetrics,
)

PATIENCE = 0.75
"""Seconds between a worker's silence being noticed (two seconds, see `transport.detector`) and its being given up.

Its services go on meanwhile: a worker's process that was killed is back, with them, well within that."""

BALANCER_PATIENCE = 10.0
"""The same for a balancer: nothing is to be placed elsewhere, and one that ends has a successor in a second or two."""

RETURN = 10.0
"""Seconds that workers have to say hello to a controller that has just started: nothing is replaced before."""

_Inbox = Hello | Metrics | InstanceChanged | Inventory | PatienceDue | ShowMetrics | Loaded | LoadDue | Down


class WorkerMgr(Actor):
    """Looks after workers and balancers.

    Args:
        record: address of discovery.
        deployer: address of the deployer.
        people: address of the notifier.
        patience: seconds that a silent worker has to come back.

    """

    Inbox = _Inbox

    def __init__(
        self,
        record: str = "discovery",
        deployer: str = "deployer",
        people: str = "notifier",
        patience: float = PATIENCE,
    ) -> None:
        super().__init__()
        self._record = self.address(record)
        self._deployer = self.address(deployer)
        self._people = self.address(people)
        self._patience = patience
        self._workers: dict[str, Worker] = {}
        self._metrics: dict[str, Metrics] = {}
        self._present: set[str] = set()  # those who have been heard, and whose silence we shall be told of

    def on_start(self) -> None:
        """Ask the record whom to expect: after a restart, who does not come back in time is gone."""
        self._load()

    def receive(self, message: _Inbox) -> object:
        """Handle one message."""
        match message:
            case Hello(node):
                self.insist(node)
                self._hello(message)
            case Metrics(node):
                self.insist(node)
                self._metrics[node] = message
                self._heard(node)
            case InstanceChanged(instance):
                self.insist(instance.node)
                self._heard(instance.node)
                self._deployer.tell(deployer.InstanceReported(instance))
            case Inventory(node, instances):
                self.insist(node)
                self._heard(node)
                self._deployer.tell(deployer.InventoryReported(node, _on(node, instances)))
            case Loaded(result):
                self._loaded(result)
            case LoadDue():
                self._load()
            case Down(who) if who == self._record.address:
                self._load()
            case Down(who, why, detail):
                self._silent(who.partition("/")[0], detail or why)
            case PatienceDue(node, silent_since):
                self._out_of_patience(node, silent_since)
            case ShowMetrics():
                ready = [name for name, worker in self._workers.items() if worker.state == "ready"]
                return AllMetrics(tuple(self._metrics[name] for name in ready if name in self._metrics))
            case _:
                assert_never(message)
        return None

    def _load(self) -> None:
        self.pipe(self._record, discovery.Range("worker/"), 5.0, Loaded)

    def _loaded(self, result: discovery.Entries | Refused) -> None:
        if isinstance(result, Refused):
            self.after(0.2, LoadDue())
            return
        self.watch(self._record)
        recorded = {entry.worker.name: entry.worker for entry in result.entries if entry.worker is not None}
        for worker in self._workers.values():  # a record that crashed has lost what it had not yet written
            if worker != recorded.get(worker.name):
                self._keep(worker)
        for worker in recorded.values():
            if worker.name not in self._workers:  # it has not been heard yet: it has a while for that
                self._workers[worker.name] = worker
                self.after(RETURN, PatienceDue(worker.name, worker.since))

    def _hello(self, hello: Hello) -> None:
        before = self._workers.get(hello.node)
        is_new = before is None or before.pid != hello.pid or before.state != "ready"
        since = self.wall() if before is None or is_new else before.since
        worker = Worker(hello.node, "ready", since, hello.pid, hello.address, hello.cpus, hello.memory, hello.role)
        if worker != before:
            self._keep(worker)
        self._watch_node(worker)
        if is_new:
            adopted = f", {len(hello.instances)} instances running" if hello.instances else ""
            self._event(f"{hello.role}_joined", hello.node, f"process {hello.pid}{adopted}")
        if hello.role == "worker":
            self._deployer.tell(deployer.InventoryReported(hello.node, _on(hello.node, hello.instances)))

    def _heard(self, node: str) -> None:
        """A word of a node that was silent, or that we have not heard before: it is there."""
        worker = self._workers.get(node)
        if worker is None or node in self._present:
            return
        if worker.state != "ready":
            worker = msgspec.structs.replace(worker, state="ready", since=self.wall())
            self._keep(worker)
            self._event(f"{worker.role}_back", node, "it is heard again")
        self._watch_node(worker)

    def _silent(self, node: str, why: str) -> None:
        worker = self._workers.get(node)
        self._present.discard(node)
        if worker is None or worker.state != "ready":
            return
        silent = msgspec.structs.replace(worker, state="silent", since=self.wall())
        self._keep(silent)
        self._event(f"{worker.role}_silent", node, why)
        patience = self._patience if worker.role == "worker" else max(self._patience, BALANCER_PATIENCE)
        self.after(patience, PatienceDue(node, silent.since))

    def _out_of_patience(self, node: str, silent_since: float) -> None:
        worker = self._workers.get(node)
        if worker is None or node in self._present or worker.since != silent_since or worker.state == "gone":
            return
        self._keep(msgspec.structs.replace(worker, state="gone", since=self.wall()))
        text = "not heard of for too long" + ("; its instances are placed elsewhere" * (worker.role == "worker"))
        self._event(f"{worker.role}_lost", node, text)
        self._people.tell(notifier.Notify(f"{worker.role}_lost", node, text))

    def _watch_node(self, worker: Worker) -> None:
        name = "supervisor" if worker.role == "worker" else "balancer"
        self._present.add(worker.name)
        self.watch(self.address(f"{worker.name}/{name}"))

    def _keep(self, worker: Worker) -> None:
        self._workers[worker.name] = worker
        self._record.tell(discovery.Put(f"worker/{worker.name}", worker=worker))

    def _event(self, kind: str, subject: str, text: str) -> None:
        self._record.tell(discovery.Record(kind, subject, text))


def _on(node: str, instances: tuple[Instance, ...]) -> tuple[Instance, ...]:
    """A worker's word on instances is on its own, whatever it says of where they are."""
    return tuple(i if i.node == node else msgspec.structs.replace(i, node=node) for i in instances)
