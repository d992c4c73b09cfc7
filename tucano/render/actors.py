"""The actors of each node: their trees, their crashes, what happened to them. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tucano.client.insight import ActorInfo, NodeActors, WaitInfo
from tucano.render.text import age, clean, duration, indent, moment, plural, short, size, table
from tucano.transport.link import LaneInfo, PeerInfo

CRASH = 60
"""Characters of a crash in a tree, at most."""

LASTING = 0.05
"""Seconds from which on it is worth telling what an actor is at, or waits for."""


def ps(found: Sequence[NodeActors], now: float) -> str:
    """The trees of actors, a node after the other, and a line for each node that it is linked to.

    Columns in which there is nothing are left out.
    """
    return "\n\n".join(
        "\n".join((_head(node), _tree(node), *map(_link, node.links))) if node.state == "ready" else absent(node, now)
        for node in found
    )


def absent(node: NodeActors, now: float) -> str:
    """A node that does not answer: `worker-1: gone for 3s`."""
    return f"{node.node}: {node.state}" + (f" for {age(now - node.since)}" if node.since is not None else "")


def crashes(found: Sequence[NodeActors]) -> str:
    """The last crash of each actor that ever crashed, in full."""
    texts = [
        f"{node.node}/{one.name} crashed last with:\n{indent(one.last_crash.rstrip())}"
        for node in found
        for one in node.actors
        if one.last_crash
    ]
    return "\n\n".join(texts) or "no actor has crashed"


def lifecycle(found: Sequence[NodeActors]) -> str:
    """What happened to the actors of all nodes, in the order of time."""
    events = sorted((event.at, node.node, event.seq, event) for node in found for event in node.events)
    lines = (
        f"{moment(at)}  {event.what:<17}  {f'{node}/{event.who}':<24}  {clean(event.detail)}".rstrip().replace(
            "\n", " "
        )
        for at, node, _, event in events
    )
    return "\n".join(lines) or "nothing has happened to the actors yet"


def waits(found: Sequence[WaitInfo], node: str) -> str:
    """What an actor has been waiting for: whom, what and how long, the longest first; others are only counted."""
    longest = sorted((wait for wait in found if wait.seconds >= LASTING), key=lambda wait: -wait.seconds)
    if not longest:
        return ""
    one = longest[0]
    more = f" and {len(longest) - 1} more" if len(longest) > 1 else ""
    return f"{one.on.removeprefix(f'{node}/')} ({one.what}, {one.seconds:.1f}s){more}"


def lasting(busy: float) -> str:
    """For how many seconds an actor has been at its present message, if that is worth telling."""
    return f"{busy:.1f}s" if busy >= LASTING else "-"


def _head(node: NodeActors) -> str:
    dead = f", {plural(node.dead_letters, 'dead letter')}" if node.dead_letters else ""
    return f"{node.node}, pid {node.pid}{dead}"


def _link(peer: PeerInfo) -> str:
    """What has passed between two nodes, lane by lane."""
    lanes = "; ".join(map(_lane, peer.lanes)) or "nothing yet"
    return f"  to {clean(peer.node)}{'' if peer.up else ' (not heard)'}: {lanes}"


def _lane(lane: LaneInfo) -> str:
    text = f"{lane.lane} {lane.sent} sent, {lane.received} received"
    if lane.queued:
        text += f", {lane.queued} waiting ({size(lane.queued_bytes)})"
    if lane.high_water > 1:
        text += f", most {lane.high_water} ({size(lane.high_water_bytes)})"
    if lane.refused:
        text += f", {lane.refused} refused"
    return text


def _tree(node: NodeActors) -> str:
    heads = (
        "  ACTOR", "KIND", "?PHASE", ">WAITING", ">MOST", ">HANDLED", "?>REFUSED", "?>RESTARTS", "?>ABANDONED",
        "?>BUSY", "?>P50", "?>P99", "?WAITS FOR", "?LAST CRASH",
    )  # fmt: skip
    rows = (
        (
            "  " * depth + one.name, one.kind, "" if one.phase == "up" else one.phase, one.depth, one.high_water,
            one.handled, one.refused, one.restarts, one.abandoned, lasting(one.busy), duration(one.p50),
            duration(one.p99), waits(one.waits, node.node), _last_line(one.last_crash),
        )
        for depth, one in _below_parents(node.actors)
    )  # fmt: skip
    return table(heads, rows)


def _below_parents(found: Sequence[ActorInfo]) -> Iterator[tuple[int, ActorInfo]]:
    """Each actor below its parent, with its depth in the tree."""
    children: defaultdict[str, list[ActorInfo]] = defaultdict(list)
    names = {one.name for one in found}
    for one in found:
        children[one.parent if one.parent in names else ""].append(one)
    waiting = [(1, one) for one in reversed(children[""])]
    while waiting:
        depth, one = waiting.pop()
        yield depth, one
        waiting += [(depth + 1, child) for child in reversed(children[one.name])]


def _last_line(crash: str) -> str:
    lines = crash.strip().splitlines()
    return short(lines[-1], CRASH) if lines else ""
