"""The gateway: the door for administrators and scripts, and where workers fetch artifacts.

Each request becomes an operation, checked; what the record knows is answered from a copy of it, all else is passed to
the component that it concerns and answered when that has.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, assert_never

from tucano.actors.disk.artifact import ArtifactError
from tucano.actors.disk.artifact_store import Store
from tucano.actors.kernel import Actor, Down, Ref, Refused
from tucano.actors.messages import balancer, deployer, discovery, node, operations, supervisor, worker_mgr
from tucano.actors.messages.gateway import (
    Answered,
    CollectDue,
    Followed,
    Loaded,
    ReadArtifact,
    Received,
    StreamsDue,
    WatchDue,
)
from tucano.actors.messages.model import Event
from tucano.actors.pure import measures, requests, views
from tucano.actors.pure.mirror import Mirror
from tucano.actors.pure.pending import Asker, Pending, all_good, of_itself, the_one
from tucano.transport.door import Client, Door
from tucano.transport.security import Guest
from tucano.transport.turns import Turns

ASK = 10.0
"""Seconds that a component has to answer."""

ASK_ALL = 2.0
"""Seconds that each node has, when all are asked: one that is just away is then left out."""

STREAM = 60.0
"""Seconds after which a follower of a stream who says nothing is taken to be gone."""

LOOK = 1.0
"""Seconds between two looks at whether those who follow a stream may still do so."""

STREAMS = 1000
"""Streams that may be followed at once; each costs a frame for each event."""

AT_ONCE = 100
"""Requests of one client that may be without an answer; more are refused at once, so that all others have theirs."""

COLLECT = 300.0
"""Seconds between two looks for artifacts that no revision needs."""

_Inbox = (
    Received | Answered | Followed | ReadArtifact | discovery.Changed | discovery.Happened | Loaded
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
        self._last_event = -1  # at first: only the last one, which nobody follows yet
        self._known = Mirror()
        self._streams: dict[Asker, tuple[float, Guest]] = {}  # last word of the follower, and who it is
        self._pending: dict[int, Pending] = {}
        self._turns = Turns(AT_ONCE)
        self._numbers = itertools.count(1)
        self._started = self.now()

    def on_start(self) -> None:
        """Open the door."""
        self._store = self._make_store()
        self._door = self._make_door()
        self._door.start(self._on_request)
        self.note(WatchDue())
        self.after(LOOK, StreamsDue())
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
            case Answered(number, result):
                self._answered(number, result)
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
            case discovery.Changed():
                self.insist(self._record.node)
                if not self._known.follow(message):
                    self.note(WatchDue())
            case discovery.Happened(events):
                self.insist(self._record.node)
                self._happened(events)
            case Followed(result):
                if isinstance(result, discovery.Happened):  # if not, the record is down, and we shall be told
                    self._happened(result.events)
            case StreamsDue():
                self._streams = {s: last for s, last in self._streams.items() if self.now() - last[0] < STREAM}
                self._end_void_streams()
                self.after(LOOK, StreamsDue())
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
        assert self._door is not None
        if not self._turns.take(client):
            busy = Refused("unavailable", f"{AT_ONCE} requests of this client have no answer yet: wait for some")
        elif not self.ref.tell(Received(client, frame, guest)):
            self._turns.give_back(client)
            busy = Refused("unavailable", "the controller is too busy: try again in a moment")
        else:
            return
        self._door.send(client, requests.answer(requests.read(frame).id, busy))

    def _received(self, client: Client, frame: bytes, guest: Guest) -> None:
        identifier, wanted = requests.read(frame)
        asker = Asker(client, identifier)
        if isinstance(wanted, Refused):
            self._answer(asker, wanted)
            return
        for stream in self._streams:
            if stream.client == client:
                self._streams[stream] = self.now(), guest
        try:
            if objection := operations.objection(type(wanted), guest):
                raise Refused("forbidden", objection)
            answer = self._perform(asker, wanted, guest)
        except Refused as refused:
            answer = refused
        if answer is not None:
            self._answer(asker, answer)

    def _perform(self, asker: Asker, operation: operations.Operation, guest: Guest) -> Any:
        """The answer, or None when it comes later."""
        match operation:
            case operations.Ping():
                return {}
            case operations.Status() | operations.Nodes() if not self._known.is_loaded:
                raise Refused("unavailable", "the controller is starting: try again in a moment")
            case operations.Status():
                self._ask(asker, self._manager, worker_mgr.ShowMetrics(), self._show_status)
            case operations.Nodes():
                self._ask(asker, self._manager, worker_mgr.ShowMetrics(), self._show_nodes)
            case operations.Services():
                return views.services(self._known.services, self._known.instances.values())
            case operations.Show(name):
                shown = views.detail(self._known.service(name), self._known.instances.values())
                return shown if guest.role == "admin" else views.masked(shown)
            case operations.Artifact(artifact):
                return {"has": self._store.has(artifact), "next": 0}
            case operations.Upload():
                return self._upload(operation)
            case operations.Deploy(spec, artifact, size):
                if not self._store.has(artifact):
                    raise Refused("not_found", f"artifact {artifact[:12]} has not been uploaded: upload it first")
                self._command(asker, deployer.Deploy(spec, artifact, size))
            case operations.Scale(name, replicas):
                self._command(asker, deployer.Scale(name, replicas))
            case operations.Restart(name):
                self._command(asker, deployer.Restart(name))
            case operations.Undeploy(name):
                self._command(asker, deployer.Undeploy(name))
            case operations.Events(since, follow):
                if follow:
                    if len(self._streams) >= STREAMS:
                        raise Refused("unavailable", f"{STREAMS} streams are followed already: try again in a minute")
                    self._streams[asker] = self.now(), guest
                self._ask(asker, self._record, discovery.Follow(since))
            case operations.Cancel(stream):
                return {"cancelled": self._streams.pop(Asker(asker.client, stream), None) is not None}
            case operations.Logs(wanted, offset, limit, build):
                where = self.address(f"{self._known.instance(wanted).node}/supervisor")
                self._ask(asker, where, supervisor.ReadLog(wanted, offset, limit, build))
            case operations.Ps(name):
                names = self._known.nodes(self.ref.node, name)
                shape = functools.partial(views.actors, names, self._known.workers)
                self._ask_all(asker, self._known.ready(names), "node", node.Snapshot(), shape)
            case operations.Trace(trace):
                shape = functools.partial(views.conversation, trace)
                self._ask_all(asker, self._nodes(), "node", node.ReadTrace(trace), shape)
            case operations.Traces():
                self._ask_all(asker, self._nodes(), "node", node.ReadTraces(), views.conversations)
            case operations.Traffic(service):
                ask = balancer.ShowTraffic(service)
                self._ask_all(asker, self._known.balancers(), "balancer", ask, measures.traffic)
            case _:
                raise Refused("unknown_op", f"{type(operation).__name__} is not to be had here")
        return None

    def _command(self, asker: Asker, message: Any) -> None:
        """Have the deployer do it, and begin a conversation: whatever comes of it can be read by its id."""
        self._ask(asker, self._deployer, message, functools.partial(views.accepted, self.begin_trace()))

    def _ask(self, asker: Asker, component: Ref, message: Any, shape: Callable[[Any], Any] = views.as_it_is) -> None:
        number = self._pend(Pending(asker, 1, the_one(shape)))
        self.pipe(component, message, ASK, functools.partial(Answered, number))

    def _ask_all(
        self, asker: Asker, names: Sequence[str], actor: str, message: Any, shape: Callable[[list[Any]], Any]
    ) -> None:
        """Ask the same of an actor on several nodes; the client is answered when the last has answered or refused."""
        if not names:
            self._answer(asker, shape([]))
            return
        number = self._pend(Pending(asker, len(names), all_good(shape)))
        for name in names:
            self.pipe(self.address(f"{name}/{actor}"), message, ASK_ALL, functools.partial(of_itself, name, number))

    def _pend(self, pending: Pending) -> int:
        number = next(self._numbers)
        self._pending[number] = pending
        return number

    def _answered(self, number: int, result: Any) -> None:
        pending = self._pending[number]
        pending.take(result)
        if pending.is_complete:
            del self._pending[number]
            self._answer(pending.asker, pending.result())

    def _answer(self, asker: Asker, result: Any) -> None:
        if isinstance(result, Refused):
            self._streams.pop(asker, None)
        self._turns.give_back(asker.client)
        self._send(asker.client, requests.answer(asker.id, result))

    def _send(self, client: Client, frame: bytes) -> None:
        assert self._door is not None
        self._door.send(client, frame)

    def _show_nodes(self, metrics: worker_mgr.AllMetrics) -> dict[str, Any]:
        known = self._known
        return views.nodes(known.workers.values(), known.instances.values(), metrics, os.getpid(), self._about)

    def _show_status(self, metrics: worker_mgr.AllMetrics) -> dict[str, Any]:
        uptime = round(self.now() - self._started, 1)
        return {**self._show_nodes(metrics), **self._about, "uptime": uptime, "services": len(self._known.services)}

    def _happened(self, events: Sequence[Event]) -> None:
        """Pass events on to those who follow them."""
        fresh = [event for event in events if event.seq > self._last_event]
        if not fresh:
            return
        self._last_event = fresh[-1].seq
        self._end_void_streams()
        for stream in self._streams:
            self._send(stream.client, requests.item(stream.id, {"events": fresh}))

    def _end_void_streams(self) -> None:
        """Those whose keys have been revoked are told so, and nothing more."""
        assert self._door is not None
        for stream, (_, guest) in list(self._streams.items()):
            if not self._door.admits(guest):
                del self._streams[stream]
                why = operations.objection(operations.Events, guest._replace(revoked=True))
                self._send(stream.client, requests.answer(stream.id, Refused("forbidden", why)))

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
        revisions = [r for s in self._known.services.values() for r in (s.target, s.previous) if r is not None]
        if self._known.is_loaded:
            self._store.collect({revision.artifact for revision in revisions})

    # The record.

    def _loaded(self, result: discovery.Entries | Refused) -> None:
        if isinstance(result, Refused):
            self.after(0.1, WatchDue())
            return
        self.watch(self._record)
        self.pipe(self._record, discovery.Follow(self._last_event, self.ref), 5.0, Followed)
        self._known.load(result)

    def _nodes(self) -> list[str]:
        return self._known.ready(self._known.nodes(self.ref.node))
