"""One node: a process with a bridge and the actors of its role. The trees, as data, are the three functions below.

Started by `tucano.parent`; by hand: `python -m tucano.node worker --name worker-1 --home DIR ...` (see `--help`).
"""

from __future__ import annotations

import functools
import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

import tucano
from tucano.actors.kernel import Child, Law, Refused, System, Tree
from tucano.actors.node import Node
from tucano.home import Home
from tucano.options import Options, parser
from tucano.rings import ring
from tucano.transport.security import Ring
from tucano.transport.zmq_link import ZmqLink

if TYPE_CHECKING:
    from tucano.transport.door import Door

log = logging.getLogger("tucano.node")

CONTROLLER = "controller"

NODE_LAW = Law(intensity=10, period=10.0)
"""A component may crash ten times in ten seconds; then its node ends, and the parent starts it anew."""

STOP_SERVICES = 24 * 3600.0
"""Seconds that a worker waits for its services to stop: each has its own grace, which `tucano.toml` bounds."""


def controller(options: Options, link: ZmqLink) -> list[Child]:
    """The controller: the record first, since the others live by it; the door last."""
    from tucano.actors.deployer import Deployer
    from tucano.actors.discovery import Discovery
    from tucano.actors.disk.artifact_store import Store
    from tucano.actors.gateway import Gateway
    from tucano.actors.notifier import Notifier
    from tucano.actors.worker_mgr import WorkerMgr

    kept = options.home / "controller"
    about = {
        "cluster": options.cluster,
        "version": tucano.__version__,
        "node": options.name,
        "since": time.time(),
        **options.users_ports,
        "zmq_port": _port(options.door),
        "host": options.door.removeprefix("tcp://").rpartition(":")[0],
    }
    return [
        Child("node", Node),
        Child("discovery", Discovery, {"path": kept / "record.sqlite"}),
        Child("notifier", Notifier, {"webhook": os.environ.get("TUCANO_WEBHOOK", "")}),
        Child("deployer", Deployer, {"ports": _own_ports(options, link)}),
        Child("worker_mgr", WorkerMgr),
        Child("gateway", Gateway, {
            "make_door": functools.partial(_door, options), "about": about,
            "artifacts": functools.partial(Store, kept / "artifacts"),
        }),
    ]  # fmt: skip


def balancer(options: Options, link: ZmqLink) -> list[Child]:
    """A balancer: one actor, whose data path has a thread of its own."""
    from tucano.actors.balancer import Balancer
    from tucano.data_path import Users

    home = Home(options.home).balancer(options.name)
    users = Users(options, home / "access.log")
    options.leave = users.leave
    return [
        Child("node", Node),
        Child("balancer", Balancer, {
            "make_proxy": users.make,
            "cache": home / "routes.msgpack", "address": link.address, "controller": CONTROLLER,
            "served": users.served, "let_go": users.let_go,
            "look": users.certificates.look if users.certificates else None,
        }, shutdown=10.0),
    ]  # fmt: skip


def worker(options: Options, link: ZmqLink) -> list[Child]:
    """A worker: what measures, what builds, and what runs; `runners` has a child for each instance."""
    from tucano.actors.builder import Builder
    from tucano.actors.collector import Collector
    from tucano.actors.scheduler import Scheduler
    from tucano.actors.supervisor import Supervisor

    home = options.home / "workers" / options.name
    manager, gateway = f"{CONTROLLER}/worker_mgr", f"{CONTROLLER}/gateway"
    return [
        Child("node", Node),
        Child("collector", Collector),
        Child("scheduler", Scheduler, {"controller": manager}),
        Child("builder", Builder, {"home": home, "gateway": gateway}),
        Child("runners", Tree, {"law": Law(intensity=100, period=10.0)}),
        Child("supervisor", Supervisor, {
            "home": home, "controller": manager, "bridge": link.address, "host": options.services_host,
        }),
    ]  # fmt: skip


ROLES = {"controller": controller, "balancer": balancer, "worker": worker}


def run(options: Options) -> int:
    """Run a node until it is told to stop (SIGTERM) or its tree gives up.

    Returns:
        The process's exit status: 0 if it was told to.

    """
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    for descriptor in options.inherited:
        os.set_inheritable(descriptor, False)
    link = ZmqLink(options.name, options.cluster, options.bind, fd=options.fd, ring=_ring(options))
    if options.controller:
        link.connect(CONTROLLER, options.controller)
    system = System(options.name, link=link, closed=True)
    system.run(ROLES[options.role](options, link), law=NODE_LAW)
    log.info("%s runs, process %d, bridge %s", options.name, os.getpid(), link.address)
    threading.Thread(target=_tell_end, args=(system, stop), daemon=True).start()
    stop.wait()
    if system.gave_up is not None:
        log.error("%s ends: %s", options.name, system.gave_up)
    elif options.role == "worker":
        _stop_services(system)
    in_time = system.stop()
    if options.leave is not None:
        options.leave()
    return 0 if in_time and system.gave_up is None else 1


def _tell_end(system: System, stop: threading.Event) -> None:
    system.ended.wait()
    stop.set()


def _stop_services(system: System) -> None:
    from tucano.actors.messages.supervisor import StopAll

    try:
        system.ref("supervisor").ask(StopAll(), timeout=STOP_SERVICES)
    except Refused as refused:
        log.error("services may be left: %s", refused)


def _own_ports(options: Options, link: ZmqLink) -> dict[int, str]:
    """Where the cluster itself listens, and what for."""
    ports = {
        options.http_port: "users' HTTP", options.https_port: "users' HTTP with TLS",
        options.inside_port: "this machine's own programs", options.mdp_port: "users' ZeroMQ",
        _port(options.door): "clients", _port(link.address): "its bridge",
    }  # fmt: skip
    return {port: what for port, what in ports.items() if port}


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _door(options: Options) -> Door:
    """A door on the inherited listening socket, of which each incarnation has a copy."""
    from tucano.transport.zmq_door import ZmqDoor

    descriptor = None if options.door_fd is None else os.dup(options.door_fd)
    return ZmqDoor(options.door, fd=descriptor, ring=_ring(options))


def _ring(options: Options) -> Ring | None:
    return ring(Home(options.home), options.name) if options.keys else None


def main() -> None:
    """Run the node that the command line describes."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    options = parser().parse_args(namespace=Options())
    options.home = Home(options.home).path
    sys.exit(run(options))


if __name__ == "__main__":
    main()
