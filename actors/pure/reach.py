"""Where users reach a service, and whether that is somebody else's place already. Pure."""

from __future__ import annotations

from collections.abc import Iterable
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
    """All that a service claims: its hosts, and its name alone."""
    return _below((*route.hosts, name, f"{name}.localhost"), route)


def reached_at(name: str, route: Route) -> tuple[str, ...]:
    """The same for people; without hosts of its own it is reached by its name before any domain, too."""
    return tuple(map(str, _below((*route.hosts, name) if route.hosts else (name, f"{name}.*"), route)))


def _below(hosts: Iterable[str], route: Route) -> tuple[Claim, ...]:
    headers = frozenset((key.lower(), value) for key, value in route.headers.items())
    return tuple(Claim(host, route.path.rstrip("/") or "/", headers) for host in dict.fromkeys(hosts))


def refuse_conflicts(spec: Spec, services: Iterable[Service]) -> None:
    """See that nobody else claims what a service would.

    Raises:
        Refused: `conflict`, with both names and the claim.

    """
    wanted = claims(spec.name, spec.route)
    for other in services:
        if other.name == spec.name:
            continue
        revisions = [one for one in (other.target, other.previous) if one is not None]
        taken = {claim for one in revisions for claim in claims(other.name, one.spec.route)}
        clash = next((claim for claim in wanted if claim in taken), None)
        if clash is not None:
            text = (
                f"{spec.name} and {other.name} would both answer {clash}: give one of them another"
                f" route.hosts, route.path or route.headers, or undeploy {other.name}"
            )
            raise Refused("conflict", text)
