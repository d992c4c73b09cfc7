"""Commands that look at the actors: ps, trace, top."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from tucano.cli.common import HomeOption, JsonOption, client, emit, paint

if TYPE_CHECKING:
    from tucano.client import Client
    from tucano.rates import Look

LATEST = 20
"""Conversations that `trace` lists for people."""

LINES = 40
"""Lines of `top` where there is no screen."""

PATIENCE = 2.0
"""Seconds that a live `top` waits for a controller which is away, before it says so."""


def ps(
    node: Annotated[str | None, typer.Argument(metavar="[NODE]", help="One node only.", show_default=False)] = None,
    events: Annotated[bool, typer.Option("--events", help="Add what happened to the actors lately.")] = False,
    crashes: Annotated[bool, typer.Option("--crashes", help="Add the tracebacks of the last crashes.")] = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Show the actors of each node: what waits in their mailboxes, how long messages take, restarts, crashes, waits.

    Columns in which there is nothing are left out. JSON has all of it.
    """
    from tucano import render

    with client(home) as cluster:
        found = cluster.ps(node)
    if json:
        emit({"nodes": found})
        return
    parts = [render.ps(found)]
    if events:
        parts.append(render.lifecycle(found))
    if crashes:
        parts.append(render.crashes(found))
    print("\n\n".join(parts))


def trace(
    trace: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One conversation, by its id.", show_default=False)
    ] = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print it as a Mermaid sequence diagram.")] = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Show what the actors said to each other: one conversation, or without ID the list of the latest.

    Each command that changes something begins a conversation, and ends with its id.

    What led to a message stands above it, branches are set to the right; MS is since the beginning.
    """
    from tucano import render

    if mermaid and (trace is None or json):
        raise typer.BadParameter("--mermaid draws one conversation: give its ID, and not --json")
    with client(home) as cluster:
        if trace is None:
            known = cluster.traces()
            if json:
                emit({"traces": known})
            else:
                print(render.conversations(known[:LATEST]))
            return
        found = cluster.trace(trace)
    if json:
        emit(found)
    elif mermaid:
        print(render.sequence(found))
    else:
        print(render.conversation(found))


def top(
    interval: Annotated[float, typer.Option("--interval", min=0.1, max=60, help="Seconds between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Look twice, print the rates, and end.")] = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Show what happens now: load of the nodes, users' requests, the busiest actors; until Ctrl-C.

    With --once, with --json, or where standard output is no terminal: over one interval only.
    """
    from tucano import rates, render

    with client(home) as cluster:
        if sys.stdout.isatty() and not once and not json:
            _live(cluster, interval)
            return
        before = _look(cluster)
        time.sleep(interval)
        found = rates.between(before, _look(cluster))
    if json:
        emit(found)
    else:
        print(paint(render.top(found, LINES)))


def _live(cluster: Client, interval: float) -> None:
    """Look again and again, on a screen of its own; a controller that is away for a while is waited for."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from tucano import rates, render
    from tucano.client.failures import ClusterError

    cluster.timeout = PATIENCE
    console = Console(highlight=False)
    before, text, trouble = None, "", ""
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                try:
                    now = _look(cluster)
                    text, trouble = render.top(rates.between(before, now), console.height - 2), ""
                    before = now
                except ClusterError as error:
                    trouble = f"{render.first_line(str(error))}\n\n"
                screen = Text.from_ansi(trouble + paint(text), no_wrap=True, overflow="crop")
                live.update(screen, refresh=True)
                time.sleep(interval)
    except KeyboardInterrupt:
        return  # how one leaves it


def _look(cluster: Client) -> Look:
    from tucano.rates import Look

    return Look(time.monotonic(), cluster.nodes(), cluster.traffic(), cluster.ps())
