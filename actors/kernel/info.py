"""What can be seen of an actor."""

from __future__ import annotations

from tucano.actors.kernel.message import Message


class Wait(Message, frozen=True):
    """An answer that an actor waits for.

    Attributes:
        on: address of who owes it.
        what: type of the message that was asked.
        seconds: since it was asked.

    """

    on: str
    what: str
    seconds: float


class ActorInfo(Message, frozen=True):
    """One actor as `tucano ps` shows it.

    Attributes:
        name: in its node.
        parent: name of its tree, empty for the root.
        kind: class name.
        phase: down, starting, up, stopping or gone.
        depth: messages that wait.
        high_water: most messages that ever waited.
        handled: messages handled, over all incarnations.
        refused: messages refused because the mailbox was full.
        restarts: times that the tree restarted it.
        busy: seconds that it has been at the present message.
        last_crash: the traceback, empty if it never crashed.
        p50: seconds that half of the latest messages were handled within; 0 before the first.
        p99: the same of 99 in a hundred.
        abandoned: incarnations that did not stop in time and were given up.
        waits: answers that it waits for (asked by `pipe`).

    """

    name: str
    parent: str
    kind: str
    phase: str
    depth: int
    high_water: int
    handled: int
    refused: int
    restarts: int
    busy: float
    last_crash: str
    p50: float = 0.0
    p99: float = 0.0
    abandoned: int = 0
    waits: tuple[Wait, ...] = ()
