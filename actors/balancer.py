"""The balancer: keeps the data path's table of routes as the record has it.

Requests never pass through the mailbox: the proxy's own thread handles them, and this actor changes its table.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar, assert_never

import msgspec

from tucano.actors.kernel import Actor, Down, Refused
from tucano.actors.messages import deployer, discovery, worker_mgr
from tucano.actors.messages.balancer import (
    CacheDue,
    CertificatesDue,
    DrainDue,
    ListenDue,
    Loaded,
    RefreshDue,
    Registered,
    RetryDue,
    SaveDue,
    ShowTraffic,
    WatchDue,
)
from tucano.actors.messages.model import Instance, Service, Worker
from tucano.actors.proxy import DataPath
from tucano.actors.pure.counts import traffic_of
from tucano.actors.pure.routing import reachable, routes

log = logging.getLogger(__name__)

RETRY = 0.1
"""Seconds between two attempts to reach the record."""

PATIENCE = 2.0
"""Seconds that a new balancer waits for the record before it serves with the routes that its predecessor knew."""

REFRESH = 10.0
"""Seconds after which the routes are read whole, in case news of a change was lost."""

DRAIN_LOOK = 0.05
"""Seconds between two looks at what draining instances still have to do."""

LISTEN_LOOK = 0.1
"""Seconds between two looks at the ports of tcp services."""

STOP_GRACE = 5.0
"""Seconds that open requests have when the balancer is stopped."""

CERTIFICATES = 1.0
"""Seconds between two looks at the certificates."""

_Inbox = (
    WatchDue
    | RefreshDue
    | RetryDue
    | Loaded
    | Registered
    | discovery.Changed
    | DrainDue
    | ListenDue
    | SaveDue
    | CacheDue
    | CertificatesDue
    | ShowTraffic
    | Down
)


class Balancer(Actor):
    """End users' requests to healthy instances.

    Args:
        make_proxy: makes the data path on the listening socket, which outlives it.
        cache: file for the routes, so that a balancer that restarts while the controller is away has them.
        address: where the node's bridge is reached.
        controller: name of the controller's node.
        pid: of this process, for people; 0 to look it up.
        cpus: processors of this machine, for people; 0 to look.
        served: told when users are served.
        let_go: is given the data path at the end, to stop it when its open requests have ended; None: we do that.
        look: reads the certificates that have changed; gives hosts, each with why its own cannot be used.

    """

    Inbox = _Inbox

    def __init__(
        self,
        make_proxy: Callable[[], DataPath],
        cache: Path,
        address: str,
        controller: str = "controller",
        pid: int = 0,
        cpus: int = 0,
        served: Callable[[], None] = lambda: None,
        let_go: Callable[[DataPath], None] | None = None,
        look: Callable[[], Iterable[tuple[str, str]]] | None = None,
    ) -> None:
        super().__init__()
        self._pid = pid or os.getpid()
        self._cpus = cpus or os.cpu_count() or 1
        self._make_proxy = make_proxy
        self._served = served
        self._let_go = let_go
        self._look = look
        self._cache = cache
        self._address = address
        self._record = self.address(f"{controller}/discovery")
        self._manager = self.address(f"{controller}/worker_mgr")
        self._deployer = self.address(f"{controller}/deployer")
        self._proxy: DataPath | None = None
        self._revision = -1
        self._services: dict[str, Service] = {}
        self._instances: dict[str, Instance] = {}
        self._workers: dict[str, Worker] = {}
        self._unreachable: set[str] = set()  # workers whose instances we cannot reach
        self._looking = False
        self._listening = False
        self._hearing: dict[str, str] | None = None  # what the deployer was told last
        self._saving = False
        self._registered = False
        self._serving = False
        self._asking = False

    def on_start(self) -> None:
        """Ask for the routes; who connects meanwhile waits in the socket's queue."""
        self._proxy = self._make_proxy()
        self.note(WatchDue())
        self._look_at_certificates()
        self.after(PATIENCE, CacheDue())
        self.after(REFRESH, RefreshDue())

    def on_stop(self) -> None:
        """Let open requests end."""
        if self._proxy is not None and self._let_go is not None:
            self._let_go(self._proxy)
        elif self._proxy is not None:
            self._proxy.stop(STOP_GRACE)

    def on_crash(self) -> None:
        """Make room for the next incarnation's proxy."""
        if self._proxy is not None:
            self._proxy.stop(0.0)

    def receive(self, message: _Inbox) -> object:
        """Handle one message."""
        match message:
            case WatchDue():
                self._ask_for_routes()
            case RefreshDue():
                self._registered = False  # the manager may have taken a pause of ours for our end
                self._ask_for_routes()
                self.after(REFRESH, RefreshDue())
            case RetryDue():
                self._asking = False
                self._ask_for_routes()
            case Loaded(result):
                self._loaded(result)
            case Registered(result):
                self._registered = not isinstance(result, Refused)
                if not self._registered:
                    self.after(RETRY, WatchDue())
            case discovery.Changed(previous, revision, entries):
                self.insist(self._record.node)
                if previous == self._revision:
                    self._revision = revision
                    self._take(entries)
                elif revision > self._revision:
                    self.note(WatchDue())
            case DrainDue():
                self._look_at_draining()
            case ListenDue():
                self._look_at_listening()
            case SaveDue():
                self._save()
            case CacheDue():
                self._serve_from_cache()
            case CertificatesDue():
                self._look_at_certificates()
            case ShowTraffic(service):
                return traffic_of(self._proxy.stats(service) if self._proxy is not None else {})
            case Down():
                self._registered = False
                self.note(WatchDue())
            case _:
                assert_never(message)
        return None

    def _ask_for_routes(self) -> None:
        """Ask the record, unless we are at it: however long it is away, it is asked once at a time."""
        if not self._asking:
            self._asking = True
            watch = discovery.Watch(self.ref, ("service/", "instance/", "worker/"))
            self.pipe(self._record, watch, 2.0, Loaded)

    def _loaded(self, result: discovery.Entries | Refused) -> None:
        if isinstance(result, Refused):  # the controller is away: what we know is what we have
            self.after(RETRY, RetryDue())
            return
        self._asking = False
        self._hearing = None  # a new controller may not know it
        self._revision = result.revision
        self._services.clear()
        self._instances.clear()
        self._workers.clear()
        self._take(result.entries)
        if not self._registered:
            self._registered = True  # until the answer says otherwise
            self.watch(self._record)
            hello = worker_mgr.Hello(self.ref.node, self._pid, self._address, self._cpus, 0, (), "balancer")
            self.pipe(self._manager, hello, 2.0, Registered)

    def _take(self, entries: Iterable[discovery.Entry]) -> None:
        for entry in entries:
            kind, _, name = entry.key.partition("/")
            if kind == "service":
                _set(self._services, name, entry.service)
            elif kind == "instance":
                _set(self._instances, name, entry.instance)
            elif kind == "worker":
                _set(self._workers, name, entry.worker)
        assert self._proxy is not None
        mine = reachable(self._instances.values(), self._address)
        self._proxy.apply(routes(self._services.values(), mine, self._workers))
        self._tell_unreachable({one.node for one in self._instances.values()} - {one.node for one in mine})
        if not self._serving:  # only now: with no routes everything would be unknown
            self._proxy.start()
            self._serving = True
            self._served()
        if not self._looking and any(i.state == "draining" for i in self._instances.values()):
            self._looking = True
            self.after(DRAIN_LOOK, DrainDue())
        if not self._listening and any(s.route.protocol == "tcp" for s in self._services.values()):
            self._listening = True
            self.after(LISTEN_LOOK, ListenDue())
        if not self._saving:
            self._saving = True
            self.after(1.0, SaveDue())

    def _tell_unreachable(self, nodes: set[str]) -> None:
        for node in sorted(nodes - self._unreachable):
            text = f"{node}'s services listen at loopback: `tucano up --services-host HOST` there lets us reach them"
            self._record.tell(discovery.Record("instances_unreachable", self.ref.node, text))
        self._unreachable = nodes

    def _look_at_draining(self) -> None:
        """Tell the deployer which draining instances have no open request, again until it has stopped them."""
        assert self._proxy is not None
        busy = self._proxy.in_flight()
        draining = [i.id for i in self._instances.values() if i.state == "draining"]
        idle = tuple(identifier for identifier in draining if identifier not in busy)
        if idle:
            self._deployer.tell(deployer.Drained(idle, self.ref.node, self._pid))
        self._looking = bool(draining)
        if draining:
            self.after(DRAIN_LOOK, DrainDue())

    def _look_at_listening(self) -> None:
        """Tell the deployer where users can connect, as long as there are tcp services, when that has changed."""
        assert self._proxy is not None
        hearing = self._proxy.hearing()
        if hearing != self._hearing:
            self._hearing = hearing
            self._deployer.tell(deployer.ListeningReported(self.ref.node, hearing))
        self._listening = any(s.route.protocol == "tcp" for s in self._services.values())
        if self._listening:
            self.after(LISTEN_LOOK, ListenDue())

    def _serve_from_cache(self) -> None:
        if self._serving or not self._cache.exists():
            return
        try:
            self._take(msgspec.msgpack.decode(self._cache.read_bytes(), type=discovery.Entries).entries)
        except msgspec.DecodeError:
            self._cache.unlink()  # a torn file: the record has it all

    def _look_at_certificates(self) -> None:
        if self._look is None:
            return
        for host, why in self._look():
            log.warning("the certificate of %s cannot be used: %s", host, why)
            text = f"{host}: {why}; the one before stays in use, if there was one"
            self._record.tell(discovery.Record("certificate_refused", self.ref.node, text))
        self.after(CERTIFICATES, CertificatesDue())

    def _save(self) -> None:
        self._saving = False
        entries = [discovery.Entry(f"service/{s.name}", 0, service=s) for s in self._services.values()]
        entries += [discovery.Entry(f"instance/{i.id}", 0, instance=i) for i in self._instances.values()]
        entries += [discovery.Entry(f"worker/{w.name}", 0, worker=w) for w in self._workers.values()]
        partial = self._cache.with_suffix(".part")
        try:
            self._cache.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial.write_bytes(msgspec.msgpack.encode(discovery.Entries(self._revision, tuple(entries))))
            partial.replace(self._cache)
        except OSError as error:  # the routes in use are not touched by that; the next change tries again
            log.error("the routes cannot be kept in %s: %s", self._cache, error)


T = TypeVar("T")


def _set(known: dict[str, T], name: str, value: T | None) -> None:
    if value is None:
        known.pop(name, None)
    else:
        known[name] = value
