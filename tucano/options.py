"""What a node is told on its command line, which `tucano.plan` writes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Literal


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
    http_port: int
    https_port: int
    inside_port: int
    mdp_port: int
    http_fd: int | None
    https_fd: int | None
    inside_fd: int | None
    mdp_fd: int | None
    mdp_give_fd: int | None
    mdp_take_fd: int | None
    https_redirect: bool
    access_log: Literal["combined", "json"]
    keeper_fd: int | None
    leave: Callable[[], None] | None = None  # what a balancer does last
    services_host: str
    keys: bool

    @property
    def users_ports(self) -> dict[str, int]:
        """Where users come in, as the controller is told."""
        return {
            "http_port": self.http_port, "https_port": self.https_port, "inside_port": self.inside_port,
            "mdp_port": self.mdp_port,
        }  # fmt: skip

    @property
    def inherited(self) -> list[int]:
        """Descriptors that the parent has passed on."""
        every = (
            self.fd, self.door_fd, self.http_fd, self.https_fd, self.inside_fd, self.mdp_fd,
            self.mdp_give_fd, self.mdp_take_fd, self.keeper_fd,
        )  # fmt: skip
        return [one for one in every if one is not None]


def parser() -> argparse.ArgumentParser:
    """The command line of a node; `tucano.parent` writes it."""
    made = argparse.ArgumentParser(prog="python -m tucano.node", description="Run one node of a Tucano cluster.")
    made.add_argument("role", choices=("balancer", "controller", "worker"))
    made.add_argument("--name", required=True, help="the node's name")
    made.add_argument("--home", required=True, type=Path, help="the cluster's home")
    made.add_argument("--cluster", required=True, help="the cluster's identity")
    made.add_argument("--bind", default="tcp://127.0.0.1:0", help="where the bridge listens")
    made.add_argument("--fd", type=int, help="a listening socket for the bridge, inherited")
    made.add_argument("--controller", help="address of the controller's bridge")
    made.add_argument("--door", default="tcp://127.0.0.1:0", help="where clients come in (controller)")
    made.add_argument("--door-fd", type=int, help="a listening socket for clients, inherited (controller)")
    made.add_argument("--http-fd", type=int, help="the end users' listening socket, inherited (balancer)")
    made.add_argument("--https-fd", type=int, help="the same, for TLS (balancer)")
    made.add_argument("--https-redirect", action="store_true", help="send who comes without TLS to it (balancer)")
    made.add_argument("--inside-fd", type=int, help="the same, for this machine's own programs (balancer)")
    made.add_argument("--mdp-fd", type=int, help="the same, for ZeroMQ (balancer)")
    made.add_argument("--mdp-give-fd", type=int, help="where to leave users of that to a successor (balancer)")
    made.add_argument("--mdp-take-fd", type=int, help="where those of a predecessor come from (balancer)")
    made.add_argument(
        "--access-log", choices=("combined", "json"), default="combined", help="how its lines look (balancer)"
    )
    made.add_argument("--keeper-fd", type=int, help="where to say that we serve, or leave, inherited (balancer)")
    for kind, what in (("http", "HTTP"), ("https", "HTTP with TLS"), ("inside", "this machine"), ("mdp", "ZeroMQ")):
        made.add_argument(f"--{kind}-port", type=int, default=0, help=f"users' port for {what}, 0: none (controller)")
    made.add_argument("--services-host", default="127.0.0.1", help="where services listen (worker)")
    made.add_argument("--keys", action="store_true", help="use the keys in the home, on every connection")
    return made
