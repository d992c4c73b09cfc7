"""What happens in a cluster now, on one screen. Pure."""

from __future__ import annotations

from tucano.rates import ActorRates, Rates, ServiceRates
from tucano.render.actors import lasting, waits
from tucano.render.text import duration, plural, share, size, table

FEWEST = 5
"""Actors that are shown however low the screen is."""


def top(found: Rates, height: int, service: str | None = None) -> str:
    """The nodes, the services and the busiest actors; or one service and its instances.

    Args:
        found: what is shown.
        height: lines of the screen.
        service: of which to show the instances.

    """
    if service is not None:
        return _service(next(one for one in found.services if one.service == service), height)
    parts = [_nodes(found), _services(found.services)]
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


def _services(found: list[ServiceRates]) -> str:
    if not found:
        return "no requests of users yet"
    return table(
        (
            "SERVICE", ">REQUESTS/S", ">ERRORS/S", ">P50", ">P99", "?>RETRIES/S", ">IN FLIGHT", "?>IN/S", "?>OUT/S",
        ),
        (
            (
                one.service, rate(one.requests), rate(one.errors), duration(one.p50), duration(one.p99),
                _unless_zero(one.retries), one.in_flight, size(one.received) if one.received else "-",
                size(one.sent) if one.sent else "-",
            )
            for one in found
        ),
    )  # fmt: skip


def _service(found: ServiceRates, height: int) -> str:
    """One service, and as many of its instances as have room: the slowest first, when there are more."""
    room = max(FEWEST, height - 6)
    shown, more = found.instances, len(found.instances) - room
    if more > 0:
        shown = sorted(shown, key=lambda one: -(one.p99 or 0.0))[: room - 1]
    instances = table(
        ("INSTANCE", ">REQUESTS/S", ">ERRORS/S", ">P50", ">P99", "?>RETRIES/S", ">IN FLIGHT", "?>EJECTIONS"),
        (
            (
                one.instance, rate(one.requests), rate(one.errors), duration(one.p50), duration(one.p99),
                _unless_zero(one.retries), one.in_flight, one.ejections,
            )
            for one in shown
        ),
    )  # fmt: skip
    rest = f"\nand {plural(more + 1, 'instance')} more" if more > 0 else ""
    return f"{_services([found])}\n\n{instances}{rest}"


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
