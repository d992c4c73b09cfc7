"""The place behind a name: it keeps the mailbox and the counts while incarnations of its actor come and go."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pykka.messages import _ActorStop

from tucano.actors.kernel.actor import Actor, birth, not_understood
from tucano.actors.kernel.mailbox import Envelope, Mailbox
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

    def begin(self) -> float:
        """A message is being handled."""
        self.busy_since = now = self.system.clock.now()
        return now

    def end(self, started: float) -> None:
        """It has been handled, or has crashed its handler."""
        del started
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
