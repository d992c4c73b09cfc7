"""From the record to the balancer's table. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tucano.actors.messages.model import Instance, Service, Worker
from tucano.actors.proxy import Service as Route
from tucano.actors.proxy import Target

_LOOPBACK = "127.0.0.1"
_IPV4 = re.compile(r"[0-9]+(\.[0-9]+){3}")


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
        # a request is held a moment only where an answer is likely: something is coming up and something has served, or
        # a first one has begun to run: whoever was told that it is up may be here before that word is
        proven = service.rollout == "done" or service.previous is not None or any(i.served for i in mine)
        coming = any(i.state in ("pending", "building", "starting") for i in mine)
        likely = coming if proven else any(i.state == "starting" for i in mine)
        if service.rollout != "removing" or targets:
            # what is said of a revision that is not up yet is not true of what serves
            spec = (service.previous or service.target).spec
            table[service.name] = Route(service.name, tuple(targets), likely, spec.route, spec.balance, spec.timeouts)
    return table


def reachable(instances: Iterable[Instance], address: str) -> list[Instance]:
    """Those that a balancer whose bridge is at `address` can reach.

    An instance that listens at loopback is on the controller's machine: at a balancer elsewhere, that same address may
    be something else.
    """
    host = address.removeprefix("tcp://").rpartition(":")[0]
    if host == _LOOPBACK or not _IPV4.fullmatch(host):
        return list(instances)
    return [instance for instance in instances if instance.host != _LOOPBACK]
