"""Where users come in at one machine: the ports of its balancers, and their sockets, which the parent holds."""

from __future__ import annotations

import socket
from typing import NamedTuple

from tucano.listening import LOOPBACK, listen_many


class Entrance(NamedTuple):
    """Ports of this machine's balancers; 0 means any free one, None that there is none.

    Attributes:
        http: without TLS.
        https: with TLS.
        redirect: whether who comes without TLS to a host with a certificate is sent to it.
        inside: for programs of this machine alone, on loopback: private services are reached there, too.
        mdp: for ZeroMQ services.
        log: how a line of the access log looks: `combined` or `json`.

    """

    http: int = 0
    https: int | None = None
    redirect: bool = False
    inside: int | None = None
    mdp: int | None = None
    log: str = "combined"

    def open(self, host: str, balancers: int) -> Opened:
        """Listen, with sockets of its own for each balancer: the kernel spreads connections over them.

        Args:
            host: where users come in.
            balancers: how many share the ports.

        Raises:
            CannotListen: a port cannot be had.

        """
        every: dict[str, list[socket.socket]] = {}
        for option, fd, address, port in (
            ("--port", "--http-fd", host, self.http),
            ("--https-port", "--https-fd", host, self.https),
            ("--inside-port", "--inside-fd", LOOPBACK, self.inside),
            ("--mdp-port", "--mdp-fd", host, self.mdp),
        ):
            if port is not None:
                every[fd] = listen_many(address, port, option, balancers)
        if self.mdp is not None:  # the way by which a balancer leaves its clients to its successor
            ways = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(balancers)]
            every["--mdp-give-fd"] = [give for give, _ in ways]
            every["--mdp-take-fd"] = [take for _, take in ways]
        return Opened(
            [{fd: sockets[at] for fd, sockets in every.items()} for at in range(balancers)], self.redirect, self.log
        )


class Opened(NamedTuple):
    """What `Entrance.open` opened.

    Attributes:
        sockets: for each balancer, by the option of `tucano.node` that it is given with.
        redirect: as in `Entrance`.
        log: as in `Entrance`.

    """

    sockets: list[dict[str, socket.socket]]
    redirect: bool
    log: str

    @property
    def options(self) -> list[str]:
        """Further arguments of a balancer's node."""
        return [*["--https-redirect"] * self.redirect, "--access-log", self.log]

    @property
    def ports(self) -> dict[str, int]:
        """Where users come in, by its name in `tucano.home.Running`; 0 where they do not."""
        sockets = self.sockets[0] if self.sockets else {}
        return {
            f"{kind}_port": int(sockets[fd].getsockname()[1]) if (fd := f"--{kind}-fd") in sockets else 0
            for kind in ("http", "https", "inside", "mdp")
        }
