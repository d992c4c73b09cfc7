"""What a command makes of a service. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, assert_never

import msgspec

from tucano.actors.kernel import Refused
from tucano.actors.messages.deployer import Deploy, Restart, Scale, Undeploy
from tucano.actors.messages.model import Revision, Service, Spec
from tucano.actors.pure.meaning import refuse_pointless
from tucano.actors.pure.reach import refuse_conflicts

Command = Deploy | Scale | Restart | Undeploy


class Wanted(NamedTuple):
    """The service as it is wanted from now on, the revision to answer with, and the event to record."""

    service: Service
    revision: int
    event: str
    text: str


def wanted(
    services: Mapping[str, Service], command: Command, now: float, taken: Mapping[int, str] = MappingProxyType({})
) -> Wanted:
    """Decide on a command.

    Args:
        services: all that there are.
        command: what somebody asks for.
        now: seconds since the epoch.
        taken: ports that the cluster itself listens at, and what for.

    Raises:
        Refused: there is no such service, or it is being removed, or has nothing that works, or would be reached where
            another one is; or what is wanted means nothing, or is at odds with what runs.

    """
    if isinstance(command, Deploy):
        refuse_pointless(command.spec)
        refuse_conflicts(command.spec, services.values(), taken)
        return _deploy(services.get(command.spec.name), command, now)
    service = services.get(command.service)
    if service is None:
        known = ", ".join(sorted(services)) or "none yet"
        raise Refused("not_found", f"no service is called {command.service!r}; there are: {known}")
    if isinstance(command, Undeploy):
        leaving = msgspec.structs.replace(service, rollout="removing")
        return Wanted(leaving, service.target.number, "service_undeployed", "being removed")
    _refuse_if_leaving(service)
    if service.halted:
        raise Refused("conflict", f"{service.name} has no revision that works: deploy one")
    match command:
        case Restart():
            again = msgspec.structs.replace(service.target, number=service.last_number + 1, created=now)
            text = f"revision {again.number}"
            return Wanted(_rolled_out(service, again, service.replicas), again.number, "service_restarted", text)
        case Scale(_, replicas):
            text = f"from {service.replicas} to {replicas} replicas"
            scaled = msgspec.structs.replace(service, replicas=replicas)
            return Wanted(scaled, service.target.number, "service_scaled", text)
        case _:
            assert_never(command)


def _deploy(service: Service | None, command: Deploy, now: float) -> Wanted:
    number = 1
    if service is not None:
        _refuse_if_leaving(service)
        _refuse_other_protocol(service, command.spec)
        if _only_traffic_differs(service, command):
            target = msgspec.structs.replace(service.target, spec=command.spec)
            text = f"revision {target.number}: other routes, the same instances"
            rerouted = msgspec.structs.replace(service, target=target)
            return Wanted(rerouted, target.number, "service_deployed", text)
        number = service.last_number + 1
    replicas = command.spec.replicas
    revision = Revision(number, command.spec, command.artifact, command.size, now)
    text = f"revision {number}, {replicas} replicas"
    return Wanted(_rolled_out(service, revision, replicas), number, "service_deployed", text)


def _only_traffic_differs(service: Service, command: Deploy) -> bool:
    """Whether only what the balancers do is to change: then no instance has to."""
    now, wanted = service.target.spec, command.spec
    same = msgspec.structs.replace(wanted, route=now.route, balance=now.balance, timeouts=now.timeouts)
    return (
        service.rollout == "done"
        and service.replicas == wanted.replicas
        and service.target.artifact == command.artifact
        and now == same != wanted
    )


def _rolled_out(service: Service | None, revision: Revision, replicas: int) -> Service:
    """The service when a new revision is wanted; what served last is kept to go back to."""
    if service is None or service.halted:
        previous = None
    else:
        previous = service.previous if service.rollout == "rolling" else service.target
    unheard = "" if service is None else service.unheard
    return Service(revision.spec.name, replicas, revision, previous, "rolling", "", revision.number, unheard=unheard)


def _refuse_other_protocol(service: Service, spec: Spec) -> None:
    """While a release rolls out its instances stand beside those of the former one: they have to speak the same."""
    was, now = service.route.protocol, spec.route.protocol
    if was != now and not service.halted:
        text = f"{service.name} speaks {was}, and cannot become {now} while it runs: undeploy it first"
        raise Refused("conflict", text)


def _refuse_if_leaving(service: Service) -> None:
    if service.rollout == "removing":
        text = f"{service.name} is being removed: wait until `tucano services` does not list it"
        raise Refused("conflict", text)
