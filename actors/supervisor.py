"""The worker's supervisor: what the controller wants to run here is built, run and looked after.

It keeps the list; each instance is looked after by a runner, an actor of its own below the tree `runners`:

```
controller --Run--> supervisor --Make--> builder
                        |------StartChild--> runners (tree) --> runner.ID --> the service's process
controller <--InstanceChanged-- supervisor <--RunnerReported-- runner.ID
```

Its truth lies in the records on disk, and is repeated to the controller at each beat. It never stops a service because
somebody was away: neither the controller, nor this worker process, nor this actor.
"""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import Any, Final, assert_never

import msgspec
import psutil

from tucano.actors.disk import logs, workspace
from tucano.actors.disk.records import Record, Records
from tucano.actors.kernel import Actor, Child, Down, Ref, Refused, Reply, StartChild, StopChild
from tucano.actors.messages import builder, collector, runner, supervisor, worker_mgr
from tucano.actors.messages.model import Instance, State
from tucano.actors.proc.process import environment, kill_session, present, started_for
from tucano.actors.pure.roster import Entry, Roster
from tucano.actors.runner import Runner

log = logging.getLogger("tucano.supervisor")

BEAT: Final = 2.0
"""Seconds between two inventories."""

RETRY: Final = 0.5
"""Seconds before something is asked again of somebody who was not there."""

ASK: Final = 5.0
"""Seconds that an answer may take."""

BUILD: Final = 300.0
"""Seconds after which the builder is asked again; who asks again waits for the same build."""


_Inbox = (
    supervisor.Run | supervisor.Stop | supervisor.StopAll | supervisor.ReadLog | supervisor.RunnerReported
    | supervisor.RunnerStarted | supervisor.BuildDue | supervisor.BuildAnswered | supervisor.HelloDue
    | supervisor.HelloAnswered | supervisor.InventoryDue | builder.Fetching | Down
)  # fmt: skip


class Supervisor(Actor):
    """Runs instances.

    Args:
        home: the worker's directory.
        controller: address of the worker manager.
        builder: address.
        runners: address of the tree that has the runners.
        collector: address.
        bridge: where other nodes reach this one, for people.
        host: where services listen.

    """

    Inbox = _Inbox

    def __init__(
        self,
        home: Path,
        controller: str = "controller/worker_mgr",
        builder: str = "builder",
        runners: str = "runners",
        collector: str = "collector",
        bridge: str = "",
        host: str = "127.0.0.1",
    ) -> None:
        super().__init__()
        self._home = home
        self._controller = self.address(controller)
        self._builder = self.address(builder)
        self._runners = self.address(runners)
        self._collector = self.address(collector)
        self._bridge = bridge
        self._host = host
        self._records: Records
        self._roster = Roster()
        self._tracked: tuple[tuple[str, int], ...] = ()
        self._is_known = False  # the controller has answered our hello and is there
        self._waiting: list[tuple[Reply, int]] = []  # who wants everything stopped, and how many there were

    def on_start(self) -> None:
        """Go on with what the records say."""
        self._records = Records(self._home)
        records, damaged = self._records.load()
        for identifier, why in damaged:
            log.error("the record of %s is damaged and set aside: %s", identifier, why)
            self._end_stray(identifier)
        for record in records:
            self._resume(self._roster.add(record))
        self._say_hello()
        self.after(self._beat(), supervisor.InventoryDue())

    def receive(self, message: _Inbox) -> Any:
        """Handle one message."""
        match message:
            case supervisor.Run():
                self._run(message)
            case supervisor.Stop(identifier):
                if entry := self._roster.get(identifier):
                    self._stop_instance(entry)
            case supervisor.StopAll():
                self._waiting.append((self.reply_later(), len(self._roster)))
                for entry in self._roster:
                    self._stop_instance(entry)
                self._answer_stopped()
            case supervisor.ReadLog():
                return self._read_log(message)
            case supervisor.RunnerReported(instance):
                self.insist(self.ref.node)
                self._reported(instance)
            case supervisor.RunnerStarted(identifier, result):
                self._runner_started(identifier, result)
            case supervisor.BuildDue(identifier):
                if entry := self._roster.get(identifier):
                    self._build(entry)
            case supervisor.BuildAnswered(identifier, result):
                if entry := self._roster.get(identifier):
                    self._built(entry, result)
            case builder.Fetching(identifier, done, size):
                if (entry := self._roster.get(identifier)) and entry.is_building:
                    self._change(entry, "building", f"fetched {100 * done // size} % of {size / 1e6:.1f} MB")
            case supervisor.HelloDue():
                self._say_hello()
            case supervisor.HelloAnswered(result):
                self._greeted(result)
            case supervisor.InventoryDue():
                self._tell_all()
            case Down():
                self._is_known = False
                self.after(RETRY * self.chance.uniform(0.5, 1.0), supervisor.HelloDue())
            case _:
                assert_never(message)
        return None

    # What comes and goes.

    def _resume(self, entry: Entry) -> None:
        record, state = entry.record, entry.instance.state
        runs = record.process is not None and present(record.process)
        if runs or (state not in ("building", "failed") and Path(record.directory).is_dir()):
            self._start_runner(entry)
        elif state == "stopping":
            self._stop_instance(entry)
        elif state != "failed":
            entry.change("building", "", self.wall())
            self._write(entry)
            self._build(entry)

    def _run(self, order: supervisor.Run) -> None:
        if self._roster.get(order.id):
            return
        if self._waiting:
            raise Refused("stopping", f"{self.ref.node} is stopping all its instances: {order.id} is not started")
        key = workspace.key(order.artifact, order.spec.build, environment(os.environ)["PATH"])
        directory = str(workspace.Workspaces(self._home).directory(key))
        instance = Instance(
            order.id, order.spec.name, order.revision, self.ref.node, state="building", since=self.wall()
        )
        record = Record(order, directory, instance)
        try:
            self._records.write(record, durable=True)
        except OSError as error:
            why = self._cannot_write(error)
            refused = msgspec.structs.replace(instance, state="pending", detail=why)
            self._controller.tell(worker_mgr.InstanceChanged(refused))  # who told us does not wait for an answer
            raise Refused("no_room", f"{order.id} is not started: {why}") from error
        self._controller.tell(worker_mgr.InstanceChanged(instance))
        self._build(self._roster.add(record))

    def _cannot_write(self, error: OSError) -> str:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"no room on the disk of {self.ref.node}: make some in {self._home}"
        return f"{self.ref.node} cannot write to {self._home}: {error.strerror}"

    def _stop_instance(self, entry: Entry) -> None:
        entry.is_wanted = False
        if entry.has_runner:
            self._runner(entry.id).tell(runner.Stop())
            return
        self._change(entry, "stopping")
        if not self._roster.shares_build(entry):
            self._builder.tell(builder.Abandon(entry.record.directory))
        self._forget(entry)

    def _forget(self, entry: Entry) -> None:
        """Nothing of it runs any more: let nothing of it be left, and say so."""
        self._roster.remove(entry)
        if entry.has_runner:
            self._runners.tell(StopChild(self._runner(entry.id).name))
        self._records.remove(entry.id)
        logs.remove(self._records.log(entry.id))
        needed = self._roster.directories()
        if needed is not None:
            self._builder.tell(builder.Collect(needed))
        self._track()
        self._change(entry, "stopped")
        self._answer_stopped()

    def _answer_stopped(self) -> None:
        if not len(self._roster):
            for reply, count in self._waiting:
                reply.answer(count)
            self._waiting.clear()

    def _end_stray(self, identifier: str) -> None:
        """Kill what runs without a record: nobody could ever stop it, and the controller replaces it."""
        stray = started_for(identifier, self._home)
        if stray is not None:
            log.error("process %d of %s is killed: nobody knows any more how to run it", stray.pid, identifier)
            kill_session(stray.pid)

    # Builds.

    def _build(self, entry: Entry) -> None:
        order = entry.record.order
        make = builder.Make(order.spec.name, order.artifact, order.size, order.spec.build, self.ref, order.id)
        self.pipe(self._builder, make, BUILD, lambda result: supervisor.BuildAnswered(order.id, result))

    def _built(self, entry: Entry, result: Any) -> None:
        if not entry.is_building:
            return
        match result:
            case builder.Made(directory):
                if directory != entry.record.directory:
                    entry.record = msgspec.structs.replace(entry.record, directory=directory)
                    self._write(entry)
                self._start_runner(entry)
            case Refused(code="build_failed"):
                self._change(entry, "failed", result.detail)
                self._write(entry)
            case _:  # the builder was not there, or it took long
                self.after(RETRY, supervisor.BuildDue(entry.id))

    def _write(self, entry: Entry) -> None:
        try:
            self._records.write(entry.record)
        except OSError as error:
            log.error("cannot remember %s: %s; make room on the disk of this worker", entry.instance.id, error)

    # Runners.

    def _start_runner(self, entry: Entry) -> None:
        entry.has_runner = True
        args = {"home": self._home, "id": entry.id, "supervisor": self.ref.name, "host": self._host}
        start = StartChild(Child(self._runner(entry.id).name, Runner, args))
        self.pipe(self._runners, start, ASK, lambda result: supervisor.RunnerStarted(entry.id, result))

    def _runner(self, identifier: str) -> Ref:
        return self.address(f"runner.{identifier}")

    def _runner_started(self, identifier: str, result: Any) -> None:
        entry = self._roster.get(identifier)
        if entry is None or (isinstance(result, Refused) and result.code != "name_taken"):
            return  # forgotten, or started at a later beat
        self._runner(identifier).tell(runner.Report() if entry.is_wanted else runner.Stop())

    def _reported(self, instance: Instance) -> None:
        entry = self._roster.get(instance.id)
        if entry is None or not entry.has_runner:
            return
        is_news = entry.learn(instance)
        if instance.state == "stopped":
            self._forget(entry)
        elif is_news:
            self._controller.tell(worker_mgr.InstanceChanged(instance))
            self._track()

    def _change(self, entry: Entry, state: State, detail: str = "") -> None:
        self._controller.tell(worker_mgr.InstanceChanged(entry.change(state, detail, self.wall())))

    def _track(self) -> None:
        tracked = self._roster.processes()
        if tracked != self._tracked:
            self._tracked = tracked
            self._collector.tell(collector.Track(tracked))

    # The controller.

    def _say_hello(self) -> None:
        hello = worker_mgr.Hello(
            node=self.ref.node,
            pid=os.getpid(),
            address=self._bridge,
            cpus=len(os.sched_getaffinity(0)),
            memory=psutil.virtual_memory().total,
            instances=self._roster.instances(),
        )
        self.pipe(self._controller, hello, ASK, supervisor.HelloAnswered)

    def _greeted(self, result: Any) -> None:
        if isinstance(result, Refused):
            self.after(RETRY * self.chance.uniform(0.8, 1.2), supervisor.HelloDue())
            return
        self._is_known = True
        self.watch(self._controller)
        self._tell_inventory()  # it may have changed since the hello

    def _tell_all(self) -> None:
        """The beat: say all that there is, and mend what is missing."""
        self.after(self._beat(), supervisor.InventoryDue())
        if self._is_known:
            self._tell_inventory()
        self._tracked = ()  # the collector may be a new one
        self._track()
        for entry in self._roster:
            if entry.has_runner and not self._runner(entry.id).is_alive():
                self._start_runner(entry)
            elif entry.has_runner and not entry.is_wanted:
                self._runner(entry.id).tell(runner.Stop())

    def _tell_inventory(self) -> None:
        self._controller.tell(supervisor.Inventory(self.ref.node, self._roster.instances()))

    def _beat(self) -> float:
        return BEAT * self.chance.uniform(0.9, 1.1)

    # Logs.

    def _read_log(self, wanted: supervisor.ReadLog) -> supervisor.LogChunk:
        entry = self._roster.get(wanted.id)
        if entry is None:
            raise Refused("not_found", f"{self.ref.node} has no instance {wanted.id}")
        path = Path(f"{entry.record.directory}.log") if wanted.build else self._records.log(wanted.id)
        try:
            return supervisor.LogChunk(*logs.read(path, wanted.offset, wanted.limit))
        except OSError as error:
            raise Refused("not_readable", f"the output of {wanted.id} cannot be read: {error}") from error
