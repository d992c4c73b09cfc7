"""Where an actor's messages wait: bounded, with a control lane in front, and outliving the actor's crashes."""

from __future__ import annotations

import queue
from collections import deque
from typing import Any, ClassVar

import pykka

from tucano.actors.kernel.errors import STOPPED, Refused
from tucano.actors.kernel.reply import Reply

PykkaEnvelope = Any  # pykka's own `Envelope` is private; ours has its two attributes


class Envelope:
    """One message on its way to one actor.

    It has the two attributes that Pykka's loop reads, `message` and `reply_to`; the loop hands the whole envelope to
    the kernel's `Actor`, which answers `reply` itself, so that a crash in an ask is a crash like any other.

    Attributes:
        body: what was said.
        reply: who waits for an answer, if anyone.
        sender: address of who said it, empty from outside.
        incarnation: set on an actor's notes to itself: another incarnation of it drops them.

    """

    __slots__ = ("body", "incarnation", "reply", "sender")
    reply_to: ClassVar[None] = None

    def __init__(self, body: Any, reply: Reply | None = None, sender: str = "", incarnation: int | None = None) -> None:
        self.body = body
        self.reply = reply
        self.sender = sender
        self.incarnation = incarnation

    @property
    def message(self) -> Any:
        """What Pykka's loop passes on: the envelope itself."""
        return self


class Control:
    """A message of the tree's: Pykka's loop gets it bare."""

    __slots__ = ("message",)
    reply_to: ClassVar[None] = None

    def __init__(self, message: Any) -> None:
        self.message = message


class Mailbox:
    """Two lanes and one doorbell; any thread may put, one thread at a time gets.

    Args:
        capacity: messages that may wait in the user lane; the control lane and notes to self are never refused.

    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.high_water = 0
        self.refused = 0
        self._control: deque[Control] = deque()
        self._user: deque[Envelope] = deque()
        # one token for each message: SimpleQueue is written in C and needs no lock of ours
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()

    def put(self, envelope: Envelope) -> bool:
        """Add to the user lane; False, counted, if it is full."""
        depth = len(self._user)
        if depth >= self.capacity:
            self.refused += 1
            return False
        self._append(envelope, depth)
        return True

    def put_note(self, envelope: Envelope) -> None:
        """Add a timer's note or a piped answer: the actor asked for it, so it is never refused."""
        self._append(envelope, len(self._user))

    def put_control(self, message: Any) -> None:
        """Add to the control lane, which is emptied first."""
        self._control.append(Control(message))
        self._bell.put(None)

    def get(self) -> Envelope | Control:
        """Wait for the next message, control before user."""
        while True:
            self._bell.get()
            if self._control:
                return self._control.popleft()
            if self._user:  # empty if `close` has taken what this token stood for
                return self._user.popleft()

    def depth(self) -> int:
        """User messages that wait."""
        return len(self._user)

    def close(self) -> None:
        """Take no more user messages; whoever waits for an answer is told that the actor has stopped."""
        self.capacity = 0
        while self._user:
            reply = self._user.popleft().reply
            if reply is not None:
                reply.refuse(Refused(STOPPED, "the actor stopped before it came to this message"))

    def _append(self, envelope: Envelope, depth: int) -> None:
        self._user.append(envelope)
        self._bell.put(None)
        if depth >= self.high_water:
            self.high_water = depth + 1


class Inbox:
    """One incarnation's view of its mailbox, in the form that Pykka's loop wants."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def put(self, envelope: PykkaEnvelope, /) -> None:
        """Take what was sent through Pykka's own `ActorRef`, so that those work too."""
        if type(envelope) is Control:
            self._mailbox.put_control(envelope.message)
            return
        reply = None if envelope.reply_to is None else Reply.to_future(envelope.reply_to)
        if isinstance(envelope.message, pykka.messages._ActorStop):
            self._mailbox.put_control(envelope.message)
            if reply is not None:
                reply.answer(None)
        elif not self._mailbox.put(Envelope(envelope.message, reply)) and reply is not None:
            reply.refuse(Refused(STOPPED, "the mailbox is full"))

    def get(self) -> Any:
        """Wait for the next message."""
        return self._mailbox.get()

    def empty(self) -> bool:
        """Always: Pykka empties what is left when an actor ends, and ours must outlive it."""
        return True
