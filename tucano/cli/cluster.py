"""Commands about the cluster as a whole: down, status, demo."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tucano.cli.common import (
    FAILED,
    NO_CLUSTER,
    HomeOption,
    JsonOption,
    client,
    emit,
    fail,
    paint,
    say,
    the_home,
    token,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tucano.client.answers import StatusInfo
    from tucano.home import Home, Running
    from tucano.stopping import Left

STOP = 60.0
"""Seconds that `down` waits for the cluster's end."""

ANSWER = 2.0
"""Seconds that `status` waits for the controller; then it says what the home knows."""

_MARKS = ("cluster.json", "running.json", "lock")
"""What makes a directory a home; anything else is never purged."""


def down(
    purge: Annotated[bool, typer.Option("--purge", help="Delete the home as well: services, builds, logs.")] = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Stop the cluster with all its services, and whatever an earlier one left behind. Exit 0 also if none runs."""
    from tucano import stopping

    the = the_home(home)
    running = the.running()
    if running is not None:
        say(f"stopping the cluster of {the.path} (pid {running.pid}) ...", aside=json)
        if not stopping.stop(the, running, STOP, None if json else _tell_alive):
            fail(
                f"the cluster did not stop within {STOP:g} s; these still live: parent (pid {running.pid}),"
                f" {_named(stopping.alive(the))}; look into {the.logs}, or end it at once with `kill {running.pid}`"
            )
            raise typer.Exit(FAILED)
    left = stopping.clear(the)
    if left:
        say(f"ended what was left behind: {_named(left)}", aside=json)
    if remaining := stopping.alive(the):
        fail(f"these could not be ended: {_named(remaining)}")
        raise typer.Exit(FAILED)
    the.retract()
    if purge:
        _purge(the)
    if json:
        emit({"home": str(the.path), "running": False, "stopped": running is not None, "purged": purge})
    elif running is None:
        print(f"no cluster runs from {the.path}")
    else:
        print("stopped" + (f", and {the.path} deleted" if purge else ""))


def status(home: HomeOption = None, json: JsonOption = False) -> None:
    """Show whether a cluster runs, its ports, and its nodes. Exit status 3 if none runs."""
    from tucano.client.failures import not_running

    the = the_home(home)
    running = the.running()
    if token() or (running.joined if running else (the.path / "keys" / "login.token").exists()):
        _status_elsewhere(home, json)
        return
    if running is None:
        if json:
            emit(status_of(the, None, None))
            raise typer.Exit(NO_CLUSTER)
        raise not_running(the)
    found = ask(the, running)
    if json:
        emit(status_of(the, running, found))
    else:
        from tucano import render

        print(paint(render.status(str(the.path), running.pid, found, time.time())))


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Keep the temporary home for a look into its logs.")] = False,
) -> None:
    """Show it all in a minute on a cluster of its own: deploy, balance, kill, mend; then take all down."""
    from tucano.demo import run

    raise typer.Exit(run(keep=keep))


def ask(the: Home, running: Running) -> StatusInfo:
    """What the controller says; or, when it is away, what the home knows."""
    import msgspec

    from tucano.client import Client
    from tucano.client.answers import NodeInfo, StatusInfo
    from tucano.client.failures import ClientError

    try:
        with Client(the) as client:
            found = client.status(timeout=ANSWER)
    except ClientError:  # a cluster whose controller is being restarted runs, nevertheless
        nodes = [NodeInfo(name, pid=pid) for name, pid in sorted(running.nodes.items())]
        found = StatusInfo(http_port=running.http_port, zmq_port=running.zmq_port, nodes=nodes, host=running.host)
    return msgspec.structs.replace(
        found, https_port=running.https_port, inside_port=running.inside_port, mdp_port=running.mdp_port
    )


def _status_elsewhere(home: Path | None, json: bool) -> None:
    """The status of a cluster whose controller is on another machine; a worker's home may see its nodes only."""
    from tucano import render
    from tucano.client.answers import StatusInfo
    from tucano.client.failures import ClusterError

    with client(home) as cluster:
        try:
            found = cluster.status()
        except ClusterError as error:
            if error.code != "forbidden":
                raise
            found = StatusInfo(nodes=cluster.nodes(), cluster=_cluster_of_token(home))
        address = cluster.address()
    if json:
        emit({"address": address, "running": True, **{name: getattr(found, name) for name in found.__struct_fields__}})
    else:
        print(f"{'cluster':<10}{found.cluster or '?'}, at {address}\n\n{paint(render.nodes(found.nodes, time.time()))}")


def _cluster_of_token(home: Path | None) -> str:
    """The identity of the cluster that a node's token is for: that it was given, or that its home has joined with."""
    from tucano.client.reach import read_token
    from tucano.keys import Keys

    given = token()
    found = Keys(the_home(home)).joined() if given is None else read_token(given)
    return found.cluster if found else ""


def status_of(the: Home, running: Running | None, found: StatusInfo | None) -> dict[str, Any]:
    """The documented shape of `status --json`."""
    from tucano.client.answers import NodeInfo, StatusInfo

    if running is None:
        return {"home": str(the.path), "running": False, "pid": None, "http_port": None, "zmq_port": None, "nodes": []}
    found = found or StatusInfo(nodes=[NodeInfo(name, pid=pid) for name, pid in sorted(running.nodes.items())])
    return {
        "home": str(the.path),
        "running": True,
        "ready": running.ready,
        "pid": running.pid,
        "http_port": running.http_port,
        "zmq_port": running.zmq_port,
        "https_port": running.https_port,
        "inside_port": running.inside_port,
        "mdp_port": running.mdp_port,
        "access_logs": sorted(str(path) for path in the.path.glob("balancers/*/access.log")),
        "host": running.host,
        "cluster": found.cluster,
        "version": found.version,
        "uptime": found.uptime,
        "services": found.services,
        "nodes": found.nodes,
    }


def _purge(the: Home) -> None:
    """Delete a home, if it is one."""
    if not the.path.exists():
        return
    if not any((the.path / mark).exists() for mark in _MARKS):
        fail(
            f"{the.path} is not deleted: it does not look like a cluster's home (none of {', '.join(_MARKS)} is in it)"
        )
        raise typer.Exit(FAILED)
    shutil.rmtree(the.path)


def _tell_alive(left: list[Left]) -> None:
    """Progress of a stop."""
    if left:
        print(f"  still there: {_named(left)}", flush=True)


def _named(left: list[Left]) -> str:
    """Processes by name and pid."""
    return ", ".join(f"{one.name} (pid {one.pid})" for one in left)
