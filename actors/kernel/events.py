"""What happens to a node's actors, on one channel."""

from __future__ import annotations

import itertools
import logging
from collections import Counter, deque
from collections.abc import Callable
from typing import Literal

from tucano.actors.kernel.message import Message

log = logging.getLogger("tucano.kernel")

What = Literal[
    "actor_started", "actor_stopped", "actor_crashed", "actor_abandoned", "tree_gave_up", "message_refused",
    "dead_letter", "node_up", "node_down", "name_taken",
]  # fmt: skip


NAMES = 256
"""Names whose repeated events are counted one by one; those of all further names are counted together."""

LONGEST = 500
"""Characters of a name or a text that an event keeps."""

_LEVELS = {
    "actor_started": logging.DEBUG,
    "actor_stopped": logging.DEBUG,
    "node_up": logging.INFO,
    "name_taken": logging.ERROR,
}


class Lifecycle(Message, frozen=True):
    """One event.

    Attributes:
        seq: counts a node's events.
        at: seconds since the epoch.
        what: see `What`.
        who: name of the actor, or of the other node.
        detail: for a person.

    """

    seq: int
    at: float
    what: What
    who: str
    detail: str


class Channel:
    """A node's events: the latest are kept, subscribers are told, people find them in the log.

    Args:
        node: its name.
        wall: seconds since the epoch.
        tell: puts an event into the mailbox of a name of this node; it must not make an event of its own.
        keep: events to keep.

    """

    def __init__(
        self, node: str, wall: Callable[[], float], tell: Callable[[str, Lifecycle], None], keep: int = 500
    ) -> None:
        self.listener: Callable[[Lifecycle], None] | None = None  # for a simulation's trace
        self._node = node
        self._wall = wall
        self._tell = tell
        self._kept: deque[Lifecycle] = deque(maxlen=keep)
        self._numbers = itertools.count(1)
        self._subscribers: dict[str, None] = {}
        self._repeats: Counter[tuple[What, str]] = Counter()

    def happened(self, what: What, who: str, detail: str, traceback: str = "") -> None:
        """Something happened."""
        who, detail = who[:LONGEST], detail[:LONGEST]
        event = Lifecycle(next(self._numbers), self._wall(), what, who, detail)
        level = logging.INFO if (what, detail) == ("node_down", "left") else _LEVELS.get(what, logging.WARNING)
        log.log(level, "%s %s/%s: %s", what, self._node, who, detail)
        if traceback:
            log.info("%s", traceback)
        self._kept.append(event)
        if self.listener is not None:
            self.listener(event)
        for name in tuple(self._subscribers):
            self._tell(name, event)

    def happened_again(self, what: What, who: str, detail: str) -> None:
        """Something happened that may happen a million times: the first, second, fourth, eighth time are events."""
        key = (what, who[:LONGEST])
        if key not in self._repeats and len(self._repeats) >= NAMES:
            key = (what, "others")  # names that never existed, made up by a stranger
        self._repeats[key] += 1
        times = self._repeats[key]
        if times & (times - 1) == 0:
            self.happened(what, key[1], detail if times == 1 else f"{detail} ({times} times)")

    def latest(self) -> tuple[Lifecycle, ...]:
        """The latest, oldest first."""
        return tuple(self._kept)

    def subscribe(self, name: str) -> None:
        """Tell a name of this node from now on."""
        self._subscribers[name] = None
