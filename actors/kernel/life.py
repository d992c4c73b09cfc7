"""An actor's life: Pykka's loop, over the kernel's mailbox, reporting to the cell.

Threads run it whole (`live`); a simulation calls its three parts, and each turn is one message.
"""

from __future__ import annotations

import types
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Union, cast, get_args, get_origin

import pykka
from pykka.messages import _ActorStop

from tucano.actors.kernel.errors import CRASHED, Refused, shown
from tucano.actors.kernel.mailbox import Envelope
from tucano.actors.kernel.running import running

if TYPE_CHECKING:
    from tucano.actors.kernel.cell import Cell

birth: ContextVar[tuple[Cell, int]] = ContextVar("birth")
"""The cell and the incarnation that are being constructed: Pykka creates the inbox in `__init__`, without a name."""


class Fenced(Exception):
    """Raised in an actor that was given up for not stopping in time: nothing that it says is believed."""


class Paused(BaseException):
    """Raised by a simulation's inbox: the actor's turn is over, its life is not."""


@dataclass(frozen=True)
class Order:
    """To one incarnation, ahead of all that waits: to stop, or to crash.

    Attributes:
        incarnation: whom it is for; another one drops it.
        crash: what to crash with; None to stop in order.

    """

    incarnation: int
    crash: BaseException | None = None


class Life(pykka.ThreadingActor):
    """What Pykka's loop and the kernel want of an actor; embedders subclass `Actor`."""

    use_daemon_thread: ClassVar[bool] = True
    Inbox: ClassVar[Any] = object
    shutdown: ClassVar[float] = 5.0
    """Seconds to stop in, where the child spec says nothing."""

    in_burst = False
    """Whether it handles all that waits, one after the other, right now."""

    _kinds: ClassVar[tuple[type, ...]] = (object,)
    _accepts: ClassVar[set[type] | None] = None  # those and what has been found to be one of them; None takes all

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "Inbox" not in cls.__dict__:
            return
        union = object if cls.Inbox is Any else cls.Inbox
        kinds = get_args(union) if get_origin(union) in (Union, types.UnionType) else (union,)
        if not all(isinstance(kind, type) and get_origin(kind) is None for kind in kinds):
            raise TypeError(f"{cls.__name__}.Inbox must be a class, or several joined by |, not {cls.Inbox!r}")
        cls._kinds = kinds
        cls._accepts = None if object in kinds else set(kinds)

    @classmethod
    def takes(cls, kind: type) -> bool:
        """Whether messages of that class may come in."""
        if cls._accepts is None or kind in cls._accepts:
            return True
        if issubclass(kind, cls._kinds):
            cls._accepts.add(kind)  # so that the next one is found at once
            return True
        return False

    @classmethod
    def must_take(cls, kind: type, to: str) -> None:
        """Raise a TypeError if messages of that class may not come in."""
        if not cls.takes(kind):
            raise TypeError(f"{cls.__name__} cannot {to}: its Inbox has no {kind.__name__}; add it with |")

    def __init__(self) -> None:
        born = birth.get(None)
        if born is None:
            raise TypeError(f"start {type(self).__name__} as a child of a tree (see tucano.actors.kernel.Child)")
        cell, self._incarnation = born
        self._cell = cell
        self._envelope: Envelope | None = None
        self._crash: BaseException | None = None
        super().__init__()
        self.actor_inbox = cast(Any, cell.system.runtime.inbox(cell.mailbox))
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
        """Let go of sockets and threads: run in the actor's thread after a crash, or when it was abandoned and ends.

        Must not raise.
        """

    @property
    def fenced(self) -> bool:
        """Whether it was abandoned."""
        return self._incarnation in self._cell.fenced

    def speak(self) -> Cell:
        """Its cell, through which it speaks.

        Raises:
            Fenced: it was abandoned.

        """
        if self._incarnation in self._cell.fenced:
            raise Fenced(f"{self._cell.address} was abandoned: it may not speak any more")
        return self._cell

    def live(self) -> None:
        """The whole life, in a thread."""
        self._actor_loop()

    def _start_actor_loop(self) -> None:
        # Pykka's `ActorRegistry.stop_all`, which any SystemExit in a plain actor calls, is not to stop ours
        pykka.ActorRegistry.unregister(self.actor_ref)
        if not self.fenced:  # its construction may have taken so long that it was abandoned
            self._cell.system.runtime.start(self)

    def _actor_loop(self) -> None:
        if self.begin_life():
            self.take_turn()
        self.end_life()

    def begin_life(self) -> bool:
        """Run `on_start`; whether that went well."""
        running.actor = self
        self._envelope = first = self._cell.first_envelope()
        clock = self._cell.system.clock
        began = clock.now()
        try:
            super()._actor_loop_setup()
        except BaseException as error:  # noqa: BLE001 - a SystemExit in on_start is a crash like any other
            self._handle_failure(type(error), error, error.__traceback__)
        finally:
            self._envelope = None
            running.actor = None
        if first is not None:
            self._cell.traced(first, clock.now() - began, "done" if self._crash is None else CRASHED)
        if self._crash is None:
            self.begun()
        return self._crash is None

    def begun(self) -> None:
        """`on_start` has returned: report to the tree."""
        self._cell.started(self._incarnation)

    def take_turn(self) -> None:
        """Handle messages until stopped or crashed; in a simulation one, then `Paused` is raised."""
        running.actor = self
        try:
            super()._actor_loop_running()
        finally:
            running.actor = None

    def end_life(self) -> None:
        """Report to the tree."""
        running.actor = self
        try:
            if self._crash is not None or self.fenced:
                self.on_crash()
        except BaseException as error:  # noqa: BLE001 - the crash is told all the same
            self._crash = error
        finally:
            running.actor = None
            self._cell.ended(self._incarnation, self._crash)

    def _handle_receive(self, message: Any) -> None:
        """Handle what waits in the mailbox, the control lane first: all that there is, or in a simulation one.

        Each message goes through this loop, so it calls nothing that it can do without.
        """
        cell, mine, accepts = self._cell, self._incarnation, self._accepts
        control, user, receive, clock = message.control, message.user, self.receive, cell.system.clock.now
        burst, times, far = cell.system.runtime.burst, cell.times, cell.system.far
        held, self.in_burst = far.held, burst
        then = clock()
        try:
            while cell.incarnation == mine:
                if control:
                    envelope = control.popleft()
                    if type(envelope) is not Envelope:
                        self._envelope = None
                        self.receive_control(envelope)
                        return
                elif user:
                    envelope = user.popleft()
                else:
                    return
                if envelope.incarnation and envelope.incarnation != mine:
                    continue  # a note of an incarnation that is gone
                if held:
                    far.go_on()
                body = envelope.body
                if accepts is not None and type(body) not in accepts and not self.takes(type(body)):
                    cell.not_understood(envelope)
                    continue
                self._envelope = envelope
                cell.busy_since = then
                outcome = "done"
                try:
                    answer = receive(body)
                    if envelope.reply is not None:
                        if cell.fenced or isinstance(answer, Refused):
                            cell.answer(envelope.reply, answer, mine)
                        else:  # the same, without its two calls
                            envelope.reply.answer(answer)
                except Refused as refused:
                    outcome = refused.code
                    if envelope.reply is not None:
                        envelope.reply.refuse(refused)
                except BaseException as error:  # noqa: BLE001 - a crash, whatever it is: raised again
                    outcome = CRASHED
                    self._crashed_on(envelope, error)
                finally:
                    now = clock()
                    times.append(now - then)
                    cell.handled += 1
                    if envelope.trace:
                        cell.traced(envelope, now - then, outcome)
                    then = now
                if not burst:
                    return
        finally:
            self._envelope = None
            self.in_burst = False
            cell.busy_since = None
            if held:
                far.release()

    def _crashed_on(self, envelope: Envelope, error: BaseException) -> NoReturn:
        """The message that crashed us is dropped, and whoever asked it is told."""
        if envelope.reply is not None:
            what = type(envelope.body).__name__
            envelope.reply.refuse(Refused(CRASHED, f"{self._cell.name} crashed on {what}: {shown(error)}"))
        self._raise(error)

    def _raise(self, error: BaseException) -> NoReturn:
        if isinstance(error, Exception):
            raise error
        raise RuntimeError(f"{shown(error)} in {self._cell.name}") from error  # Pykka would stop all actors

    def receive_control(self, message: Any) -> None:
        """Handle a message of the control lane that is no envelope: an `Order`, or Pykka's own to stop."""
        match message:
            case Order(incarnation, crash) if incarnation == self._incarnation and crash is not None:
                self._raise(crash)
            case Order(incarnation) if incarnation == self._incarnation:
                self.obey()
            case _ActorStop():
                self.obey()

    def obey(self) -> None:
        """Stop, as ordered."""
        self._stop()

    def _stop(self) -> None:
        try:
            super()._stop()
        except BaseException as error:  # noqa: BLE001 - a SystemExit in on_stop is a crash like any other
            self._handle_failure(type(error), error, error.__traceback__)

    def _handle_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        del exception_type, traceback
        if self._crash is None:
            self._crash = exception_value
        pykka.ActorRegistry.unregister(self.actor_ref)
        self.actor_stopped.set()
