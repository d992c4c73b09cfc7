"""Where users reach a service, and whether that is somebody else's place already. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from tucano.actors.kernel import Refused
from tucano.actors.messages.model import Route, Service, Spec


class Claim(NamedTuple):
    """Requests that are a service's own: of this host, below this path, with these header lines."""

    host: str
    path: str
    headers: frozenset[tuple[str, str]]

    def __str__(self) -> str:
        lines = "".join(f" with {name}: {value}" for name, value in sorted(self.headers))
        return f"{self.host}{self.path}{lines}"


def claims(name: str, route: Route) -> tuple[Claim, ...]:
    """All that a service claims of HTTP: its hosts, and its name alone."""
    if route.protocol != "http":
        return ()
    return _below((*route.hosts, name, f"{name}.localhost"), route)


def reached_at(name: str, route: Route) -> tuple[str, ...]:
    """The same for people; without hosts of its own it is reached by its name before any domain, too."""
    if route.protocol != "http":
        return ()
    return tuple(map(str, _below((*route.hosts, name) if route.hosts else (name, f"{name}.*"), route)))


def _below(hosts: Iterable[str], route: Route) -> tuple[Claim, ...]:
    headers = frozenset((key.lower(), value) for key, value in route.headers.items())
    return tuple(Claim(host, route.path.rstrip("/") or "/", headers) for host in dict.fromkeys(hosts))


def refuse_conflicts(spec: Spec, services: Iterable[Service], taken: Mapping[int, str] = MappingProxyType({})) -> None:
    """See that nobody else claims what a service would.

    Args:
        spec: the service.
        services: all that there are; that itself among them does not matter.
        taken: ports that the cluster itself listens at, and what for.

    Raises:
        Refused: `conflict`, with both names and the claim.

    """
    port = spec.route.port
    if port is not None and port in taken:
        raise _port_conflict(port, f"the cluster's own, for {taken[port]}")
    wanted = claims(spec.name, spec.route)
    for other in services:
        if other.name == spec.name:
            continue
        revisions = [one for one in (other.target, other.previous) if one is not None]
        if port is not None and any(one.spec.route.port == port for one in revisions):
            raise _port_conflict(port, f"that of {other.name}")
        theirs = {claim for one in revisions for claim in claims(other.name, one.spec.route)}
        clash = next((claim for claim in wanted if claim in theirs), None)
        if clash is not None:
            text = (
                f"{spec.name} and {other.name} would both answer {clash}: give one of them another"
                f" route.hosts, route.path or route.headers, or undeploy {other.name}"
            )
            raise Refused("conflict", text)


def _port_conflict(port: int, whose: str) -> Refused:
    """What only the balancers can find out is not told here: whether another program has it."""
    return Refused("conflict", f"port {port} is {whose}: name another in route.port")
