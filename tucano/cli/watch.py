"""Commands that only look: nodes, events, version."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from tucano.cli.common import HomeOption, JsonOption, client, emit, emit_line, paint


def nodes(home: HomeOption = None, json: JsonOption = False) -> None:
    """List the cluster's processes: state, load, memory, instances."""
    from tucano import render

    with client(home) as cluster:
        found = cluster.nodes()
    if json:
        emit({"nodes": found})
    else:
        print(paint(render.nodes(found, time.time())))


def events(
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what happens from now on.")] = False,
    last: Annotated[int, typer.Option("-n", min=1, max=1000, help="How many of the past.")] = 20,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Show what happened: deployments, crashes, restarts, workers lost and found.

    With --json and --follow, one object a line.
    """
    from tucano import render

    with client(home) as cluster:
        if follow:
            for event in cluster.follow_events(last):
                if json:
                    emit_line(event)
                else:
                    print(render.event(event), flush=True)
            return
        found = cluster.events(-last)
    if json:
        emit({"events": found})
    else:
        print("\n".join(map(render.event, found)) or "nothing has happened yet")


def version(json: JsonOption = False) -> None:
    """Print Tucano's version."""
    import platform

    import tucano

    if json:
        emit({"tucano": tucano.__version__, "python": platform.python_version()})
    else:
        print(f"tucano {tucano.__version__}")
