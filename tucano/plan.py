"""What a parent starts: the nodes of a cluster, or one worker of a cluster whose controller is on another machine."""

from __future__ import annotations

import os
import socket
import sys
from typing import Protocol

import psutil

from tucano.actors.keeper import Command
from tucano.home import Home, Listening, Running
from tucano.keys import Keys
from tucano.listening import CannotListen, listen, resolve
from tucano.token import Token
from tucano.transport.security import REMEDY, is_loopback

LOOPBACK = "127.0.0.1"


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
            KeysError: the keys cannot be used.
            HomeInUse: the home is another cluster's.

        """
        ...


class Here:
    """A cluster on this machine; with `host`, for workers and clients on others, too.

    Args:
        workers: how many on this machine.
        http_port: for end users, 0 for any free one.
        zmq_port: for administrators; 0 for the last one, or any free one.
        bridge_port: for workers on other machines; 0 likewise.
        host: where to listen; None for where it was the last time, at first 127.0.0.1.
        mdp_port: for end users of ZeroMQ services, 0 for any free one; None for none.

    """

    def __init__(
        self,
        workers: int,
        http_port: int = 0,
        zmq_port: int = 0,
        bridge_port: int = 0,
        host: str | None = None,
        mdp_port: int | None = None,
    ) -> None:
        self._mdp_port = mdp_port
        self._workers = [f"worker-{number}" for number in range(1, workers + 1)]
        self._ports = (http_port, zmq_port, bridge_port)
        self._host = host
        self.awaited = ["balancer", *self._workers]
        self.order = [["controller"], self._workers, ["balancer"]]
        self.held: list[socket.socket] = []

    def prepare(self, home: Home) -> tuple[Running, list[Command]]:
        """See `Plan.prepare`."""
        kept = home.listening() or Listening(LOOPBACK, 0, 0)
        host = kept.host if self._host is None else resolve(self._host)
        keys = Keys(home)
        secure = keys.exist()
        if not secure and not is_loopback(f"tcp://{host}:0"):
            raise CannotListen(f"to listen at {host} goes beyond this machine and needs keys: {REMEDY}")
        if secure:
            for name in ("controller", *self.awaited):
                keys.own(name)
        http_port, zmq_port, bridge_port = self._ports
        http = self._hold(listen(host, http_port, "--port"))
        mdp = {}
        if self._mdp_port is not None:
            mdp["--mdp-fd"] = self._hold(listen(host, self._mdp_port, "--mdp-port"))
        door = self._hold(listen(host, zmq_port or (kept.door if secure else 0), "--zmq-port"))
        bridge = self._hold(listen(host, bridge_port or (kept.bridge if secure else 0), "--bridge-port"))
        if secure:
            home.keep_listening(Listening(host, _port(bridge), _port(door)))
        running = Running(
            os.getpid(), psutil.Process().create_time(), _port(http), _port(door), len(self._workers), {},
            host=host, secure=secure, mdp_port=_port(mdp["--mdp-fd"]) if mdp else 0,
        )  # fmt: skip
        cluster, wanted = home.identity(), ["--keys"] * secure
        join = ["--controller", _address(bridge), *wanted]

        def near(role: str, name: str, sockets: dict[str, socket.socket]) -> Command:
            return _command(home, cluster, role, name, {"--fd": self._hold(listen(LOOPBACK, 0, "")), **sockets}, *join)

        return running, [
            _command(
                home, cluster, "controller", "controller",
                {"--fd": bridge, "--door-fd": door, "--http-fd": http, **mdp},
                "--door", _address(door), *wanted,
            ),
            near("balancer", "balancer", {"--http-fd": http, **mdp}),
            *(near("worker", name, {}) for name in self._workers),
        ]  # fmt: skip

    def _hold(self, listening: socket.socket) -> socket.socket:
        self.held.append(listening)
        return listening


class Joined:
    """One worker of a cluster whose controller is on another machine.

    Args:
        token: that it was given.
        host: where the controller and the balancer reach it; None for what was named the last time, at first the
            address that reaches the controller.
        bridge_port: where the controller reaches it; 0 for what was named the last time, or any free one.

    """

    def __init__(self, token: Token, host: str | None = None, bridge_port: int = 0) -> None:
        self._token = token
        self._host = host
        self._port = bridge_port
        self.awaited = [token.name]
        self.order = [[token.name]]
        self.held: list[socket.socket] = []

    def prepare(self, home: Home) -> tuple[Running, list[Command]]:
        """See `Plan.prepare`."""
        token = self._token
        Keys(home).join(token)
        kept = home.listening() or Listening("", 0, 0)
        named = kept.host if self._host is None else resolve(self._host)
        port = self._port or kept.bridge
        if (named, port) != (kept.host, kept.bridge):
            home.keep_listening(Listening(named, port, 0))
        host = named or _own_address(token.bridge)
        bridge = listen(host, port, "--bridge-port")
        self.held.append(bridge)
        running = Running(os.getpid(), psutil.Process().create_time(), 0, 0, 1, {}, host=host, secure=True, joined=True)
        command = _command(
            home, token.cluster, "worker", token.name, {"--fd": bridge},
            "--controller", token.bridge, "--services-host", host, "--keys",
        )  # fmt: skip
        return running, [command]


def _command(home: Home, cluster: str, role: str, name: str, sockets: dict[str, socket.socket], *more: str) -> Command:
    """How a node is started; the socket of its bridge (`--fd`) outlives it: it is always found at the same address."""
    line = [
        sys.executable, "-m", "tucano.node", role, "--name", name, "--home", str(home.path), "--cluster", cluster,
        "--bind", _address(sockets["--fd"]), *more,
    ]  # fmt: skip
    for option, listening in sockets.items():
        line += [option, str(listening.fileno())]
    return Command(name, line, [one.fileno() for one in sockets.values()], home.log(name))


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
