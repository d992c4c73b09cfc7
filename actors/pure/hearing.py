"""Whether users can connect to a tcp service, by what the balancers say. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from tucano.actors.messages.model import Service, Worker


def complaint(service: Service, said: Mapping[str, Mapping[str, str]], nodes: Mapping[str, Worker]) -> str:
    """`BALANCER cannot listen ...` of the first balancer that says so; empty if all listen.

    Args:
        service: as it is; what is known of a balancer that has not spoken yet (we may have just begun) stays true.
        said: by balancer that has spoken: why it does not listen, by port; empty if it does.
        nodes: all nodes of the record; who is gone has nothing to say.

    """
    gone = {name for name, node in nodes.items() if node.state == "gone"}
    for balancer in sorted(said.keys() - gone):
        if why := said[balancer].get(str(service.route.port)):
            return f"{balancer} {why}"
    before = service.unheard.partition(" ")[0]
    return service.unheard if before in nodes and before not in gone | said.keys() else ""


def heard_at(
    service: Service, said: Mapping[str, Mapping[str, str]], nodes: Mapping[str, Worker], *, patient: bool
) -> int:
    """Its port, once each balancer that is there has said whether it listens; 0 until then, and if it has none.

    Args:
        service: of any protocol; only those of tcp have ports of their own.
        said: as above.
        nodes: all nodes of the record.
        patient: else a balancer that keeps silent is not waited for.

    """
    if service.route.protocol != "tcp":
        return 0
    there = [name for name, node in nodes.items() if node.role == "balancer" and node.state == "ready"]
    silent = any(str(service.route.port) not in said.get(name, ()) for name in there)
    return 0 if silent and patient else service.route.port or 0
