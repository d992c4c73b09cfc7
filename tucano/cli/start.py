"""Commands that start nodes: up, controller; worker and balancer, which join a controller on another machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from tucano.cli.cluster import STOP, ask, status_of
from tucano.cli.common import FAILED, HomeOption, JsonOption, emit, fail, read_token, say, the_home
from tucano.terminal import mark

if TYPE_CHECKING:
    from tucano.home import Home, Running
    from tucano.token import Token


class LogFormat(StrEnum):
    """What the access log's lines may look like."""

    COMBINED = "combined"
    JSON = "json"


PortOption = Annotated[int, typer.Option(min=0, max=65535, help="For users' requests; 0: any free one.")]
HttpsOption = Annotated[
    int | None, typer.Option(min=0, max=65535, help="The same with TLS, see `tucano tls`; 0: any free one.")
]
RedirectOption = Annotated[
    bool, typer.Option("--https-redirect", help="Send who comes without TLS to it, if the host has a certificate.")
]
InsideOption = Annotated[
    int | None, typer.Option(min=0, max=65535, help="For programs of this machine only; 0: any free one.")
]
MdpOption = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="For users' ZeroMQ requests; 0: any free one; without: none."),
]
LogOption = Annotated[
    LogFormat, typer.Option("--access-log", help="How a line of the access log looks: Combined Log Format, or JSON.")
]
ZmqOption = Annotated[int, typer.Option(min=0, max=65535, help="For administration; 0: any free one.")]
ListenOption = Annotated[
    str | None, typer.Option(metavar="HOST", help="Where to listen; beyond this machine with keys only, see `init`.")
]
BridgeOption = Annotated[int, typer.Option(min=0, max=65535, help="For nodes elsewhere; 0: the last, or any.")]
DetachOption = Annotated[bool, typer.Option("--detach", "-d", help="Run in the background; stop with `down`.")]
JoinOption = Annotated[
    str | None, typer.Option("--join", metavar="FILE", help="The token's file, - for standard input; once a home.")
]
AddressOption = Annotated[
    str | None, typer.Option(metavar="HOST", help="Where the others reach this machine, if not by the usual way.")
]


def up(
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 2,
    balancers: Annotated[int, typer.Option(min=1, max=64, help="Balancer processes, which share the port.")] = 1,
    port: PortOption = 8080,
    https_port: HttpsOption = None,
    https_redirect: RedirectOption = False,
    inside_port: InsideOption = None,
    mdp_port: MdpOption = None,
    access_log: LogOption = LogFormat.COMBINED,
    zmq_port: ZmqOption = 0,
    listen: ListenOption = None,
    bridge_port: BridgeOption = 0,
    services_host: Annotated[
        str, typer.Option(metavar="HOST", help="Where services listen; for balancers elsewhere: not loopback.")
    ] = "127.0.0.1",
    detach: DetachOption = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Start a cluster on this machine; in the foreground until Ctrl-C, which stops everything in order."""
    arguments = ["--workers", str(workers), "--balancers", str(balancers), "--services-host", services_host]
    arguments += _entrance(port, https_port, https_redirect, inside_port, mdp_port, access_log)
    _start_cluster(the_home(home), arguments + _doors(zmq_port, listen, bridge_port), detach, json)


def controller(
    zmq_port: ZmqOption = 0,
    listen: ListenOption = None,
    bridge_port: BridgeOption = 0,
    detach: DetachOption = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Start a controller alone: workers and balancers join it from other machines, or other homes."""
    arguments = ["--workers", "0", "--balancers", "0", *_doors(zmq_port, listen, bridge_port)]
    _start_cluster(the_home(home), arguments, detach, json)


def worker(
    join: JoinOption = None,
    address: AddressOption = None,
    bridge_port: BridgeOption = 0,
    detach: DetachOption = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Run a worker on this machine for a cluster on another; in the foreground until Ctrl-C."""
    _start_joined(the_home(home), "worker", join, _own(address, bridge_port), detach, json)


def balancer(
    join: JoinOption = None,
    port: PortOption = 8080,
    https_port: HttpsOption = None,
    https_redirect: RedirectOption = False,
    inside_port: InsideOption = None,
    mdp_port: MdpOption = None,
    access_log: LogOption = LogFormat.COMBINED,
    address: AddressOption = None,
    bridge_port: BridgeOption = 0,
    detach: DetachOption = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Run a balancer on this machine for a cluster on another; in the foreground until Ctrl-C."""
    options = _own(address, bridge_port) + _entrance(
        port, https_port, https_redirect, inside_port, mdp_port, access_log
    )
    _start_joined(the_home(home), "balancer", join, options, detach, json)


def _entrance(
    port: int,
    https_port: int | None,
    redirect: bool,
    inside_port: int | None,
    mdp_port: int | None,
    access_log: LogFormat,
) -> list[str]:
    if redirect and https_port is None:
        raise typer.BadParameter("there is no TLS to be sent to: give --https-port, too", param_hint="--https-redirect")
    options = ["--port", str(port), "--access-log", access_log.value]
    options += [] if https_port is None else ["--https-port", str(https_port)]
    options += [] if inside_port is None else ["--inside-port", str(inside_port)]
    options += [] if mdp_port is None else ["--mdp-port", str(mdp_port)]
    return options + ["--https-redirect"] * redirect


def _doors(zmq_port: int, listen: str | None, bridge_port: int) -> list[str]:
    options = ["--zmq-port", str(zmq_port), "--bridge-port", str(bridge_port)]
    return options + (["--listen", listen] if listen else [])


def _own(address: str | None, bridge_port: int) -> list[str]:
    return ["--bridge-port", str(bridge_port), *(["--address", address] if address else [])]


def _start_cluster(the: Home, arguments: list[str], detach: bool, json: bool) -> None:
    from tucano.keys import Keys

    Keys(the).refuse_joined()
    running = the.running()
    if running is not None:
        where = f" (pid {running.pid}, users {running.users}, admin {running.door})"
        fail(f"a cluster runs from {the.path} already{where}: use it, or stop it with `tucano down{the.option}`")
        raise typer.Exit(FAILED)
    if not detach:
        say(f"starting a cluster from {the.path} ...", aside=json)
    _start(the, arguments, detach, lambda now: _up_is(the, now, json, foreground=not detach))


def _start_joined(the: Home, role: str, join: str | None, options: list[str], detach: bool, json: bool) -> None:
    from tucano.keys import Keys, KeysError

    keys = Keys(the)
    if (running := the.running()) is not None:
        fail(f"something runs from {the.path} already (pid {running.pid}): stop it with `tucano down{the.option}`")
        raise typer.Exit(FAILED)
    token = keys.joined() if join is None else read_token(join)
    if token is None:
        raise KeysError(
            f"{the.path} has joined no cluster yet: name the token of `tucano key add NAME --role node` by --join"
        )
    if token.role != "node":
        raise KeysError(f"this token is for the {token.role} {token.name}: a {role} needs one made with --role node")
    keys.join(token)
    stop = f"`tucano down{the.option}`" if detach else "Ctrl-C"
    _start(the, ["--joined", role, *options], detach, lambda now: _joined(the, token, now, json, stop))


def _start(the: Home, arguments: list[str], detach: bool, on_ready: Callable[[Running], None]) -> None:
    """Run a parent with these arguments: in this process until its end, or in one that outlives this command."""
    arguments = ["--home", str(the.path), *arguments]
    if detach:
        from tucano.launch import Launch

        launch = Launch("tucano.parent", the, arguments, lifeline=False)
        try:
            running = launch.wait_until_ready()
        except KeyboardInterrupt:
            launch.process.terminate()  # whoever does not wait for the start does not want it
            launch.process.wait(STOP)
            raise
        on_ready(running)
        return
    import logging

    from tucano import parent

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        ended = parent.run(the, parent.plan(the, parent.parser().parse_args(arguments)), on_ready=on_ready)
    except parent.CannotStart as error:
        fail(str(error))
        ended = FAILED
    raise typer.Exit(ended)


def _up_is(the: Home, running: Running, json: bool, *, foreground: bool) -> None:
    """Say that a cluster is up, and how to go on."""
    if json:
        emit(status_of(the, running, ask(the, running)))
        return
    from tucano import render

    how = "stop it with Ctrl-C" if foreground else f"stop it with `tucano down{the.option}`"
    what = render.plural(running.workers, "worker") + " ready" if running.workers else "the controller is ready"
    print(f"{mark(True)} {what}; {how}")
    _tell_entrance(the, running)
    print(f"  admin     {running.door}" + "  (with keys: `tucano key add` makes tokens)" * running.secure)
    print(f"  go on     tucano deploy DIR{the.option}", flush=True)


def _joined(the: Home, token: Token, running: Running, json: bool, stop: str) -> None:
    """Say that a node has joined."""
    if json:
        emit({"home": str(the.path), "name": token.name, "cluster": token.cluster, "host": running.host,
              "pid": running.pid, "http_port": running.http_port, "https_port": running.https_port})  # fmt: skip
        return
    services = f"; its services listen at {running.host}" * bool(running.workers)
    print(f"{mark(True)} {token.name} has joined cluster {token.cluster}{services}")
    _tell_entrance(the, running)
    print(f"  stop it with {stop}", flush=True)


def _tell_entrance(the: Home, running: Running) -> None:
    if not running.balancers:
        return
    print(f"  users     {running.users}  (the Host header names the service)")
    if running.https_port:
        lacking = f"  (no certificate yet: `tucano tls add HOST{the.option}`)" * (not the.tls.exists())
        print(f"            https://{running.host}:{running.https_port}{lacking}")
    if running.mdp_port:
        print(f"            tcp://{running.host}:{running.mdp_port}  (ZeroMQ, for services with the protocol zmq)")
    if running.inside_port:
        print(f"  inside    http://127.0.0.1:{running.inside_port}  (for programs of this machine)")
