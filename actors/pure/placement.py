"""Where a new instance goes. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from tucano.actors.messages.model import Instance, Worker
from tucano.actors.pure.instance import ACTIVE


def place(
    service: str,
    workers: Iterable[Worker],
    instances: Iterable[Instance],
    chance: Callable[[], float],
    avoid: frozenset[str] = frozenset(),
) -> str | None:
    """Choose a worker for one more instance of `service`: spread.

    The one with the fewest instances of the service, then with the fewest of all for its processors, then by chance;
    one of those to `avoid` only if there is no other.

    Returns:
        The worker's name, or None if no worker is ready.

    """
    mine: Counter[str] = Counter()
    all_of_them: Counter[str] = Counter()
    for instance in instances:
        if instance.state in ACTIVE:
            all_of_them[instance.node] += 1
            if instance.service == service:
                mine[instance.node] += 1
    ready = [worker for worker in workers if worker.state == "ready" and worker.role == "worker"]
    if not ready:
        return None
    best = min(
        ready,
        key=lambda worker: (
            worker.name in avoid,
            mine[worker.name],
            all_of_them[worker.name] / max(worker.cpus, 1),
            chance(),
        ),
    )
    return best.name
