"""From the record to the balancer's table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tucano.actors.messages.model import Instance, Service, Worker
from tucano.actors.proxy import Service as Route
from tucano.actors.proxy import Target


def routes(
    services: Iterable[Service], instances: Iterable[Instance], workers: Mapping[str, Worker]
) -> dict[str, Route]:
    """One route for each service.

    A ready instance on a worker that is silent is used only if there is none on a worker that is heard: a worker's
    process may have died without its services, but its machine may be gone as well. Draining instances stay in the
    table, closed to new requests, so that their open ones are seen.
    """
    by_service: dict[str, list[Instance]] = {}
    for instance in instances:
        by_service.setdefault(instance.service, []).append(instance)
    table = {}
    for service in services:
        mine = by_service.get(service.name, [])
        ready = [instance for instance in mine if instance.state == "ready"]
        heard = [i for i in ready if i.node in workers and workers[i.node].state == "ready"]
        draining = [instance for instance in mine if instance.state == "draining"]
        targets = [Target(i.id, i.host, i.port, True) for i in heard or ready]
        targets += [Target(i.id, i.host, i.port, False) for i in draining]
        # a request is held a moment only where an answer is likely: something has served, and something is coming up
        proven = service.rollout == "done" or service.previous is not None or any(i.served for i in mine)
        coming = any(i.state in ("pending", "building", "starting") for i in mine)
        if service.rollout != "removing" or targets:
            table[service.name] = Route(
                service.name, tuple(targets), expected=proven and coming,
                protocol=service.route.protocol, port=service.route.port or 0,
                repeat=service.target.spec.balance.repeat,
            )  # fmt: skip
    return table
