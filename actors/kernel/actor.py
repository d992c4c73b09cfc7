"""The actor: Pykka's `ThreadingActor` with the kernel's mailbox, typed messages, timers, watches and pipes."""

from __future__ import annotations

import random
import threading
import types
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Union, get_args, get_origin

import pykka

from tucano.actors.kernel.errors import CRASHED, NOT_UNDERSTOOD, Refused
from tucano.actors.kernel.mailbox import Envelope, Inbox
from tucano.actors.kernel.message import Message
from tucano.actors.kernel.ref import Ref
from tucano.actors.kernel.reply import Reply
from tucano.actors.kernel.timers import Timer

if TYPE_CHECKING:
    from tucano.actors.kernel.cell import Cell

birth: ContextVar[Cell] = ContextVar("birth")
"""The cell for which an actor is being constructed: Pykka creates the inbox in `__init__`, before it knows a name."""

_running = threading.local()


class Down(Message, frozen=True):
    """What a watcher is told, once, of whom it watches.

    Attributes:
        who: address.
        why: stopped, crashed, gave_up, node_silent or not_found.
        detail: for a person.

    """

    who: str
    why: str
    detail: str = ""


class Fenced(Exception):
    """Raised in an actor that was given up for not stopping in time: nothing that it says is believed."""


def current_actor() -> Actor | None:
    """The actor whose code this thread runs right now, if any."""
    return getattr(_running, "actor", None)


class Actor(pykka.ThreadingActor):
    """Base of all components, and of embedders' own actors.

    Subclasses say what they take with `Inbox = Deploy | Scale | ...`; anything else is refused to its sender and
    never reaches `receive`. `receive` returns the answer to an `ask`; raising `Refused` answers with a refusal; any
    other exception is a crash, after which the tree decides.
    """

    use_daemon_thread: ClassVar[bool] = True
    Inbox: ClassVar[Any] = object

    _accepts: ClassVar[frozenset[type] | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        union = cls.__dict__.get("Inbox")
        if union is not None:
            kinds = get_args(union) if get_origin(union) in (Union, types.UnionType) else (union,)
            cls._accepts = None if object in kinds else frozenset(kinds)

    def __init__(self) -> None:
        cell = birth.get(None)
        if cell is None:
            raise TypeError(f"start {type(self).__name__} as a child of a tree (see tucano.actors.kernel.Child)")
        self._cell = cell
        self._incarnation = cell.incarnation
        self._envelope: Envelope | None = None
        self._crash: BaseException | None = None
        super().__init__()
        self.actor_inbox = Inbox(cell.mailbox)
        self._actor_ref = pykka.ActorRef(self)  # made anew, for it has copied the inbox

    # What subclasses write.

    def on_start(self) -> None:
        """Run in the actor's thread before the first message; a crash here is a crash."""

    def receive(self, message: Any) -> Any:
        """Handle one message; what is returned answers an `ask`."""
        raise NotImplementedError(f"{type(self).__name__} has no receive")

    def on_stop(self) -> None:
        """Run in the actor's thread when it is stopped in order; not after a crash."""

    def on_crash(self) -> None:
        """Run in the actor's thread after a crash: let go of sockets and threads. Must not raise."""

    # What subclasses use.

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

    def begin_trace(self) -> str:
        """Begin a conversation with the message being handled: its id; a placeholder."""
        return self.fresh_id(64)

    def address(self, where: str) -> Ref:
        """The ref for an address: `name` on this node, or `node/name`."""
        return self._cell.system.ref(where)

    @property
    def sender(self) -> str:
        """Address of who sent the message being handled; empty if it came from outside all actors."""
        return "" if self._envelope is None else self._envelope.sender

    def after(self, delay: float, note: Any) -> Timer:
        """Put `note` into the own mailbox in `delay` seconds, unless this incarnation has ended by then."""
        return self._cell.note_after(delay, note, self._incarnation)

    def note(self, note: Any) -> None:
        """Put `note` into the own mailbox now; any thread that the actor owns may call it."""
        self._cell.put_note(note, self._incarnation)

    def pipe(self, ref: Ref, message: Any, timeout: float, into: Callable[[Any], Any]) -> None:
        """Ask without waiting: `into(answer)`, or `into(Refused)`, is put into the own mailbox.

        Args:
            ref: whom to ask.
            message: what to ask.
            timeout: seconds until `into` gets a `TimedOut`.
            into: makes the note to self; runs in another thread, so it only constructs.

        """
        cell, incarnation = self._cell, self._incarnation
        cell.system.ask(ref, message, timeout, Reply(lambda value: cell.put_note(into(value), incarnation)))

    def reply_later(self) -> Reply:
        """Take over the answer to the message being handled: what `receive` returns is then ignored."""
        envelope = self._envelope
        reply = envelope.reply if envelope is not None else None
        if envelope is None or reply is None:
            return Reply(lambda _: None)
        envelope.reply = None
        return reply

    def watch(self, ref: Ref) -> None:
        """Be told with one `Down` when the actor behind `ref`, or its node, is gone; at once if it is gone already."""
        self._cell.system.watch(self._cell.name, ref)

    def unwatch(self, ref: Ref) -> None:
        """Not be told."""
        self._cell.system.unwatch(self._cell.name, ref)

    # Pykka's side.

    @property
    def fenced(self) -> bool:
        """Whether another incarnation has taken this one's place."""
        return self._incarnation != self._cell.incarnation

    def _handle_receive(self, message: Any) -> Any:
        if type(message) is not Envelope:
            return self.receive_control(message)
        if message.incarnation is not None and message.incarnation != self._incarnation:
            return None
        if self._accepts is not None and type(message.body) not in self._accepts:
            self._cell.not_understood(message)
            return None
        cell = self._cell
        self._envelope = message
        cell.begin()
        try:
            answer = self.receive(message.body)
        except Refused as refused:
            if message.reply is not None:
                message.reply.refuse(refused)
        except BaseException as error:
            if message.reply is not None:
                message.reply.refuse(
                    Refused(CRASHED, f"{cell.name} crashed on {type(message.body).__name__}: {error!r}")
                )
            if isinstance(error, Exception):
                raise
            raise RuntimeError(f"{error!r} in {cell.name}") from error  # Pykka stops all actors on a BaseException
        else:
            if message.reply is not None:
                message.reply.answer(answer)
        finally:
            self._envelope = None
            cell.end()
        return None

    def receive_control(self, message: Any) -> Any:
        """Handle a message of the control lane; trees have more of them than Pykka's stop."""
        return super()._handle_receive(message)

    def _handle_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        del exception_type, traceback
        self._crash = self._crash or exception_value
        pykka.ActorRegistry.unregister(self.actor_ref)
        self.actor_stopped.set()

    def _actor_loop_setup(self) -> None:
        super()._actor_loop_setup()
        if self._crash is None:
            self._cell.started(self._incarnation)

    def _actor_loop(self) -> None:
        _running.actor = self
        try:
            super()._actor_loop()
        except BaseException as error:  # noqa: BLE001 - a SystemExit in on_start is a crash like any other
            self._handle_failure(type(error), error, error.__traceback__)
        finally:
            try:
                if self._crash is not None:
                    self.on_crash()
            finally:
                _running.actor = None
                self._cell.ended(self._incarnation, self._crash)


def not_understood(name: str, body: Any) -> Refused:
    """The refusal of a message that an actor does not take."""
    return Refused(NOT_UNDERSTOOD, f"{name} takes no {type(body).__name__}")
