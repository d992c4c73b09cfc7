"""Commands about services: deploy, services, show, scale, restart, undeploy."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tucano.cli.common import (
    HomeOption,
    JsonOption,
    NoWaitOption,
    Teller,
    TimeoutOption,
    client,
    emit,
    paint,
)

if TYPE_CHECKING:
    from tucano.client import Client
    from tucano.client.answers import Accepted

Name = Annotated[str, typer.Argument(metavar="NAME", help="The service.", show_default=False)]


def deploy(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where the service and its tucano.toml are.")],
    replicas: Annotated[int | None, typer.Option(help="Instances wanted, instead of what the file says.")] = None,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = 900.0,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Upload a directory, have it built and started, and wait until it answers.

    Exit status 1 means that the new revision does not serve; the one before, if there was one, still does.
    """
    from tucano import spec
    from tucano.client.answers import Accepted
    from tucano.client.failures import DeployFailed

    spec.override(spec.load(directory), replicas=replicas)  # what is wrong with it is said first, cluster or no cluster
    with client(home) as cluster, Teller(cluster.home, aside=json) as tell:
        try:
            accepted = cluster.deploy(directory, replicas=replicas, wait=not no_wait, timeout=timeout, progress=tell)
        except DeployFailed as failed:
            tell.trace = failed.trace
            if json:
                accepted = Accepted(failed.service, failed.revision, failed.trace)
                emit(_outcome(cluster, accepted, "failed", failed.detail))
            raise
        tell.trace = accepted.trace
        state = "rolling" if no_wait else "done"
        _tell(cluster, tell, accepted, state, json, f"{accepted.service} runs: {_reached(cluster, accepted.service)}")


def services(home: HomeOption = None, json: JsonOption = False) -> None:
    """List the services."""
    from tucano import render

    with client(home) as cluster:
        found = cluster.services()
    if json:
        emit({"services": found})
    else:
        print(paint(render.services(found)))


def show(name: Name, home: HomeOption = None, json: JsonOption = False) -> None:
    """Show all about one service: revision, state, instances."""
    import msgspec

    from tucano import render

    with client(home) as cluster:
        found = cluster.show(name)
    if json:
        emit(msgspec.structs.replace(found, spec=render.masked(found.spec)))
    else:
        print(paint(render.show(found, time.time())))


def scale(
    name: Name,
    replicas: Annotated[int, typer.Argument(metavar="N", help="Instances wanted.", min=1, max=1000)],
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = 120.0,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Want more or fewer instances, and wait until they are there."""
    with client(home) as cluster, Teller(cluster.home, aside=json) as tell:
        accepted = cluster.scale(name, replicas)
        tell.trace = accepted.trace
        if not no_wait:
            cluster.wait_until_scaled(name, replicas, timeout, tell)
        _tell(cluster, tell, accepted, "rolling" if no_wait else "done", json, f"{name} has {replicas} replicas")


def restart(
    name: Name,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = 300.0,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Replace all instances by new ones, without a gap for users, and wait for them."""
    with client(home) as cluster, Teller(cluster.home, aside=json) as tell:
        accepted = cluster.restart(name)
        tell.trace = accepted.trace
        if not no_wait:
            cluster.wait_for_rollout(name, accepted.revision, timeout, tell)
        _tell(cluster, tell, accepted, "rolling" if no_wait else "done", json, f"{name} is restarted")


def undeploy(
    name: Name,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = 120.0,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Stop a service after its open requests, and forget it."""
    with client(home) as cluster, Teller(cluster.home, aside=json) as tell:
        accepted = cluster.undeploy(name)
        tell.trace = accepted.trace
        if not no_wait:
            cluster.wait_until_gone(name, timeout, tell)
        if json:
            emit({
                "service": name, "revision": accepted.revision, "state": "removing" if no_wait else "gone",
                "trace": accepted.trace,
            })  # fmt: skip
        else:
            tell.done(f"{name} is taken down")


def _tell(cluster: Client, tell: Teller, accepted: Accepted, state: str, json: bool, text: str) -> None:
    """The end of a command that was carried out, or with `--no-wait` accepted."""
    if json:
        emit(_outcome(cluster, accepted, state))
    elif state == "done":
        tell.done(text)
    else:
        show = f"tucano show {accepted.service}{cluster.home.option}"
        tell.done(f"accepted as revision {accepted.revision}; watch it with `{show}`")


def _outcome(cluster: Client, accepted: Accepted, state: str, detail: str = "") -> dict[str, Any]:
    """What a command ends with, as JSON."""
    from tucano.client.failures import ClusterError

    try:
        shown = cluster.show(accepted.service)
        replicas, ready = shown.replicas, shown.ready
    except ClusterError as error:
        if error.code != "not_found":
            raise
        replicas = ready = 0  # a first deployment that failed
    return {
        "service": accepted.service, "revision": accepted.revision, "state": state, "replicas": replicas,
        "ready": ready, "detail": detail, "trace": accepted.trace,
    }  # fmt: skip


def _reached(cluster: Client, name: str) -> str:
    """How users reach a service; by http as a command to try."""
    found, service = cluster.status(), cluster.show(name)
    if service.port is not None:
        return f"users connect to {found.host}:{service.port}"
    if service.protocol == "zmq":
        where = f"at tcp://{found.host}:{found.mdp_port}" if found.mdp_port else "once `tucano up` has --mdp-port"
        return f"Majordomo clients ask for {name} {where}"
    route = service.spec["route"]
    if route["private"]:
        return f"users do not reach it, programs of this machine do at the inside port, as {service.reached[0]}"
    host = next((one for one in route["hosts"] if not one.startswith("*")), name)
    headers = [f"Host: {host}", *(f"{key}: {value}" for key, value in route["headers"].items())]
    lines = " ".join(f"-H {shlex.quote(line)}" for line in headers)
    return f"curl {lines} http://{found.host}:{found.http_port}{route['path']}"
