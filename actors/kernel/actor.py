"""The actor: Pykka's `ThreadingActor` with the kernel's mailbox, typed messages, timers, watches and pipes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tucano.actors.kernel.clock import seconds
from tucano.actors.kernel.down import Down
from tucano.actors.kernel.errors import FORBIDDEN, Refused
from tucano.actors.kernel.events import Lifecycle
from tucano.actors.kernel.life import Life
from tucano.actors.kernel.ref import Ref
from tucano.actors.kernel.reply import Reply
from tucano.actors.kernel.timers import Timer
from tucano.actors.kernel.trace import name_of


class Actor(Life):
    """Base of all components, and of embedders' own actors.

    Subclasses say what they take with `Inbox = Deploy | Scale | ...`; anything else is refused to its sender and
    never reaches `receive`. `receive` returns the answer to an `ask`; raising `Refused` answers with a refusal; any
    other exception is a crash, after which the tree decides.
    """

    @property
    def ref(self) -> Ref:
        """The actor's own address."""
        return self._cell.system.ref(self._cell.name)

    @property
    def chance(self) -> random.Random:
        """The node's source of chance."""
        return self._cell.system.chance

    def now(self) -> float:
        """Monotonic seconds, of the node's clock."""
        return self._cell.system.clock.now()

    def wall(self) -> float:
        """Seconds since the epoch, of the node's clock."""
        return self._cell.system.clock.wall()

    def fresh_id(self, bits: int = 32) -> str:
        """A new identifier in hexadecimal, from the node's source of chance."""
        return f"{self.chance.getrandbits(bits):0{bits // 4}x}"

    def address(self, where: str) -> Ref:
        """The ref for an address: `name` on this node, or `node/name`."""
        return self._cell.system.ref(where)

    @property
    def sender(self) -> str:
        """Address of who sent the message being handled; empty if it came from outside all actors."""
        return "" if self._envelope is None else self._envelope.sender

    @property
    def origin(self) -> str:
        """Name of the node that said the message being handled, as its connection proves; the own one for the rest."""
        return (self._envelope is not None and self._envelope.node) or self._cell.system.node

    def insist(self, node: str) -> None:
        """See that no other node says the message being handled in the name of `node`.

        This node's own actors may: they pass on what has been checked, and what the record knows.

        Raises:
            Refused: `forbidden`: another node does. It is counted, and an event.

        """
        if self.origin not in (node, self._cell.system.node):
            why = f"{self.origin} says in the name of {node[:80]!r}: {name_of(self._envelope and self._envelope.body)}"
            self.suspect(why)
            raise Refused(FORBIDDEN, why)

    def suspect(self, why: str) -> None:
        """Count something that was said and is not believed, and make it an event."""
        self._cell.system.channel.happened_again("message_refused", self._cell.name, why)

    def after(self, delay: float, note: Any) -> Timer:
        """Put `note` into the own mailbox in `delay` seconds, unless this incarnation has ended by then.

        Raises:
            ValueError: the delay is not finite, or longer than a year; a negative one is 0.

        """
        return self._cell.note_after(seconds(max(delay, 0.0), "delay"), note, self._incarnation)

    def every(self, period: float, note: Any) -> Timer:
        """Put `note` into the own mailbox each `period` seconds, until cancelled or this incarnation has ended.

        A beat is left out while the one before has not been handled: a slow actor is not buried under its clock.

        Raises:
            ValueError: the period is shorter than a millisecond or longer than a year.

        """
        return self._cell.note_every(seconds(period, "period", 0.001), note, self._incarnation)

    def note(self, note: Any) -> None:
        """Put `note` into the own mailbox now; any thread that the actor owns may call it."""
        self._cell.note(note, self._incarnation)

    def noting(self, make: Callable[..., Any]) -> Callable[..., None]:
        """A function for other threads: it notes `make(*what it is called with)`, in the present conversation."""
        return self._cell.noting(make, self._incarnation)

    def pipe(self, ref: Ref, message: Any, timeout: float, into: Callable[[Any], Any]) -> None:
        """Ask without waiting: `into(answer)`, or `into(Refused)`, is put into the own mailbox.

        Args:
            ref: whom to ask.
            message: what to ask.
            timeout: seconds until `into` gets a `TimedOut`.
            into: makes the note to self; runs in another thread, so it only constructs. What it raises crashes the
                actor that asked.

        """
        self._cell.pipe(ref, message, seconds(timeout, "timeout"), into, self._incarnation)

    def reply_later(self) -> Reply:
        """Take over the answer to the message being handled: what `receive` returns is then ignored."""
        envelope, cell, mine = self._envelope, self._cell, self._incarnation
        reply = envelope.reply if envelope is not None else None
        if envelope is None or reply is None:
            return Reply(lambda _: None)
        envelope.reply = None
        return Reply(lambda value: cell.answer(reply, value, mine))

    def begin_trace(self) -> str:
        """Begin a conversation with the message being handled: what is sent in this turn from here on belongs to it.

        Returns:
            Its identifier, 16 hexadecimal digits.

        """
        trace = self.fresh_id(64)
        if self._envelope is not None:
            self._envelope.trace = self._cell.system.tracer.begin(trace)
        return trace

    def watch(self, whom: Ref | str) -> None:
        """Be told with one `Down` when an actor, or its node, is gone; at once if it is gone already.

        A watch ends with the incarnation that asked for it.

        Args:
            whom: a ref, or an address such as `Down.who`.

        Raises:
            TypeError: the actor's `Inbox` has no `Down`, or this is no ref.
            ValueError: no such address can be.

        """
        self.must_take(Down, "watch")
        self.speak().watch(self._ref(whom), self._incarnation)

    def unwatch(self, whom: Ref | str) -> None:
        """Not be told."""
        self.speak().unwatch(self._ref(whom))

    def _ref(self, whom: Ref | str) -> Ref:
        if not isinstance(whom, Ref | str):
            raise TypeError(f"a ref or an address is wanted, not {whom!r}")
        return self.address(whom) if isinstance(whom, str) else whom

    def subscribe(self) -> None:
        """Be told with a `Lifecycle` of all that happens to this node's actors.

        Raises:
            TypeError: the actor's `Inbox` has no `Lifecycle`.

        """
        self.must_take(Lifecycle, "subscribe")
        self.speak().system.channel.subscribe(self._cell.name)
