"""Commands that look at what happens: ps, trace, top, metrics."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tucano.cli.common import HomeOption, JsonOption, client, emit, paint

if TYPE_CHECKING:
    from tucano.client import Client
    from tucano.client.insight import ConversationInfo
    from tucano.rates import Look

DIGITS = 16
"""Hexadecimal digits of a conversation's id."""

LATEST = 20
"""Conversations that `trace` lists for people."""

LINES = 40
"""Lines of `top` where there is no screen."""

PATIENCE = 2.0
"""Seconds that a live `top` waits for a controller which is away, before it says so."""


_ID = re.compile(rf"[0-9a-f]{{1,{DIGITS}}}\Z")
_NODE = re.compile(r"[a-z0-9.-]{1,63}\Z")


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

    if node is not None and not _NODE.match(node):
        raise typer.BadParameter(f"the name of a node, as `tucano nodes` lists them, not {node!r}", param_hint="NODE")
    with client(home) as cluster:
        found = cluster.ps(node)
    if json:
        emit({"nodes": found})
        return
    parts = [render.ps(found, time.time())]
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

    Each command that changes something begins a conversation, and ends with its id; the first digits of it do.

    What led to a message stands above it, branches are set to the right; MS is since the beginning.
    """
    from tucano import render

    if mermaid and trace is None:
        raise typer.BadParameter("--mermaid draws one conversation: give its ID")
    if mermaid and json:
        raise typer.BadParameter("--mermaid draws for people, --json prints for programs: give one of the two")
    if trace is not None and not _ID.match(trace := trace.lower()):
        raise typer.BadParameter(f"{DIGITS} hexadecimal digits, or the first of them, not {trace!r}", param_hint="ID")
    with client(home) as cluster:
        if trace is None:
            known = cluster.traces()
            if json:
                emit({"traces": known})
            else:
                print(render.conversations(known[:LATEST]))
            return
        found = cluster.trace(trace if len(trace) == DIGITS else _whole(trace, cluster.traces()))
    if json:
        emit(found)
    elif mermaid:
        print(render.sequence(found))
    else:
        print(render.conversation(found))


def top(
    service: Annotated[
        str | None, typer.Argument(metavar="[SERVICE]", help="One service and its instances.", show_default=False)
    ] = None,
    interval: Annotated[float, typer.Option("--interval", min=0.1, max=60, help="Seconds between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Look twice, print the rates, and end.")] = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Show what happens now: load of the nodes, users' requests, the busiest actors; until Ctrl-C.

    ERRORS/S are answers with a status of the 500s, the balancer's own and instances'; P50 and P99 is how long requests
    took, of half of them and of all but one in a hundred at most. With SERVICE: the same of each of its instances.

    With --once, with --json, or where standard output is no terminal: over one interval only.
    """
    from tucano import rates, render

    with client(home) as cluster:
        if sys.stdout.isatty() and not once and not json:
            _live(cluster, interval, service)
            return
        before = _look(cluster, service)
        time.sleep(interval)
        found = rates.between(before, _look(cluster, service))
    if json:
        emit(found)
    else:
        print(paint(render.top(found, LINES, service)))


def metrics(home: HomeOption = None, json: JsonOption = False) -> None:
    """Print the counts of users' requests as OpenMetrics text, for Prometheus and others that collect files or output.

    They begin anew with the balancers. JSON has more of it.
    """
    from tucano import render

    with client(home) as cluster:
        found = cluster.traffic()
    if json:
        emit({"services": found})
    else:
        print(render.metrics(found))


def _whole(beginning: str, known: Sequence[ConversationInfo]) -> str:
    """The id of the only conversation that begins so.

    Raises:
        ClusterError: none does, or several.

    """
    from tucano.client.failures import ClusterError

    found = [one.trace for one in known if one.trace.startswith(beginning)]
    if not found:
        raise ClusterError("not_found", f"no node remembers a conversation {beginning}...: `tucano trace` lists them")
    if len(found) > 1:
        raise ClusterError("conflict", f"{len(found)} conversations begin with {beginning}: {', '.join(found[:5])}")
    return found[0]


def _live(cluster: Client, interval: float, service: str | None) -> None:
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
                    now = _look(cluster, service)
                    text, trouble = render.top(rates.between(before, now), console.height - 2, service), ""
                    before = now
                except ClusterError as error:
                    trouble = f"{render.first_line(str(error))}\n\n"
                screen = Text.from_ansi(trouble + paint(text), no_wrap=True, overflow="crop")
                live.update(screen, refresh=True)
                time.sleep(interval)
    except KeyboardInterrupt:
        return  # how one leaves it


def _look(cluster: Client, service: str | None) -> Look:
    """All that happens; or, of one service, its requests alone.

    Raises:
        ClusterError: `not_found`: no balancer knows the service.

    """
    from tucano.client.failures import ClusterError
    from tucano.rates import Look

    if service is None:
        return Look(time.monotonic(), cluster.nodes(), cluster.traffic(), cluster.ps())
    found = [one for one in cluster.traffic(service) if one.service == service]
    if not found:
        raise ClusterError("not_found", f"no balancer knows a service {service}: `tucano services` lists them")
    return Look(time.monotonic(), services=found)
