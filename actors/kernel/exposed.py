"""A plain Pykka actor under a name of the kernel's, so that it can be told and asked from all nodes."""

from __future__ import annotations

import contextlib
import queue
import sys
from typing import TYPE_CHECKING, Any

import pykka
from pykka._envelope import Envelope as PykkaEnvelope
from pykka.messages import _ActorStop

from tucano.actors.kernel.errors import CRASHED, STOPPED, Refused, shown
from tucano.actors.kernel.info import ActorInfo
from tucano.actors.kernel.mailbox import Envelope
from tucano.actors.kernel.reply import Asker
from tucano.actors.kernel.timers import Beat

if TYPE_CHECKING:
    from tucano.actors.kernel.system import System

LOOK = 0.2
"""Seconds between two looks whether the actor lives: Pykka tells nobody when one ends."""


class Exposed:
    """What a `Cell` is for the kernel's actors; it is its own mailbox, too, which is the Pykka actor's inbox.

    What a crash does, and who restarts it, is the actor's own business: Pykka hands an exception to who asked, and
    the actor lives on. Its inbox has no bound but its own.

    Args:
        system: the node's actor system.
        name: in this node.
        actor: Pykka's ref of it.

    """

    def __init__(self, system: System, name: str, actor: pykka.ActorRef[Any]) -> None:
        self.system = system
        self.name = name
        self.handled = 0
        self._actor = actor
        self._watch: Beat | None = None
        self._open: dict[_Answer, None] = {}  # asks that it has not answered

    def begin(self) -> None:
        """Look again and again whether the actor lives."""
        self._watch = Beat(self.system.clock, self.system.timers, LOOK, self._look)

    @property
    def mailbox(self) -> Exposed:
        """See `Cell.mailbox`."""
        return self

    def put(self, envelope: Envelope) -> bool:
        """Hand on a message; False if the actor has stopped, or takes no more now."""
        if not self._actor.is_alive():
            self.close("stopped")
            if envelope.reply is not None:
                envelope.reply.refuse(Refused(STOPPED, f"{self.name} has stopped"))
            return False
        answer = None if envelope.reply is None else _Answer(self.name, envelope.reply, self._open)
        inbox = self._actor.actor_inbox
        put = getattr(inbox, "put_nowait", inbox.put)  # a bounded one must not make the bridge wait
        try:
            put(PykkaEnvelope(envelope.body, reply_to=answer))
        except queue.Full:
            return False
        self.handled += 1
        return True

    def put_control(self, message: Any) -> None:
        """See `Mailbox.put_control`: Pykka's order to stop is the only one that is meant for it."""
        if isinstance(message, _ActorStop):
            self.stop()

    def stop(self) -> None:
        """Have it stop, behind all that waits: so it is with Pykka."""
        with contextlib.suppress(pykka.ActorDeadError):
            self._actor.stop(block=False)

    def close(self, why: str) -> None:
        """The name is gone; the actor is not ours to stop."""
        if self._watch is not None:
            self._watch.cancel()
        self.system.forget(self, why)
        for answer in tuple(self._open):
            answer.refuse(Refused(STOPPED, f"{self.name} ended before it had answered"))

    def info(self) -> ActorInfo:
        """The present state, as far as Pykka shows it."""
        phase = "up" if self._actor.is_alive() else "gone"
        kind = self._actor.actor_class.__name__
        return ActorInfo(self.name, "", kind, phase, 0, 0, self.handled, 0, 0, 0.0, "")

    def _look(self, asker: Asker) -> None:
        asker.answer(None)
        if not self._actor.is_alive():
            self.close("stopped")


class _Answer(pykka.Future[Any]):
    """The future that Pykka's loop resolves: it hands the answer on instead of keeping it."""

    def __init__(self, name: str, asker: Asker, waiting: dict[_Answer, None]) -> None:
        super().__init__()
        self._name = name
        self._asker = asker
        self._waiting = waiting
        waiting[self] = None

    def set(self, value: Any = None) -> None:
        """See `pykka.Future.set`."""
        self._waiting.pop(self, None)
        self._asker.answer(value)

    def set_exception(self, exc_info: Any = None) -> None:
        """See `pykka.Future.set_exception`."""
        error = (exc_info or sys.exc_info())[1]
        if isinstance(error, pykka.ActorDeadError):
            self.refuse(Refused(STOPPED, f"{self._name} stopped before it came to this message"))
        elif isinstance(error, Refused):
            self.refuse(error)
        else:
            self.refuse(Refused(CRASHED, f"{self._name} raised {shown(error)}"))

    def refuse(self, error: Refused) -> None:
        """Hand on a refusal."""
        self._waiting.pop(self, None)
        self._asker.refuse(error)
