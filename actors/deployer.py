"""The deployer: makes what is wanted and what is agree, a step at a time.

It is the only one who changes services and instances in the record. Each change, each report and each second it
compares (`rollout.plan`) and acts; every command to a worker is harmless when it comes twice, so that whatever was lost
on the way is said again.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import assert_never

import msgspec

from tucano.actors.kernel import Actor, Down, Refused, Reply
from tucano.actors.messages import discovery, notifier, supervisor
from tucano.actors.messages.deployer import (
    Accepted,
    Deploy,
    Drained,
    InstanceReported,
    InventoryReported,
    ListeningReported,
    Loaded,
    ReconcileDue,
    Restart,
    Scale,
    Undeploy,
    Written,
)
from tucano.actors.messages.model import Instance, Revision, Service, Worker
from tucano.actors.pure import rollout
from tucano.actors.pure.draining import Word, drained
from tucano.actors.pure.hearing import complaint, heard_at
from tucano.actors.pure.holdings import Holdings
from tucano.actors.pure.instance import ACTIVE, reported
from tucano.actors.pure.placement import place
from tucano.actors.pure.setbacks import Setbacks
from tucano.actors.pure.wanted import Command, wanted

TICK = 1.0
"""Seconds between two comparisons when nothing happens."""

DRAIN = 10.0
"""Seconds that a draining instance has at most: then it is stopped whatever a balancer says."""

HEARING = 5.0
"""Seconds, from when its instances changed last, in which balancers say whether they listen for a tcp service."""

LOST = 600.0
"""Seconds that an instance of a worker that is gone is remembered, in case both come back."""

_Inbox = (
    Deploy | Scale | Restart | Undeploy | InstanceReported | InventoryReported | ListeningReported | Drained
    | ReconcileDue | Written | Loaded | discovery.Changed | Down
)  # fmt: skip


class Deployer(Actor):
    """Deployments and teardown.

    Args:
        record: address of discovery.
        people: address of the notifier.
        ports: those that the cluster itself listens at, and what for.

    """

    Inbox = _Inbox

    def __init__(
        self, record: str = "discovery", people: str = "notifier", ports: Mapping[int, str] = MappingProxyType({})
    ) -> None:
        super().__init__()
        self._ports = ports
        self._record = self.address(record)
        self._people = self.address(people)
        self._loaded = False
        self._known = Holdings()
        self._writing: dict[str, list[tuple[Service | None, Reply]]] = {}  # by key: commands that wait for the disk
        self._setbacks = Setbacks()
        self._words: dict[str, Word] = {}  # by balancer: with which draining instances it is done
        self._unheard: dict[str, Mapping[str, str]] = {}  # by balancer: see `ListeningReported`

    def on_start(self) -> None:
        """Read the record; until then commands are refused."""
        self._load()
        self.after(TICK, ReconcileDue())

    def receive(self, message: _Inbox) -> object:
        """Handle one message."""
        match message:
            case Deploy() | Scale() | Restart() | Undeploy():
                self.insist(self.ref.node)
                self._command(message)
            case InstanceReported(instance):
                self.insist(self.ref.node)
                self._reported(instance)
            case InventoryReported(node, instances):
                self.insist(self.ref.node)
                self._inventory(node, instances)
            case Drained(ids, balancer, pid):
                self.insist(balancer)
                self._words[balancer] = Word(pid, frozenset(ids))
                self._end_drained()
            case ListeningReported(balancer, unheard):
                self.insist(balancer)
                self._unheard[balancer] = unheard
                self._listen()
            case ReconcileDue():
                self._tick()
                self.after(TICK, ReconcileDue())
            case Written(key, result):
                self._written(key, result)
            case Loaded(result):
                self._on_loaded(result)
            case discovery.Changed(entries=entries):
                self.insist(self._record.node)
                self._workers_changed(entries)
            case Down():
                self._load()
            case _:
                assert_never(message)
        return None

    # The record.

    def _load(self) -> None:
        watch = discovery.Watch(self.ref, ("service/", "instance/", "worker/"))
        self.pipe(self._record, watch, 5.0, Loaded)

    def _on_loaded(self, result: discovery.Entries | Refused) -> None:
        if isinstance(result, Refused):
            self.after(0.2, Down(self._record.address, "not_found"))
            return
        self.watch(self._record)
        if self._loaded:  # the record restarted: what it wrote late may be missing from it, and we have it
            for service in self._known.services.values():
                self._record.tell(discovery.Put(f"service/{service.name}", service=service))
            for instance in self._known.instances.values():
                self._keep(instance)
            for entry in result.entries:
                if entry.instance is not None and entry.instance.id not in self._known.instances:
                    self._record.tell(discovery.Delete(entry.key))
            self._workers_changed(result.entries)
            return
        self._known.load(result.entries)
        self._loaded = True
        self._workers_changed(result.entries)
        self._tick()

    def _workers_changed(self, entries: Sequence[discovery.Entry]) -> None:
        workers = [entry.worker for entry in entries if entry.worker is not None]
        for worker in workers:
            self._known.workers[worker.name] = worker
            if worker.state != "ready":
                there = self._known.on(worker.name)
                self._known.doubt(there)
                if worker.state == "gone":
                    self._lose(there, "its worker is gone")
        if workers:  # all else is our own doing
            self._reconcile_all()

    def _keep(self, instance: Instance) -> None:
        self._known.instances[instance.id] = instance
        self._record.tell(discovery.Put(f"instance/{instance.id}", instance=instance))

    def _remove(self, instance: Instance) -> None:
        self._known.remove(instance)
        self._record.tell(discovery.Delete(f"instance/{instance.id}"))

    def _event(self, kind: str, subject: str, text: str) -> None:
        self._record.tell(discovery.Record(kind, subject, text))

    # Commands: decided at once, acknowledged when the record has them on its disk.

    def _command(self, message: Command) -> None:
        if not self._loaded:
            raise Refused("unavailable", "the controller is starting: try again in a moment")
        decided = wanted(self._known.services, message, self.wall(), self._ports)
        name = decided.service.name
        reply = self.reply_later()

        def settled(result: object) -> None:
            if isinstance(result, Refused):
                reply.refuse(result)
                return
            self._event(decided.event, name, decided.text)
            reply.answer(Accepted(name, decided.revision))

        self._setbacks.pardon(name)
        self._write(decided.service, Reply(settled))

    def _write(self, service: Service, reply: Reply | None = None) -> None:
        key = f"service/{service.name}"
        self._writing.setdefault(key, []).append(
            (self._known.services.get(service.name), reply or Reply(lambda _: None))
        )
        self._known.services[service.name] = service
        self.pipe(self._record, discovery.Put(key, service=service), 10.0, functools.partial(Written, key))

    def _written(self, key: str, result: object) -> None:
        before, reply = self._writing[key].pop(0)
        if isinstance(result, Refused):
            name = key.partition("/")[2]
            if before is None:
                self._known.services.pop(name, None)
            elif not self._writing[key]:
                self._known.services[name] = before
            reply.refuse(result)
            return
        reply.answer(None)
        self._reconcile(key.partition("/")[2])

    # Reports.

    def _reported(self, report: Instance) -> None:
        known = self._known.instances.get(report.id)
        if known is None:
            if self._loaded and report.state not in ("stopping", "stopped"):
                self._tell_stop(report)  # it was removed while its worker was away
            return
        if known.node != report.node:  # two cannot have it: what is not as the record has it ends
            self.suspect(f"{report.node} reports {report.id}, which is on {known.node}")
            self._tell_stop(report)
            return
        self._known.confirm(report.id)
        if report.state == "pending":
            self._refused(known, report.detail)
            return
        now = reported(known, report)
        if now == known:
            return
        if now.state == "stopped":
            self._event("instance_stopped", now.id, f"on {now.node}")
            self._remove(now)
        else:
            self._keep(now)
            if now.state != known.state:
                self._event(f"instance_{now.state}", now.id, _says(now))
        if now.state == "failed" and known.state != "failed":
            self._setbacks.note(now.service, now.node, self.now(), self.chance.random)
            self._people.tell(notifier.Notify("instance_failed", now.id, _says(now)))
        self._reconcile(now.service)

    def _refused(self, known: Instance, why: str) -> None:
        """Its worker cannot take it, and says so whenever it is told to: it goes where it can be, if there is such."""
        if known.state != "pending":
            return
        self._setbacks.refuse(known.node, self.now())
        refused = msgspec.structs.replace(known, detail=why)
        if refused != known:
            self._keep(refused)
            self._event("instance_refused", known.id, _says(refused))
            self._people.tell(notifier.Notify("instance_refused", known.id, _says(refused)))
        if self._place(known.service, only_willing=True) is not None:
            self._tell_stop(known)  # an order that is still on its way may find room
            self._remove(known)
            self._reconcile(known.service)

    def _inventory(self, node: str, instances: Sequence[Instance]) -> None:
        if not self._loaded:
            return
        there = {instance.id for instance in instances}
        for instance in instances:
            self._reported(instance)
        for known in [one for one in self._known.on(node) if one.id not in there]:
            if known.state == "pending":
                self._tell_run(known)
            elif known.state in ACTIVE:
                self._lose([known], f"{node} does not know it any more")
            else:
                self._remove(known)
                self._reconcile(known.service)

    def _listen(self) -> None:
        """Write down at which ports users are heard."""
        for service in list(self._known.services.values()):
            patient = self.wall() - self._known.newest(service.name) < HEARING
            why = complaint(service, self._unheard, self._known.workers)
            heard = heard_at(service, self._unheard, self._known.workers, patient=patient)
            if (why, heard) == (service.unheard, service.heard):
                continue
            self._write(msgspec.structs.replace(service, unheard=why, heard=heard))
            if why == service.unheard:
                continue
            opened = f"users can connect at {service.route.port}"
            self._event("port_refused" if why else "port_opened", service.name, why or opened)

    def _lose(self, instances: Sequence[Instance], why: str) -> None:
        for instance in instances:
            if instance.state not in ACTIVE:
                continue
            self._keep(msgspec.structs.replace(instance, state="lost", since=self.wall(), detail=why))
            self._event("instance_lost", instance.id, f"on {instance.node}: {why}")
            self._reconcile(instance.service)

    # Comparing and acting.

    def _tick(self) -> None:
        for instance in list(self._known.instances.values()):
            old = self.wall() - instance.since
            if instance.state not in ACTIVE and self._known.is_gone(instance.node):
                if instance.state != "lost" or old > LOST or self._known.is_leaving(instance.service):
                    self._remove(instance)
            elif instance.state == "pending":
                self._tell_run(instance)
            elif instance.state == "draining" and old > DRAIN:
                self._end(instance)
            elif instance.state == "stopping":
                self._tell_stop(instance)
        self._listen()
        self._reconcile_all()

    def _reconcile_all(self) -> None:
        if self._loaded:
            for name in list(self._known.services):
                self._reconcile(name)

    def _reconcile(self, name: str) -> None:
        service = self._known.services.get(name)
        if service is None or not self._loaded or self._writing.get(f"service/{name}"):
            return
        hold = service.rollout != "rolling" and self._setbacks.hold(name, self.now())
        for step in rollout.plan(service, self._known.of(name), hold=hold, unsure=self._known.is_unsure(name)):
            self._do(service, step)

    def _do(self, service: Service, step: rollout.Step) -> None:
        match step:
            case rollout.Create(revision):
                self._create(service, revision)
            case rollout.Drain(instance):
                self._keep(msgspec.structs.replace(instance, state="draining", since=self.wall()))
            case rollout.Stop(instance):
                self._end(instance)
            case rollout.Finish():
                self._write(msgspec.structs.replace(service, rollout="done", previous=None, detail=""))
                self._event("rollout_done", service.name, f"revision {service.target.number} is up")
            case rollout.Fail(reason):
                self._write(rollout.failed(service, reason))
                self._event("rollout_failed", service.name, f"revision {service.target.number}: {_line(reason)}")
                self._people.tell(notifier.Notify("rollout_failed", service.name, reason))
            case rollout.Forget():
                del self._known.services[service.name]
                self._setbacks.forget(service.name)
                self._record.tell(discovery.Delete(f"service/{service.name}"))
                self._event("service_removed", service.name, "nothing of it is left")
            case _:
                assert_never(step)

    def _create(self, service: Service, revision: Revision) -> None:
        node = self._place(service.name, only_willing=True) or self._place(service.name)
        if node is None:
            return  # no worker is ready: the next look tries again
        identifier = f"{service.name}-{self.fresh_id()}"
        instance = Instance(identifier, service.name, revision.number, node, since=self.wall())
        self._known.confirm(identifier)
        self._keep(instance)
        self._tell_run(instance)

    def _place(self, service: str, *, only_willing: bool = False) -> str | None:
        workers: Collection[Worker] = self._known.workers.values()
        if only_willing:
            workers = self._setbacks.willing(workers, self.now())
        return place(
            service, workers, self._known.instances.values(), self.chance.random, self._setbacks.avoid(service)
        )

    def _end(self, instance: Instance) -> None:
        if instance.state == "failed":
            self._tell_stop(instance)
            return
        self._keep(msgspec.structs.replace(instance, state="stopping", since=self.wall()))
        self._tell_stop(instance)

    def _tell_run(self, instance: Instance) -> None:
        revision = self._known.revision_of(instance)
        if revision is None:
            self._end(instance)  # nobody wants that revision any more
            return
        run = supervisor.Run(instance.id, revision.spec, revision.number, revision.artifact, revision.size)
        self.address(f"{instance.node}/supervisor").tell(run)

    def _tell_stop(self, instance: Instance) -> None:
        self.address(f"{instance.node}/supervisor").tell(supervisor.Stop(instance.id))

    def _end_drained(self) -> None:
        instances = self._known.instances
        draining = [one.id for one in instances.values() if one.state == "draining"]
        for identifier in drained(draining, self._known.workers.values(), self._words):
            self._end(instances[identifier])


def _line(text: str) -> str:
    return text.partition("\n")[0]


def _says(instance: Instance) -> str:
    where = f"on {instance.node}"
    return f"{where}: {_line(instance.detail)}" if instance.detail else where
