"""The place behind a name: it keeps the mailbox and the counts while incarnations of its actor come and go."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pykka.messages import _ActorStop

from tucano.actors.kernel.actor import Actor, birth, not_understood
from tucano.actors.kernel.mailbox import Envelope, Mailbox
from tucano.actors.kernel.message import Message
from tucano.actors.kernel.timers import Timer

if TYPE_CHECKING:
    from tucano.actors.kernel.system import System

Phase = Literal["down", "starting", "up", "stopping", "gone"]


@dataclass(frozen=True)
class Child:
    """How a tree starts and looks after one actor.

    Attributes:
        name: unique in its node.
        actor: the class.
        args: arguments for its constructor.
        restart: permanent (always), transient (after a crash only) or temporary (never).
        shutdown: seconds that it has to stop before it is abandoned.
        mailbox: messages that may wait.

    """

    name: str
    actor: type[Actor]
    args: Mapping[str, Any] = field(default_factory=dict)
    restart: Literal["permanent", "transient", "temporary"] = "permanent"
    shutdown: float = 5.0
    mailbox: int = 10_000


@dataclass(frozen=True)
class ChildUp:
    """To the tree: the child's `on_start` has returned."""

    name: str
    incarnation: int


@dataclass(frozen=True)
class ChildEnded:
    """To the tree: the child's thread has ended; `crash` is None if it stopped in order."""

    name: str
    incarnation: int
    crash: BaseException | None


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


class Cell:
    """One name of a node. Only the tree's thread changes its phase, so that no crash goes uncounted.

    Args:
        system: the node's actor system.
        child: what to start.
        parent: name of the tree that looks after it.
        tell_tree: takes `ChildUp` and `ChildEnded`.

    """

    def __init__(self, system: System, child: Child, parent: str, tell_tree: Callable[[Any], None]) -> None:
        self.system = system
        self.child = child
        self.name = child.name
        self.parent = parent
        self.mailbox = Mailbox(child.mailbox)
        self.incarnation = 0
        self.phase: Phase = "down"
        self.handled = 0
        self.restarts = 0
        self.abandoned = 0
        self.last_crash = ""
        self.busy_since: float | None = None
        self._tell_tree = tell_tree
        self._actor: Actor | None = None

    def start(self) -> None:
        """Construct the next incarnation and start its thread; a crash in construction is reported like any other."""
        self.incarnation += 1
        self.phase = "starting"
        token = birth.set(self)
        try:
            ref = self.child.actor.start(**self.child.args)
        except Exception as error:  # noqa: BLE001 - whatever a constructor raises, its tree decides
            self.ended(self.incarnation, error)
        else:
            self._actor = ref._actor_weakref()
        finally:
            birth.reset(token)

    def stop(self) -> None:
        """Ask the incarnation to stop, ahead of all that waits."""
        self.phase = "stopping"
        self.mailbox.put_control(_ActorStop())

    def abandon(self) -> None:
        """Give up an incarnation that does not stop: Python cannot kill a thread, so it is fenced and counted."""
        self.incarnation += 1
        self.abandoned += 1
        self.phase = "down"
        if self._actor is not None:
            self._actor.actor_stopped.set()
        self.system.happened("actor_abandoned", self.name, "it did not stop in time")
        self.system.down(self.name, "stopped", "it did not stop in time and was abandoned")

    def close(self, why: str) -> None:
        """The name is gone: refuse what waits and tell the watchers."""
        self.phase = "gone"
        self.system.forget(self, why)
        self.mailbox.close()

    def info(self) -> ActorInfo:
        """The present state."""
        busy = self.busy_since
        return ActorInfo(
            self.name,
            self.parent,
            self.child.actor.__name__,
            self.phase,
            self.mailbox.depth(),
            self.mailbox.high_water,
            self.handled,
            self.mailbox.refused,
            self.restarts,
            0.0 if busy is None else max(0.0, self.system.clock.now() - busy),
            self.last_crash,
        )

    # What the incarnation reports, in its own thread.

    def started(self, incarnation: int) -> None:
        """`on_start` has returned."""
        self._tell_tree(ChildUp(self.name, incarnation))

    def ended(self, incarnation: int, crash: BaseException | None) -> None:
        """The thread is about to end."""
        if incarnation != self.incarnation:
            return  # an abandoned incarnation has ended after all
        self.busy_since = None
        if crash is not None:
            self.last_crash = "".join(traceback.format_exception(crash))
            self.system.happened("actor_crashed", self.name, repr(crash), self.last_crash)
        self._tell_tree(ChildEnded(self.name, incarnation, crash))

    def begin(self) -> None:
        """A message is being handled."""
        self.busy_since = self.system.clock.now()

    def end(self) -> None:
        """It has been handled, or has crashed its handler."""
        self.handled += 1
        self.busy_since = None

    def not_understood(self, envelope: Envelope) -> None:
        """A message of a type that the actor does not take: refused and counted, it is no reason to crash."""
        error = not_understood(self.name, envelope.body)
        self.system.happened("message_refused", self.name, str(error))
        if envelope.reply is not None:
            envelope.reply.refuse(error)

    # Notes to self.

    def put_note(self, note: Any, incarnation: int) -> None:
        """Deliver a note to the incarnation that asked for it."""
        if self.phase != "gone":
            self.mailbox.put_note(Envelope(note, None, f"{self.system.node}/{self.name}", incarnation))

    def note_after(self, delay: float, note: Any, incarnation: int) -> Timer:
        """Deliver a note later."""
        return self.system.timers.after(delay, lambda: self.put_note(note, incarnation))
