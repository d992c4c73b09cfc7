"""Which keys of a spec go with what its users speak. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tucano.actors.kernel import Refused
from tucano.actors.messages.model import Spec

_KNOWN = {
    "tcp": {
        "route": {"protocol", "port"},
        "balance": {"policy", "hash_by", "max_in_flight", "queue", "queue_wait", "slow_start", "eject_after"},
        "timeouts": {"connect", "tunnel"},
    },
    "zmq": {
        "route": {"protocol", "port"},
        "balance": {"policy", "max_in_flight", "queue", "queue_wait", "slow_start", "repeat"},
        "timeouts": {"first_byte"},
    },
}
"""What a protocol knows of each table; http knows all but `balance.repeat`."""

PORT_RULE = "a tcp service needs a port, from 1024 to 65535, and only a tcp service has one"

_POLICIES = {"tcp": {"two_choices", "round_robin", "hash"}, "zmq": {"two_choices", "round_robin"}}


def pointless(spec: Spec) -> Iterator[str]:
    """All that is asked for and would be ignored, and a port that is missing: `TABLE.KEY: why`."""
    protocol = spec.route.protocol
    if (protocol == "tcp") != (spec.route.port is not None):
        yield f"route.port: {'missing' if spec.route.port is None else 'not allowed here'}; {PORT_RULE}"
    if protocol == "http":
        if spec.balance.repeat:
            yield "balance.repeat: only a zmq service reads it; of HTTP the method says what may be repeated"
        return
    for table, known in _KNOWN[protocol].items():
        given = getattr(spec, table)
        for field in msgspec.structs.fields(given):
            if field.name not in known and getattr(given, field.name) != _default(field):
                yield f"{table}.{field.name}: a {protocol} service does not read it; leave it out"
    balance, policies = spec.balance, _POLICIES[protocol]
    if balance.policy not in policies:
        choice = " or ".join(f'"{one}"' for one in sorted(policies))
        yield f'balance.policy: found "{balance.policy}"; allowed for a {protocol} service: {choice}'
    elif balance.policy == "hash" and balance.hash_by != "ip":
        yield f'balance.hash_by: found "{balance.hash_by}"; allowed for a {protocol} service: "ip"'


def refuse_pointless(spec: Spec) -> None:
    """See that what is asked for goes together.

    Raises:
        Refused: `bad_request`, with all of it.

    """
    problems = list(pointless(spec))
    if problems:
        raise Refused("bad_request", "; ".join(problems))


def _default(field: msgspec.structs.FieldInfo) -> object:
    made: object = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return made
