"""When a draining instance may be stopped: all balancers that are heard have said that they are done with it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tucano.actors.messages.model import Worker


class Word(NamedTuple):
    """What a balancer said last.

    Attributes:
        pid: of the process that said it: the word of a former one is void, since its successor begins with routes that
            may be older than the drain.
        ids: draining instances that it sends nothing any more, and of which it has no open request.

    """

    pid: int
    ids: frozenset[str]


def drained(draining: Iterable[str], nodes: Iterable[Worker], words: Mapping[str, Word]) -> list[str]:
    """Those of the draining instances that can be stopped.

    A balancer that is silent or gone is not waited for: what it still sends to an instance that has ended is refused
    there, and it asks another one. While none is heard nobody knows, and nothing is drained.

    Args:
        draining: ids of instances that the record has as draining.
        nodes: all nodes of the record.
        words: by balancer.

    """
    heard = [node for node in nodes if node.role == "balancer" and node.state == "ready"]
    valid = [words[node.name].ids for node in heard if node.name in words and words[node.name].pid == node.pid]
    if not heard or len(valid) < len(heard):
        return []
    return [identifier for identifier in draining if all(identifier in ids for ids in valid)]
