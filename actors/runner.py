"""The runner: one actor for each instance, which starts its process, watches it, checks its health and stops it.

It decides by `lifecycle` and `restart`, and keeps its record so that whoever comes after it (the next incarnation of
the actor, or the next worker process) goes on with the process that runs.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, assert_never

import msgspec

from tucano.actors.disk import logs
from tucano.actors.disk.records import Record, Records
from tucano.actors.kernel import Actor, Refused
from tucano.actors.messages import runner, supervisor
from tucano.actors.messages.model import State
from tucano.actors.proc.exits import EXITS
from tucano.actors.proc.health import CHECKS, Answer, Check, Target
from tucano.actors.proc.ports import PORTS
from tucano.actors.proc.process import (
    INSTANCE,
    Process,
    environment,
    in_words,
    kill_orphans,
    kill_strays,
    present,
    spawn,
    started_for,
)
from tucano.actors.pure import lifecycle
from tucano.actors.pure.lifecycle import Life

log = logging.getLogger("tucano.runner")

UPKEEP: Final = 1.0
"""Seconds between two looks at the size of the output."""


_Inbox = (
    runner.Stop | runner.Report | runner.ProcessEnded | runner.HealthChecked | runner.StartDue | runner.CheckDue
    | runner.DeadlineDue | runner.UpkeepDue
)  # fmt: skip


class Runner(Actor):
    """Looks after one instance.

    Args:
        home: the worker's directory, which holds the instance's record.
        id: the instance.
        supervisor: address of who is told.
        host: where it listens: an address of this machine at which the balancer reaches it.

    """

    Inbox = _Inbox

    def __init__(
        self,
        home: Path,
        id: str,  # noqa: A002 - its name everywhere
        supervisor: str = "supervisor",
        host: str = "127.0.0.1",
    ) -> None:
        super().__init__()
        self._id = id
        self._home = home
        self._records = Records(home)
        self._log = self._records.log(id)
        self._supervisor = self.address(supervisor)
        self._host = host
        self._found: Record | None = None
        self._unwritten = False
        self._life = Life()
        self._process: Process | None = None
        self._serial = 0
        self._check: Check | None = None
        self._joined = False
        self._deadline: float | None = None
        self._because = ""  # why we killed the process ourselves

    def on_start(self) -> None:
        """Go on from the record."""
        self._found = self._records.read(self._id)
        if self._found is None:
            log.warning("%s has no record any more: nothing to look after", self._id)
            return
        CHECKS.join()
        self._joined = True
        self.every(UPKEEP, runner.UpkeepDue())
        self._resume(self._found)
        self._report()

    def on_stop(self) -> None:
        """The process goes on; the next incarnation adopts it."""
        self._let_go()
        if self._found is not None:
            PORTS.release(self._record.instance.port)

    def on_crash(self) -> None:
        """See `on_stop`; the port stays ours."""
        self._let_go()

    def receive(self, message: _Inbox) -> None:
        """Handle one message."""
        if self._found is None:
            return
        match message:
            case runner.Stop():
                self._stop_process()
            case runner.Report():
                self._report()
            case runner.ProcessEnded(serial, status):
                if serial == self._serial:
                    self._process_ended(status)
            case runner.HealthChecked(serial, healthy, said):
                if serial == self._serial:
                    self._checked(healthy, said)
            case runner.StartDue(serial):
                if serial == self._serial and self._state == "starting":
                    self._start()
            case runner.CheckDue(serial):
                if serial == self._serial and self._is_running():
                    self._check = CHECKS.once(self._target(), self._tell_check())
            case runner.DeadlineDue(serial):
                if serial == self._serial and self._check is not None and not self._life.proven:
                    self._too_late(self._check)
            case runner.UpkeepDue():
                self._upkeep()
            case _:
                assert_never(message)

    # What is remembered and told.

    @property
    def _record(self) -> Record:
        assert self._found is not None
        return self._found

    @property
    def _state(self) -> State:
        return self._record.instance.state

    def _update(self, state: State, **fields: Any) -> None:
        """Tell and remember: bad news first tell, so that users are sent elsewhere; good news first remember."""
        old = self._record.instance
        since = old.since if state == old.state else self.wall()
        pid = 0 if self._process is None else self._process.pid
        new = msgspec.structs.replace(old, state=state, since=since, pid=pid, **fields)
        record = msgspec.structs.replace(self._record, instance=new, process=self._process)
        if record == self._found:
            return
        self._found = record
        if state == "ready":
            self._write()
            self._report()
        else:
            self._report()
            if state != "stopped":  # from here on the supervisor deletes it
                self._write()

    def _report(self) -> None:
        self._supervisor.tell(supervisor.RunnerReported(self._record.instance))

    def _write(self) -> None:
        try:
            self._records.write(self._record)
            self._unwritten = False
        except OSError as error:
            self._unwritten = True  # tried again at the next upkeep
            log.error("cannot remember %s: %s; make room on the disk of this worker", self._id, error)

    def _upkeep(self) -> None:
        if self._unwritten and self._state != "stopped":
            self._write()
        try:
            logs.bound(self._log)
        except OSError as error:
            log.error("cannot cut the output of %s: %s", self._id, error)

    # Its process.

    def _resume(self, record: Record) -> None:
        instance, process = record.instance, record.process
        if instance.port:
            PORTS.claim(instance.port)
        if process is None and instance.state in ("starting", "stopping"):
            process = started_for(self._id, self._home)  # a worker may have died between starting it and noting it
        if process is not None and present(process):
            self._process = process
            self._watch(process)
        elif process is not None:
            kill_orphans(process)
        self._life = Life(
            state=instance.state if instance.state in ("ready", "unready") else "starting",
            served=instance.served,
            proven=instance.state in ("ready", "unready"),
        )
        match instance.state:
            case "failed" | "stopping":
                self._end(instance.state, instance.detail)
            case "building":
                self._start()
            case _ if self._process is None:
                self._ended("ended while no worker was there to see it")
            case _:
                self._update(instance.state)
                self._look_after()

    def _start(self) -> None:
        """Start the process."""
        spec = self._record.order.spec
        self._because = ""
        try:
            port = self._record.instance.port or PORTS.take(self.chance)
        except Refused as refused:
            self._end("failed", f"{self._id} was not started: {refused.detail}")
            return
        self._update("starting", host=self._host, port=port)
        own = {"PORT": str(port), "HOST": self._host, "TUCANO_SERVICE": spec.name, INSTANCE: self._id}
        if spec.route.protocol == "zmq":
            own["TUCANO_ENDPOINT"] = f"tcp://{self._host}:{port}"
        try:
            logs.bound(self._log)
            env = environment(os.environ, **{**spec.run.env, **own})
            self._process = spawn(spec.run.script, Path(self._record.directory), env, self._log)
        except (OSError, ValueError) as error:
            self._ended(f"could not be started: {error}")
            return
        self._watch(self._process)
        self._look_after()
        self._update("starting")

    def _look_after(self) -> None:
        """Check the health of the process that has just been started or adopted."""
        if self._life.proven:
            self._check = CHECKS.once(self._target(), self._tell_check())
            return
        self._check = CHECKS.until_healthy(self._target(), self._tell_check())
        if self._deadline is None or self._life.served:
            self._deadline = self.now() + self._record.order.spec.health.deadline
        self.after(self._deadline - self.now(), runner.DeadlineDue(self._serial))

    def _watch(self, process: Process) -> None:
        self._serial += 1
        serial = self._serial
        EXITS.watch(process, lambda status: self.note(runner.ProcessEnded(serial, status)))

    def _process_ended(self, status: int | None) -> None:
        self._process = None
        self._cancel_check()
        kill_strays(self._id, self._home)
        if self._state == "stopping":
            self._update("stopped")
        elif self._state == "failed":
            self._update("failed")
        else:
            self._ended(self._because or in_words(status))

    def _ended(self, how: str) -> None:
        """It ended though nobody wanted it to."""
        verdict = lifecycle.ended(self._life, self.now(), self.chance.random)
        if isinstance(verdict, lifecycle.Failed):
            when = f"within {verdict.seconds:.0f} s" if self._life.served else "without ever having been ready"
            self._end("failed", logs.with_tail(f"{self._id} {how} ({verdict.times} times {when})", self._log))
            return
        self._life = verdict.life
        instance = self._record.instance
        port = instance.port
        if not verdict.same_port:
            PORTS.release(port)
            port = 0
        self._update("starting", port=port, restarts=instance.restarts + 1, detail=f"it {how}; started again")
        if verdict.after > 0:
            self._serial += 1
            self.after(verdict.after, runner.StartDue(self._serial))
        else:
            self._start()

    def _stop_process(self) -> None:
        if self._state not in ("stopping", "stopped"):
            self._end("stopping", "")

    def _end(self, state: State, detail: str) -> None:
        """Stop the process, if there is one, because it is not wanted or has failed."""
        self._cancel_check()
        self._update(state, detail=detail)
        if self._process is not None:
            EXITS.stop(self._process, self._record.order.spec.run.grace)
        elif state == "stopping":
            self._update("stopped")

    # Its health.

    def _is_running(self) -> bool:
        return self._process is not None and self._state in ("starting", "ready", "unready")

    def _target(self) -> Target:
        spec, instance = self._record.order.spec, self._record.instance
        return Target(instance.host or self._host, instance.port, spec.name, spec.health.http, spec.health.timeout)

    def _tell_check(self) -> Callable[[Answer], None]:
        serial = self._serial
        return self.noting(lambda answer: runner.HealthChecked(serial, answer.healthy, answer.said))

    def _checked(self, healthy: bool, said: str) -> None:
        if not self._is_running() or self._process is None:
            return
        self._life, hung = lifecycle.checked(self._life, healthy)
        if hung:
            self._kill(self._process, f"did not answer {self._target()} {self._life.failures} times in a row: {said}")
            return
        if self._life.state != self._state:
            detail = "" if healthy else f"it did not answer {self._target()}: {said}"
            self._update(self._life.state, served=self._life.served, detail=detail)
        interval = self._record.order.spec.health.interval
        if self._life.state == "unready":
            interval = min(interval, 1.0)  # it may be back any moment
        self.after(interval * self.chance.uniform(0.9, 1.1), runner.CheckDue(self._serial))

    def _too_late(self, check: Check) -> None:
        """It has not become ready in time."""
        within = self._record.order.spec.health.deadline
        how = f"did not answer {self._target()} within {within:g} s: {check.last.said}"
        if self._life.served and self._process is not None:
            self._kill(self._process, how)
        else:
            self._end("failed", logs.with_tail(f"{self._id} {how}", self._log))

    def _kill(self, process: Process, why: str) -> None:
        """Kill a process that does not do its work: that counts as a crash."""
        self._cancel_check()
        self._because = why
        EXITS.stop(process, 0)

    def _cancel_check(self) -> None:
        if self._check is not None:
            CHECKS.cancel(self._check)
            self._check = None

    def _let_go(self) -> None:
        self._cancel_check()
        if self._process is not None:
            EXITS.unwatch(self._process)
        if self._joined:
            self._joined = False
            CHECKS.leave()
