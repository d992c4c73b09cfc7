"""The gateway: the door for administrators and scripts, and where workers fetch artifacts.

Each request becomes an operation, checked; what the record knows is answered from a copy of it, all else is passed to
the component that it concerns and answered when that has.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, assert_never

import msgpack
import msgspec

from tucano.actors.disk.artifact import ArtifactError
from tucano.actors.disk.artifact_store import Store
from tucano.actors.kernel import Actor, Down, Refused
from tucano.actors.messages import balancer, deployer, discovery, node, operations, supervisor, worker_mgr
from tucano.actors.messages.gateway import (
    Answered,
    CollectDue,
    Followed,
    Gathered,
    Loaded,
    ReadArtifact,
    Received,
    StreamsDue,
    WatchDue,
)
from tucano.actors.messages.model import Event, Instance, Service, Worker
from tucano.actors.pure import views
from tucano.transport.door import Client, Door
from tucano.transport.security import Guest

ASK = 10.0
"""Seconds that a component has to answer."""

STREAM = 60.0
"""Seconds after which a follower of a stream who says nothing is taken to be gone."""

COLLECT = 300.0
"""Seconds between two looks for artifacts that no revision needs."""

_Inbox = (
    Received | Answered | Gathered | Followed | ReadArtifact | discovery.Changed | discovery.Happened | Loaded
    | WatchDue | StreamsDue | CollectDue | Down
)  # fmt: skip


class Gateway(Actor):
    """Receives requests and routes each to the right component.

    Args:
        make_door: makes the clients' socket.
        artifacts: where uploaded directories are kept.
        about: what `status` tells of the cluster besides: identity, version, ports.
        record: address of discovery.
        deployer: address of the deployer.
        manager: address of the worker manager.

    """

    Inbox = _Inbox

    def __init__(
        self,
        make_door: Callable[[], Door],
        artifacts: Callable[[], Store],
        about: Mapping[str, Any],
        record: str = "discovery",
        deployer: str = "deployer",
        manager: str = "worker_mgr",
    ) -> None:
        super().__init__()
        self._make_door = make_door
        self._make_store = artifacts
        self._about = about
        self._record = self.address(record)
        self._deployer = self.address(deployer)
        self._manager = self.address(manager)
        self._door: Door | None = None
        self._revision = -1
        self._last_event = -1  # at first: only the last one, which nobody follows yet
        self._services: dict[str, Service] = {}
        self._instances: dict[str, Instance] = {}
        self._workers: dict[str, Worker] = {}
        self._streams: dict[tuple[Client, int], tuple[float, Guest]] = {}  # last word of the follower, and who it is
        self._gathering: dict[tuple[Client, int], list[Any]] = {}
        self._started = self.now()

    def on_start(self) -> None:
        """Open the door."""
        self._store = self._make_store()
        self._door = self._make_door()
        self._door.start(self._on_request)
        self.note(WatchDue())
        self.after(STREAM / 4, StreamsDue())
        self.after(COLLECT, CollectDue())

    def on_stop(self) -> None:
        """Close the door."""
        if self._door is not None:
            self._door.close()

    on_crash = on_stop

    def receive(self, message: _Inbox) -> object:
        """Handle one message."""
        match message:
            case Received(client, frame, guest):
                self._received(client, frame, guest)
            case Answered(client, identifier, op, result):
                self._answer(client, identifier, op, result)
            case Gathered(client, identifier, op, expected, result):
                self._gathered(client, identifier, op, expected, result)
            case ReadArtifact(artifact, offset, limit):
                try:
                    return self._store.read(artifact, offset, min(limit, 1 << 20))
                except ArtifactError as error:
                    raise Refused("not_found", str(error)) from error
            case WatchDue():
                prefixes = ("service/", "instance/", "worker/")
                self.pipe(self._record, discovery.Watch(self.ref, prefixes), 2.0, Loaded)
            case Loaded(result):
                self._loaded(result)
            case discovery.Changed(previous, revision, entries):
                if previous == self._revision:
                    self._revision = revision
                    self._take(entries)
                elif revision > self._revision:
                    self.note(WatchDue())
            case discovery.Happened(events):
                self._happened(events)
            case Followed(result):
                if isinstance(result, discovery.Happened):  # if not, the record is down, and we shall be told
                    self._happened(result.events)
            case StreamsDue():
                self._streams = {s: last for s, last in self._streams.items() if self.now() - last[0] < STREAM}
                self.after(STREAM / 4, StreamsDue())
            case CollectDue():
                self._collect()
                self.after(COLLECT, CollectDue())
            case Down():
                self.note(WatchDue())
            case _:
                assert_never(message)
        return None

    # Clients.

    def _on_request(self, client: Client, frame: bytes, guest: Guest) -> None:
        """Called in the door's thread."""
        if not self.ref.tell(Received(client, frame, guest)) and self._door is not None:
            busy = {"code": "unavailable", "message": "the controller is too busy: try again in a moment"}
            self._door.send(client, msgpack.packb({"id": 0, "error": busy}))

    def _received(self, client: Client, frame: bytes, guest: Guest) -> None:
        identifier = 0
        try:
            plain = msgpack.unpackb(frame)
            if isinstance(plain, dict) and type(plain.get("id")) is int:
                identifier = plain["id"]
            request = msgspec.convert(plain, operations.Request)
            operation = operations.parse(request.op, request.args)
        except operations.BadRequest as error:
            self._answer(client, identifier, "", Refused(error.code, str(error)))
            return
        except (msgspec.ValidationError, msgpack.UnpackException, ValueError, RecursionError) as error:
            why = str(error) or type(error).__name__
            text = f"not a request: {why}; it must be a msgpack map {{v: 1, id: number, op: text, args: map}}"
            self._answer(client, identifier, "", Refused("bad_request", text))
            return
        for stream in self._streams:
            if stream[0] == client:
                self._streams[stream] = self.now(), guest
        try:
            if objection := operations.objection(operation, guest):
                raise Refused("forbidden", objection)
            answer = self._perform(client, identifier, operation, guest)
        except Refused as refused:
            answer = refused
        if answer is not None:
            self._answer(client, identifier, request.op, answer)

    def _perform(self, client: Client, identifier: int, operation: operations.Operation, guest: Guest) -> Any:
        """The answer, or None when it comes later."""

        def later(component: Any, message: Any, timeout: float = ASK) -> None:
            op = type(operation).__name__.lower()
            self.pipe(component, message, timeout, lambda result: Answered(client, identifier, op, result))

        match operation:
            case operations.Ping():
                return {}
            case operations.Status() | operations.Nodes() if self._revision < 0:
                raise Refused("unavailable", "the controller is starting: try again in a moment")
            case operations.Status() | operations.Nodes():
                later(self._manager, worker_mgr.ShowMetrics())
            case operations.Services():
                return {
                    "services": [views.line(s, self._instances.values()) for _, s in sorted(self._services.items())]
                }
            case operations.Show(name):
                shown = views.detail(self._service(name), self._instances.values())
                return shown if guest.role == "admin" else views.masked(shown)
            case operations.Artifact(artifact):
                return {"has": self._store.has(artifact), "next": 0}
            case operations.Upload():
                return self._upload(operation)
            case operations.Deploy(spec, artifact, size):
                if not self._store.has(artifact):
                    raise Refused("not_found", f"artifact {artifact[:12]} has not been uploaded: upload it first")
                later(self._deployer, deployer.Deploy(spec, artifact, size))
            case operations.Scale(name, replicas):
                later(self._deployer, deployer.Scale(name, replicas))
            case operations.Restart(name):
                later(self._deployer, deployer.Restart(name))
            case operations.Undeploy(name):
                later(self._deployer, deployer.Undeploy(name))
            case operations.Events(since, follow):
                if follow:
                    self._streams[client, identifier] = self.now(), guest
                later(self._record, discovery.Follow(since))
            case operations.Cancel(stream):
                return {"cancelled": self._streams.pop((client, stream), None) is not None}
            case operations.Logs(wanted, offset, limit, build):
                instance = self._instances.get(wanted)
                if instance is None:
                    raise Refused("not_found", f"no instance is called {wanted!r}: `show` lists a service's")
                later(self.address(f"{instance.node}/supervisor"), supervisor.ReadLog(wanted, offset, limit, build))
            case operations.Ps(name):
                self._ask_all(client, identifier, "ps", self._node_names(name), "node", node.Snapshot())
            case operations.Traffic():
                names = [w.name for w in self._workers.values() if w.role == "balancer" and w.state == "ready"]
                self._ask_all(client, identifier, "traffic", names, "balancer", balancer.ShowTraffic())
            case _:
                raise Refused("unknown_op", f"{type(operation).__name__} is not to be had here")
        return None

    def _answer(self, client: Client, identifier: int, op: str, result: Any) -> None:
        if isinstance(result, Refused):
            error = {"code": result.code, "message": str(result)}
            self._streams.pop((client, identifier), None)
            self._send(client, {"id": identifier, "error": error})
            return
        if isinstance(result, worker_mgr.AllMetrics):
            nodes = views.nodes(self._workers.values(), self._instances.values(), result, os.getpid(), self._about)
            result = {"nodes": nodes}
            if op == "status":
                uptime = round(self.now() - self._started, 1)
                result |= {**self._about, "uptime": uptime, "services": len(self._services)}
        self._send(client, {"id": identifier, "ok": msgspec.to_builtins(result, builtin_types=(bytes,))})

    def _send(self, client: Client, answer: dict[str, Any]) -> None:
        assert self._door is not None
        self._door.send(client, msgpack.packb(answer))

    def _ask_all(self, client: Client, identifier: int, op: str, names: list[str], actor: str, question: Any) -> None:
        """Ask the same of several nodes; answered when the last has answered or refused."""
        self._gathering[client, identifier] = []
        if not names:
            self._gathered(client, identifier, op, 0, None)
        for name in names:
            into = functools.partial(Gathered, client, identifier, op, len(names))
            self.pipe(self.address(f"{name}/{actor}"), question, 2.0, into)

    def _gathered(self, client: Client, identifier: int, op: str, expected: int, result: Any) -> None:
        answers = self._gathering.setdefault((client, identifier), [])
        answers.append(result)
        if len(answers) >= expected:
            del self._gathering[client, identifier]
            good = [answer for answer in answers if answer is not None and not isinstance(answer, Refused)]
            self._answer(client, identifier, op, views.gathered(op, good))

    def _happened(self, events: Sequence[Event]) -> None:
        """Pass events on to those who follow them."""
        fresh = [event for event in events if event.seq > self._last_event]
        if not fresh:
            return
        self._last_event = fresh[-1].seq
        assert self._door is not None
        for (client, identifier), (_, guest) in list(self._streams.items()):
            if self._door.admits(guest):
                self._send(client, {"id": identifier, "item": {"events": msgspec.to_builtins(fresh)}})
            else:
                del self._streams[client, identifier]

    # Artifacts.

    def _upload(self, upload: operations.Upload) -> dict[str, int]:
        try:
            if self._store.has(upload.artifact):
                return {"next": upload.size}
            self._store.begin(upload.artifact, upload.size)
            following = self._store.write(upload.artifact, upload.offset, upload.data)
            if following == upload.size:
                self._store.finish(upload.artifact)
            return {"next": following}
        except ArtifactError as error:
            raise Refused("refused", str(error)) from error

    def _collect(self) -> None:
        revisions = [r for s in self._services.values() for r in (s.target, s.previous) if r is not None]
        if self._revision >= 0:
            self._store.collect({revision.artifact for revision in revisions})

    # The record.

    def _loaded(self, result: discovery.Entries | Refused) -> None:
        if isinstance(result, Refused):
            self.after(0.1, WatchDue())
            return
        self.watch(self._record)
        self.pipe(self._record, discovery.Follow(self._last_event, self.ref), 5.0, Followed)
        self._revision = result.revision
        self._services, self._instances, self._workers = {}, {}, {}
        self._take(result.entries)

    def _service(self, name: str) -> Service:
        if name in self._services:
            return self._services[name]
        if self._revision < 0:
            raise Refused("unavailable", "the controller is starting: try again in a moment")
        known = ", ".join(sorted(self._services)) or "none yet"
        raise Refused("not_found", f"no service is called {name!r}; there are: {known}")

    def _node_names(self, wanted: str | None) -> list[str]:
        here = self.ref.node
        names = [here, *(name for name, worker in sorted(self._workers.items()) if worker.state == "ready")]
        if wanted is None:
            return names
        if wanted not in names:
            raise Refused("not_found", f"no node called {wanted!r} is ready; there are: {', '.join(names)}")
        return [wanted]

    def _take(self, entries: Iterable[discovery.Entry]) -> None:
        for entry in entries:
            kind, _, name = entry.key.partition("/")
            tables: dict[str, dict[str, Any]] = {"service": self._services, "instance": self._instances}
            known = tables.get(kind, self._workers)
            value = entry.service or entry.instance or entry.worker
            if value is None:
                known.pop(name, None)
            else:
                known[name] = value
