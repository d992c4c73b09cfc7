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

    """

    def __init__(
        self, workers: int, http_port: int = 0, zmq_port: int = 0, bridge_port: int = 0, host: str | None = None
    ) -> None:
        self._workers = [f"worker-{number}" for number in range(1, workers + 1)]
        self._ports = (http_port, zmq_port, bridge_port)
        self._host = host
        self.awaited = ["balancer", *self._workers]
        self.order = [["controller"], self._workers, ["balancer"]]
        self.held: list[socket.socket] = []

    def prepare(self, home: Home) -> tuple[Running, list[Command]]:
        """See `Plan.prepare`."""
        kept = home.listening() or Listening("127.0.0.1", 0, 0)
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
        door = self._hold(listen(host, zmq_port or (kept.door if secure else 0), "--zmq-port"))
        bridge = self._hold(listen(host, bridge_port or (kept.bridge if secure else 0), "--bridge-port"))
        ports = [each.getsockname()[1] for each in (http, door, bridge)]
        if secure:
            home.keep_listening(Listening(host, ports[2], ports[1]))
        running = Running(
            os.getpid(), psutil.Process().create_time(), ports[0], ports[1], len(self._workers), {},
            host=host, secure=secure,
        )  # fmt: skip
        return running, self._commands(home, running, f"tcp://{host}:{ports[2]}", http, door, bridge)

    def _hold(self, listening: socket.socket) -> socket.socket:
        self.held.append(listening)
        return listening

    def _commands(
        self,
        home: Home,
        running: Running,
        bridge_at: str,
        http: socket.socket,
        door: socket.socket,
        bridge: socket.socket,
    ) -> list[Command]:
        cluster, secure = home.identity(), ["--keys"] if running.secure else []
        return [
            _command(
                home, cluster, "controller", "controller", [bridge.fileno(), door.fileno(), http.fileno()],
                "--bind", bridge_at, "--fd", str(bridge.fileno()), "--door", running.door,
                "--door-fd", str(door.fileno()), "--http-fd", str(http.fileno()), *secure,
            ),
            _command(
                home, cluster, "balancer", "balancer", [http.fileno()], "--controller", bridge_at,
                "--http-fd", str(http.fileno()), *secure,
            ),
            *(
                _command(home, cluster, "worker", name, [], "--controller", bridge_at, *secure)
                for name in self._workers
            ),
        ]  # fmt: skip


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
        listen(host, port, "--bridge-port").close()
        running = Running(os.getpid(), psutil.Process().create_time(), 0, 0, 1, {}, host=host, secure=True, joined=True)
        command = _command(
            home, token.cluster, "worker", token.name, [], "--controller", token.bridge,
            "--bind", f"tcp://{host}:{port}", "--services-host", host, "--keys",
        )  # fmt: skip
        return running, [command]


def _command(home: Home, cluster: str, role: str, name: str, descriptors: list[int], *more: str) -> Command:
    line = [sys.executable, "-m", "tucano.node", role, "--name", name, "--home", str(home.path), "--cluster", cluster]
    return Command(name, [*line, *more], descriptors, home.log(name))


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
