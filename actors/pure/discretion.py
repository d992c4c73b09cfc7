"""What other nodes are told of a service: all but what is its workers' and its owner's alone. Pure."""

from __future__ import annotations

import msgspec

from tucano.actors.messages.discovery import Entry
from tucano.actors.messages.model import Revision


def for_others(entry: Entry) -> Entry:
    """An entry of the record without the values of `run.env`, which workers get with the instance that they run."""
    service = entry.service
    if service is None:
        return entry
    target, previous = _discreet(service.target), service.previous and _discreet(service.previous)
    return msgspec.structs.replace(entry, service=msgspec.structs.replace(service, target=target, previous=previous))


def _discreet(revision: Revision) -> Revision:
    run = msgspec.structs.replace(revision.spec.run, env=dict.fromkeys(revision.spec.run.env, ""))
    return msgspec.structs.replace(revision, spec=msgspec.structs.replace(revision.spec, run=run))
