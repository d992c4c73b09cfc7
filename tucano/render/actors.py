"""The actors of each node, as a tree. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tucano.client.insight import ActorInfo, NodeActors
from tucano.render.text import table


def ps(found: Sequence[NodeActors]) -> str:
    """The trees of actors, a node after the other."""
    return "\n\n".join(f"{node.node}, pid {node.pid}\n{_actors(node.actors)}" for node in found)


def _actors(found: Sequence[ActorInfo]) -> str:
    """One node's actors, each below its parent and to the right of it."""
    children: dict[str, list[ActorInfo]] = {}
    names = {one.name for one in found}
    for one in found:
        children.setdefault(one.parent if one.parent in names else "", []).append(one)
    rows = []
    waiting = [(1, one) for one in reversed(children.get("", []))]
    while waiting:
        depth, one = waiting.pop()
        waiting += [(depth + 1, child) for child in reversed(children.get(one.name, []))]
        crash = one.last_crash.strip().splitlines()
        rows.append(
            (
                "  " * depth + one.name, one.kind, one.phase, one.depth, one.high_water, one.handled,
                one.refused, one.restarts, f"{one.busy:.1f}s" if one.busy >= 0.05 else "-", crash[-1] if crash else "",
            )
        )  # fmt: skip
    heads = (
        "  ACTOR", "KIND", "PHASE", ">WAITING", ">MOST", ">HANDLED", ">REFUSED", ">RESTARTS", ">BUSY", "LAST CRASH",
    )  # fmt: skip
    return table(heads, rows)
