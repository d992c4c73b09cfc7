"""What happens in a cluster now, on one screen. Pure."""

from __future__ import annotations

from tucano.rates import ActorRates, Rates
from tucano.render.actors import lasting, waits
from tucano.render.text import duration, plural, share, size, table

FEWEST = 5
"""Actors that are shown however low the screen is."""


def top(found: Rates, height: int) -> str:
    """The nodes, the services and the busiest actors.

    Args:
        found: what is shown.
        height: lines of the screen.

    """
    parts = [_nodes(found), _services(found)]
    room = max(FEWEST, height - sum(part.count("\n") + 2 for part in parts) - 2)
    shown, more = found.actors[:room], len(found.actors) - room
    if more > 0:
        shown, more = shown[:-1], more + 1
    parts.append(_actors(shown) + (f"\nand {plural(more, 'actor')} more" if more > 0 else ""))
    return "\n\n".join(parts)


def _nodes(found: Rates) -> str:
    return table(
        ("NODE", "STATE", ">CPU", ">MEMORY", ">INSTANCES"),
        (
            (
                one.name, one.state, share(one.cpu),
                f"{size(one.memory_used)} of {size(one.memory or 0)}" if one.memory_used else "-", one.instances,
            )
            for one in found.nodes
        ),
    )  # fmt: skip


def _services(found: Rates) -> str:
    if not found.services:
        return "no requests of users yet"
    return table(
        ("SERVICE", ">REQUESTS/S", ">ERRORS/S", "?>RETRIES/S", ">IN FLIGHT"),
        (
            (one.service, rate(one.requests), rate(one.errors), _unless_zero(one.retries), one.in_flight)
            for one in found.services
        ),
    )


def _actors(found: list[ActorRates]) -> str:
    return table(
        (
            "ACTOR", "KIND", ">MESSAGES/S", ">WAITING", ">MOST", "?>P50", "?>P99", "?>RESTARTS", "?>BUSY", "?WAITS FOR",
        ),
        (
            (
                f"{one.node}/{one.name}", one.kind, rate(one.messages), one.depth, one.high_water,
                duration(one.p50), duration(one.p99), one.restarts, lasting(one.busy),
                waits(one.waits, one.node),
            )
            for one in found
        ),
    )  # fmt: skip


def rate(each_second: float | None) -> str:
    """A rate: `0.3`, `12`, `4500`; `-` if it is not known."""
    if each_second is None:
        return "-"
    return f"{each_second:.1f}" if each_second < 9.95 else f"{each_second:.0f}"


def _unless_zero(each_second: float | None) -> str:
    return rate(each_second) if each_second else "-"
