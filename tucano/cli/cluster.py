"""Commands about the cluster as a whole: up, down, status, demo."""

from __future__ import annotations

import shutil
import sys
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
from tucano.terminal import mark

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


def up(
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 2,
    port: Annotated[int, typer.Option(min=0, max=65535, help="For users' requests; 0: any free one.")] = 8080,
    zmq_port: Annotated[int, typer.Option(min=0, max=65535, help="For administration; 0: any free one.")] = 0,
    mdp_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="For users' ZeroMQ requests; 0: any free one; without: none."),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST", help="Where to listen; beyond this machine with keys only, see `init`."),
    ] = None,
    bridge_port: Annotated[int, typer.Option(min=0, max=65535, help="For workers elsewhere; 0: the last, or any.")] = 0,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Run in the background; stop with `down`.")] = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Start a cluster on this machine; in the foreground until Ctrl-C, which stops everything in order."""
    the = the_home(home)
    running = the.running()
    if running is not None:
        stop = f"tucano down{the.option}"
        fail(f"a cluster runs from {the.path} already{_where(running)}: use it, or stop it with `{stop}`")
        raise typer.Exit(FAILED)
    if detach:
        arguments: list[object] = [
            "--workers",
            workers,
            "--port",
            port,
            "--zmq-port",
            zmq_port,
            "--bridge-port",
            bridge_port,
        ]
        arguments += ["--listen", listen] if listen else []
        arguments += [] if mdp_port is None else ["--mdp-port", mdp_port]
        _up_detached(the, arguments, json)
        return
    import logging

    from tucano import parent, render
    from tucano.plan import Here

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    say(f"starting a cluster with {render.plural(workers, 'worker')} from {the.path} ...", aside=json)
    try:
        plan = Here(workers, port, zmq_port, bridge_port, listen, mdp_port)
        ended = parent.run(the, plan, on_ready=lambda now: _up_is(the, now, json, foreground=True))
    except parent.CannotStart as error:
        fail(str(error))
        ended = FAILED
    raise typer.Exit(ended)


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
    if stopping.announced(the) is not None:
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
            emit(_status(the, None, None))
            raise typer.Exit(NO_CLUSTER)
        raise not_running(the)
    found = _ask(the, running)
    if json:
        emit(_status(the, running, found))
    else:
        from tucano import render

        print(paint(render.status(str(the.path), running.pid, found, time.time())))


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Keep the temporary home for a look into its logs.")] = False,
) -> None:
    """Show it all in a minute on a cluster of its own: deploy, balance, kill, mend; then take all down."""
    from tucano.demo import run

    raise typer.Exit(run(keep=keep))


def _up_detached(the: Home, arguments: list[object], json: bool) -> None:
    """Start a cluster that outlives this command."""
    from tucano.launch import Launch

    launch = Launch("tucano.parent", the, ["--home", str(the.path), *map(str, arguments)], lifeline=False)
    try:
        running = launch.wait_until_ready()
    except KeyboardInterrupt:
        launch.process.terminate()  # whoever does not wait for the start does not want it
        launch.process.wait(STOP)
        raise
    _up_is(the, running, json, foreground=False)


def _up_is(the: Home, running: Running, json: bool, *, foreground: bool) -> None:
    """Say that a cluster is up, and how to go on."""
    if json:
        emit(_status(the, running, _ask(the, running)))
        return
    from tucano import render

    how = "stop it with Ctrl-C" if foreground else f"stop it with `tucano down{the.option}`"
    print(f"{mark(True)} {render.plural(running.workers, 'worker')} ready; {how}")
    print(f"  users     {running.users}  (the Host header names the service)")
    print(f"  admin     {running.door}" + "  (with keys: `tucano key add` makes tokens)" * running.secure)
    print(f"  go on     tucano deploy DIR{the.option}", flush=True)


def _ask(the: Home, running: Running) -> StatusInfo:
    """What the controller says; or, when it is away, what the home knows."""
    from tucano.client import Client
    from tucano.client.answers import NodeInfo, StatusInfo
    from tucano.client.failures import ClientError

    try:
        with Client(the) as client:
            return client.status(timeout=ANSWER)
    except ClientError:  # a cluster whose controller is being restarted runs, nevertheless
        nodes = [NodeInfo(name, pid=pid) for name, pid in sorted(running.nodes.items())]
        return StatusInfo(
            http_port=running.http_port, zmq_port=running.zmq_port, nodes=nodes, host=running.host,
            mdp_port=running.mdp_port,
        )  # fmt: skip


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
            found = StatusInfo(nodes=cluster.nodes())
        address = cluster.address()
    if json:
        emit({"address": address, "running": True, **{name: getattr(found, name) for name in found.__struct_fields__}})
    else:
        print(f"{'cluster':<10}{found.cluster or '?'}, at {address}\n\n{paint(render.nodes(found.nodes, time.time()))}")


def _status(the: Home, running: Running | None, found: StatusInfo | None) -> dict[str, Any]:
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
        "mdp_port": running.mdp_port,
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


def _where(running: Running) -> str:
    """Its ports, in passing."""
    return f" (pid {running.pid}, users {running.users}, admin {running.door})"


def _tell_alive(left: list[Left]) -> None:
    """Progress of a stop."""
    if left:
        print(f"  still there: {_named(left)}", flush=True)


def _named(left: list[Left]) -> str:
    """Processes by name and pid."""
    return ", ".join(f"{one.name} (pid {one.pid})" for one in left)
