"""What a parent starts: the nodes of a cluster, or one node of a cluster whose controller is on another machine."""

from __future__ import annotations

import os
import socket
import sys
from typing import Literal, Protocol

import msgspec
import psutil

from tucano.actors.keeper import Command
from tucano.entrance import Entrance, Opened
from tucano.home import Home, HomeInUse, Listening, Running
from tucano.keys import Keys
from tucano.listening import LOOPBACK, CannotListen, listen, resolve
from tucano.token import Token
from tucano.transport.security import REMEDY, is_loopback


class Plan(Protocol):
    """Which nodes there are to be.

    Attributes:
        awaited: the nodes that must say hello to the controller.
        order: all nodes, in the order in which they stop.
        held: sockets that the parent holds.

    """

    awaited: list[str]
    order: list[list[str]]
    held: list[socket.socket]

    def prepare(self, home: Home) -> tuple[Running, list[Command]]:
        """Take what is needed; how to reach the cluster, and how to start its nodes.

        Raises:
            CannotListen: an address or a port cannot be had, or not without keys.
            KeysError: the keys cannot be used, or are those of a node of another machine's cluster.
            HomeInUse: the home is another cluster's.

        """
        ...


class Here:
    """A cluster on this machine; with `host`, for workers and clients on others, too.

    Args:
        workers: how many on this machine.
        entrance: where users come in, if there is a balancer.
        zmq_port: for administrators; 0 for the last one, or any free one.
        bridge_port: for nodes on other machines; 0 likewise.
        host: where to listen; None for where it was the last time, at first 127.0.0.1.
        balancers: how many on this machine.
        services_host: where services of this machine listen: balancers on other machines reach them beyond loopback.

    """

    def __init__(
        self,
        workers: int,
        entrance: Entrance,
        zmq_port: int = 0,
        bridge_port: int = 0,
        host: str | None = None,
        *,
        balancers: int = 1,
        services_host: str = LOOPBACK,
    ) -> None:
        self._workers = [f"worker-{number}" for number in range(1, workers + 1)]
        self._balancers = ["balancer", *(f"balancer-{number}" for number in range(2, balancers + 1))][:balancers]
        self._entrance = entrance
        self._ports = (zmq_port, bridge_port)
        self._host = host
        self._services_host = services_host
        self.awaited = ["controller", *self._balancers, *self._workers]
        self.order = [["controller"], self._workers, self._balancers]
        self.held: list[socket.socket] = []

    def prepare(self, home: Home) -> tuple[Running, list[Command]]:
        """See `Plan.prepare`."""
        keys = Keys(home)
        keys.refuse_joined()
        kept = home.listening() or Listening(LOOPBACK, 0, 0)
        host = kept.host if self._host is None else resolve(self._host)
        secure = keys.exist()
        if not secure and not is_loopback(f"tcp://{host}:0"):
            raise CannotListen(f"to listen at {host} goes beyond this machine and needs keys: {REMEDY}")
        if secure:
            for name in self.awaited:
                keys.own(name)
        zmq_port, bridge_port = self._ports
        opened = self._entrance.open(host, len(self._balancers))
        self.held += [one for sockets in opened.sockets for one in sockets.values()]
        door = self._hold(listen(host, zmq_port or (kept.door if secure else 0), "--zmq-port"))
        bridge = self._hold(listen(host, bridge_port or (kept.bridge if secure else 0), "--bridge-port"))
        if secure:
            home.keep_listening(Listening(host, _port(bridge), _port(door)))
        running = Running(
            os.getpid(), psutil.Process().create_time(), 0, _port(door), len(self._workers), {},
            host=host, secure=secure, balancers=len(self._balancers),
        )  # fmt: skip
        running = msgspec.structs.replace(running, **opened.ports)
        services = resolve(self._services_host)
        if not secure and not is_loopback(f"tcp://{services}:0"):
            raise CannotListen(f"services that are reached at {services}, beyond this machine, need keys: {REMEDY}")
        cluster, wanted = home.identity(), ["--keys"] * secure
        join = ["--controller", _address(bridge), *wanted]

        def near(role: str, name: str, sockets: dict[str, socket.socket], *more: str) -> Command:
            bridge = self._hold(listen(LOOPBACK, 0, ""))
            return _command(home, cluster, role, name, {"--fd": bridge, **sockets}, *join, *more)

        return running, [
            _command(
                home, cluster, "controller", "controller", {"--fd": bridge, "--door-fd": door},
                "--door", _address(door), *_told(opened), *wanted,
            ),
            *(near("balancer", name, sockets, *opened.options)
              for name, sockets in zip(self._balancers, opened.sockets, strict=True)),
            *(near("worker", name, {}, "--services-host", services) for name in self._workers),
        ]  # fmt: skip

    def _hold(self, listening: socket.socket) -> socket.socket:
        self.held.append(listening)
        return listening


class Joined:
    """One worker, or one balancer, of a cluster whose controller is on another machine.

    Args:
        token: that it was given.
        host: where the controller (a worker: and the balancers; a balancer: and users) reaches it; None for what was
            named the last time, at first the address that reaches the controller.
        bridge_port: where the controller reaches it; 0 for what was named the last time, or any free one.
        entrance: where users come in at a balancer; None for a worker.

    """

    def __init__(
        self, token: Token, host: str | None = None, bridge_port: int = 0, entrance: Entrance | None = None
    ) -> None:
        self._token = token
        self._host = host
        self._port = bridge_port
        self._entrance = entrance
        self.role: Literal["worker", "balancer"] = "worker" if entrance is None else "balancer"
        self.awaited = [token.name]
        self.order = [[token.name]]
        self.held: list[socket.socket] = []

    def prepare(self, home: Home) -> tuple[Running, list[Command]]:
        """See `Plan.prepare`."""
        token = self._token
        Keys(home).join(token)
        other = home.worker(token.name) if self.role == "balancer" else home.balancer(token.name)
        if other.exists():
            raise HomeInUse(
                f"{home.path} is the home of {other.parent.name[:-1]} {token.name}, which cannot become a {self.role}:"
                " name another directory with --home, and take another key"
            )
        kept = home.listening() or Listening("", 0, 0)
        named = kept.host if self._host is None else resolve(self._host)
        port = self._port or kept.bridge
        if (named, port) != (kept.host, kept.bridge):
            home.keep_listening(Listening(named, port, 0))
        host = named or _own_address(token.bridge)
        bridge = listen(host, port, "--bridge-port")
        self.held.append(bridge)
        sockets, more = {"--fd": bridge}, ["--services-host", host]
        running = Running(
            os.getpid(), psutil.Process().create_time(), 0, 0, 1, {}, host=host, secure=True, joined=True, balancers=0
        )
        if self._entrance is not None:
            opened = self._entrance.open(host, 1)
            self.held += opened.sockets[0].values()
            sockets, more = sockets | opened.sockets[0], opened.options
            running = msgspec.structs.replace(running, workers=0, balancers=1, **opened.ports)
        command = _command(
            home, token.cluster, self.role, token.name, sockets, "--controller", token.bridge, "--keys", *more
        )
        return running, [command]


def _command(home: Home, cluster: str, role: str, name: str, sockets: dict[str, socket.socket], *more: str) -> Command:
    """How a node is started; the socket of its bridge (`--fd`) outlives it: it is always found at the same address."""
    line = [
        sys.executable, "-m", "tucano.node", role, "--name", name, "--home", str(home.path), "--cluster", cluster,
        "--bind", _address(sockets["--fd"]), *more,
    ]  # fmt: skip
    for option, listening in sockets.items():
        line += [option, str(listening.fileno())]
    descriptors = [one.fileno() for one in sockets.values()]
    return Command(name, line, descriptors, home.log(name), leaves=role == "balancer")


def _told(opened: Opened) -> list[str]:
    """Users' ports, as arguments of the controller's node."""
    return [word for name, port in opened.ports.items() for word in (f"--{name.replace('_', '-')}", str(port))]


def _port(listening: socket.socket) -> int:
    return int(listening.getsockname()[1])


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()
    return f"tcp://{host}:{port}"


def _own_address(endpoint: str) -> str:
    """Our address on the way to an endpoint; nothing is sent."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, int(port)))
        except OSError as error:
            raise CannotListen(
                f"there is no way from here to {host} ({error.strerror}): name one by --address"
            ) from error
        return str(probe.getsockname()[0])
