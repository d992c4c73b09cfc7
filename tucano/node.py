"""One node: a process with a bridge and the actors of its role. The trees, as data, are the three functions below.

Started by `tucano.parent`; by hand: `python -m tucano.node worker --name worker-1 --home DIR ...` (see `--help`).
"""

from __future__ import annotations

import argparse
import functools
import logging
import os
import random
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import tucano
from tucano.actors.kernel import Child, Law, Refused, System, Tree
from tucano.actors.node import Node
from tucano.home import Home
from tucano.rings import ring
from tucano.transport.security import Ring
from tucano.transport.zmq_link import ZmqLink

if TYPE_CHECKING:
    from tucano.actors.proxy import DataPath
    from tucano.transport.door import Door

log = logging.getLogger("tucano.node")

CONTROLLER = "controller"

NODE_LAW = Law(intensity=10, period=10.0)
"""A component may crash ten times in ten seconds; then its node ends, and the parent starts it anew."""

STOP_SERVICES = 24 * 3600.0
"""Seconds that a worker waits for its services to stop: each has its own grace, which `tucano.toml` bounds."""


class Options(argparse.Namespace):
    """What a node is told; see `parser`."""

    role: str
    name: str
    home: Path
    cluster: str
    bind: str
    fd: int | None
    controller: str | None
    door: str
    door_fd: int | None
    http_fd: int | None
    mdp_fd: int | None
    services_host: str
    keys: bool


def controller(options: Options, link: ZmqLink) -> list[Child]:
    """The controller: the record first, since the others live by it; the door last."""
    from tucano.actors.deployer import Deployer
    from tucano.actors.discovery import Discovery
    from tucano.actors.disk.artifact_store import Store
    from tucano.actors.gateway import Gateway
    from tucano.actors.notifier import Notifier
    from tucano.actors.worker_mgr import WorkerMgr

    del link
    kept = options.home / "controller"
    http_port = _port(options.http_fd)
    about = {
        "cluster": options.cluster,
        "version": tucano.__version__,
        "node": options.name,
        "since": time.time(),
        "http_port": http_port,
        "mdp_port": _port(options.mdp_fd),
        "zmq_port": int(options.door.rpartition(":")[2]),
        "host": options.door.removeprefix("tcp://").rpartition(":")[0],
    }
    return [
        Child("node", Node),
        Child("discovery", Discovery, {"path": kept / "record.sqlite"}),
        Child("notifier", Notifier, {"webhook": os.environ.get("TUCANO_WEBHOOK", "")}),
        Child("deployer", Deployer, {"ports": _own_ports(options)}),
        Child("worker_mgr", WorkerMgr),
        Child("gateway", Gateway, {
            "make_door": functools.partial(_door, options), "about": about,
            "artifacts": functools.partial(Store, kept / "artifacts"),
        }),
    ]  # fmt: skip


def balancer(options: Options, link: ZmqLink) -> list[Child]:
    """A balancer: one actor, whose data path has a thread of its own."""
    from tucano.actors.balancer import Balancer

    home = options.home / "balancer"
    return [
        Child("node", Node),
        Child("balancer", Balancer, {
            "make_proxy": functools.partial(_data_path, options, home / "access.log"),
            "cache": home / "routes.msgpack", "address": link.address, "controller": CONTROLLER,
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
    for descriptor in (options.fd, options.door_fd, options.http_fd, options.mdp_fd):
        if descriptor is not None:
            os.set_inheritable(descriptor, False)
    link = ZmqLink(options.name, options.cluster, options.bind, fd=options.fd, ring=_ring(options))
    if options.controller:
        link.connect(CONTROLLER, options.controller)
    system = System(options.name, link=link)
    system.run(ROLES[options.role](options, link), law=NODE_LAW)
    log.info("%s runs, process %d, bridge %s", options.name, os.getpid(), link.address)
    threading.Thread(target=_tell_end, args=(system, stop), daemon=True).start()
    stop.wait()
    if system.gave_up is not None:
        log.error("%s ends: %s", options.name, system.gave_up)
    elif options.role == "worker":
        _stop_services(system)
    in_time = system.stop()
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


def _data_path(options: Options, access_log: Path) -> DataPath:
    """A data path on the inherited listening sockets, of which each incarnation has copies."""
    from tucano.actors.proxy import Fronts, Proxy
    from tucano.sockets import ParentSockets

    assert options.http_fd is not None, "a balancer needs --http-fd"
    access_log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    listener = socket.socket(fileno=os.dup(options.http_fd))
    sockets = ParentSockets(Home(options.home), options.name, listener.getsockname()[0])
    proxy = Proxy(listener, sockets=sockets, access_log=access_log, chance=random.Random())
    if options.mdp_fd is None:
        return proxy
    from tucano.mdp_front import MdpFront

    with socket.socket(fileno=os.dup(options.mdp_fd)) as users:
        host, port = users.getsockname()
        front = MdpFront(f"tcp://{host}:{port}", fd=users.detach(), chance=random.Random())
    return Fronts([front, proxy])


def _door(options: Options) -> Door:
    """A door on the inherited listening socket, of which each incarnation has a copy."""
    from tucano.transport.zmq_door import ZmqDoor

    descriptor = None if options.door_fd is None else os.dup(options.door_fd)
    return ZmqDoor(options.door, fd=descriptor, ring=_ring(options))


def _ring(options: Options) -> Ring | None:
    return ring(Home(options.home), options.name) if options.keys else None


def _port(fd: int | None) -> int:
    if fd is None:
        return 0
    with socket.socket(fileno=os.dup(fd)) as listening:
        return int(listening.getsockname()[1])


def _own_ports(options: Options) -> dict[int, str]:
    """Where the cluster itself listens at the users' address, and what for."""
    return {
        _port(options.http_fd): "users' HTTP", _port(options.door_fd): "clients", _port(options.fd): "its bridge",
        _port(options.mdp_fd): "users' ZeroMQ",
    }  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """The command line of a node; `tucano.parent` writes it."""
    made = argparse.ArgumentParser(prog="python -m tucano.node", description="Run one node of a Tucano cluster.")
    made.add_argument("role", choices=sorted(ROLES))
    made.add_argument("--name", required=True, help="the node's name")
    made.add_argument("--home", required=True, type=Path, help="the cluster's home")
    made.add_argument("--cluster", required=True, help="the cluster's identity")
    made.add_argument("--bind", default="tcp://127.0.0.1:0", help="where the bridge listens")
    made.add_argument("--fd", type=int, help="a listening socket for the bridge, inherited")
    made.add_argument("--controller", help="address of the controller's bridge")
    made.add_argument("--door", default="tcp://127.0.0.1:0", help="where clients come in (controller)")
    made.add_argument("--door-fd", type=int, help="a listening socket for clients, inherited (controller)")
    made.add_argument("--http-fd", type=int, help="the end users' listening socket, inherited (balancer)")
    made.add_argument("--mdp-fd", type=int, help="the end users' listening socket for ZeroMQ, inherited (balancer)")
    made.add_argument("--services-host", default="127.0.0.1", help="where services listen (worker)")
    made.add_argument("--keys", action="store_true", help="use the keys in the home, on every connection")
    return made


def main() -> None:
    """Run the node that the command line describes."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    options = parser().parse_args(namespace=Options())
    options.home = Home(options.home).path
    sys.exit(run(options))


if __name__ == "__main__":
    main()
