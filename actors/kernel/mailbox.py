"""Where an actor's messages wait: bounded, with a control lane in front, and outliving the actor's crashes."""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar, Protocol

import msgspec
import pykka

from tucano.actors.kernel.errors import MAILBOX_FULL, STOPPED, Refused
from tucano.actors.kernel.reply import Asker, FutureAsker
from tucano.actors.kernel.running import wake

PykkaEnvelope = Any  # pykka's own `Envelope` is private


class Envelope(msgspec.Struct):
    """One message on its way to one actor. (A struct, because that is made in C: every message needs one.)

    Attributes:
        body: what was said.
        reply: who waits for an answer, if anyone.
        sender: address of who said it, empty from outside.
        trace: the conversation to which it belongs, see `trace.Context`; empty if none.
        incarnation: set on an actor's notes to itself: another incarnation of it drops them.
        node: the other node that it came from, as the link has proven; empty from this one.

    """

    body: Any
    reply: Asker | None = None
    sender: str = ""
    trace: str = ""
    incarnation: int = 0
    node: str = ""


class Bell(Protocol):
    """What wakes an actor that sleeps; `queue.SimpleQueue` is one."""

    def put(self, item: None, /) -> None:
        """Ring once."""
        ...

    def get(self) -> None:
        """Sleep until it rings; each ring wakes once."""
        ...


class Mailbox:
    """Two lanes; any thread may put, one thread at a time gets.

    Who puts rings only if the actor sleeps: a burst costs one ring. The actor says that it will sleep *before* it looks
    for the last time, and who puts looks whether it sleeps *after* putting, so that no message is slept through.

    Args:
        capacity: messages that may wait in the user lane; the control lane and notes to self are never refused.
        bell: wakes the actor.

    """

    def __init__(self, capacity: int, bell: Bell) -> None:
        self.capacity = capacity
        self.high_water = 0
        self.refused = 0
        self.closed = False
        self.control: deque[Any] = deque()
        self.user: deque[Envelope] = deque()
        self._bell = bell
        self._sleeps = False

    def put(self, envelope: Envelope) -> bool:
        """Add to the user lane; False, counted, if it is full."""
        depth = len(self.user)
        if depth >= self.capacity:
            self.refused += 1
            return False
        self.user.append(envelope)
        if depth >= self.high_water:
            self.high_water = depth + 1
        if self._sleeps:
            self._ring()
        return True

    def put_note(self, envelope: Envelope) -> None:
        """Add a timer's note or a piped answer: the actor asked for it, so it is never refused."""
        self.user.append(envelope)
        if len(self.user) > self.high_water:
            self.high_water = len(self.user)
        if self._sleeps:
            self._ring()

    def put_control(self, message: Any) -> None:
        """Add to the control lane, which is emptied first: an `Envelope`, or a message of the trees'."""
        self.control.append(message)
        if self._sleeps:
            self._ring()

    def waits(self) -> bool:
        """Whether there is anything to get; if not, the next put will ring."""
        if self.control or self.user:
            return True
        self._sleeps = True
        return bool(self.control or self.user)

    def sleep(self) -> None:
        """Wait until there is something to get, or the bell has rung for another reason."""
        if not self.waits():
            self._bell.get()

    def awake(self) -> None:
        """Ring, whatever waits."""
        self._bell.put(None)

    def depth(self) -> int:
        """User messages that wait."""
        return len(self.user)

    def close(self) -> int:
        """Take no more; whoever waits for an answer is told that the actor has stopped.

        Returns:
            How many messages were lost.

        """
        self.capacity = 0
        self.closed = True
        self._sleeps = True  # who has just put one without knowing comes to `_ring`
        lost = 0
        for lane in (self.control, self.user):
            while lane:
                message = lane.popleft()
                if isinstance(message, Envelope):
                    lost += not message.incarnation
                    if message.reply is not None:
                        message.reply.refuse(Refused(STOPPED, "the actor stopped before it came to this message"))
        return lost

    def _ring(self) -> None:
        if self.closed:
            self.close()
        else:
            self._sleeps = False
            wake(self.awake)


class Inbox:
    """One incarnation's view of its mailbox, in the form that Pykka's loop wants.

    The loop gets one "envelope" whenever something waits, and that is the inbox itself: the actor then empties the
    mailbox in one go, which saves a round of the loop for each message.
    """

    reply_to: ClassVar[None] = None

    def __init__(self, mailbox: Mailbox) -> None:
        self.message = mailbox

    def put(self, envelope: PykkaEnvelope, /) -> None:
        """Take what was sent through Pykka's own `ActorRef`, so that those work too."""
        reply = None if envelope.reply_to is None else FutureAsker(envelope.reply_to)
        if isinstance(envelope.message, pykka.messages._ActorStop):
            self.message.put_control(envelope.message)
            if reply is not None:
                reply.answer(None)
        elif not self.message.put(Envelope(envelope.message, reply)) and reply is not None:
            reply.refuse(Refused(MAILBOX_FULL, "the mailbox is full"))

    def get(self) -> Inbox:
        """Wait until there is a message."""
        self.message.sleep()
        return self

    def empty(self) -> bool:
        """Always: Pykka empties what is left when an actor ends, and ours must outlive it."""
        return True
