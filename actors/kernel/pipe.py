"""An ask that does not wait: its answer comes back as a note to the asker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tucano.actors.kernel.errors import Refused, TimedOut
from tucano.actors.kernel.trace import name_of

if TYPE_CHECKING:
    from tucano.actors.kernel.cell import Cell
    from tucano.actors.kernel.ref import Ref
    from tucano.actors.kernel.timers import Timer


class Pipe:
    """One `Actor.pipe`, an `Asker`; kept in its cell until it is settled, so that everybody sees who waits on whom.

    Args:
        cell: of the actor that asks.
        incarnation: which asks.
        ref: who is asked.
        message: what is asked.
        into: makes the note out of the answer or the `Refused`.

    """

    __slots__ = ("_cause", "_cell", "_incarnation", "_into", "_once", "_timer", "ref", "since", "what")

    def __init__(self, cell: Cell, incarnation: int, ref: Ref, message: Any, into: Callable[[Any], Any]) -> None:
        self.ref = ref
        self.what = name_of(message)
        self.since = cell.system.clock.now()
        self._cell = cell
        self._incarnation = incarnation
        self._into = into
        self._cause = cell.system.speech.cause()
        self._once = threading.Lock()
        self._timer: Timer | None = None

    def send(self, message: Any, timeout: float) -> None:
        """Ask, and be refused after `timeout` seconds at the latest."""
        system = self._cell.system
        silence = TimedOut(f"{self.ref.address} gave no answer in {timeout:g} s")
        self._timer = system.timers.after(timeout, lambda: self.refuse(silence))
        system.ask(self.ref, message, timeout, self)

    def drop(self) -> bool:
        """Wait no more; whether it was still open."""
        if not self._once.acquire(blocking=False):
            return False
        if self._timer is not None:
            self._timer.cancel()
        self._cell.pipes.pop(self, None)
        return True

    def answer(self, value: Any, /) -> None:
        """See `Asker.answer`."""
        if not self.drop():
            return
        cell = self._cell
        context = cell.system.speech.answer(self._cause, self.ref.address, cell.address, value)
        try:
            note = self._into(value)
        except BaseException as error:  # noqa: BLE001 - the asker's own mistake: it must not crash who answers
            cell.fail(error, self._incarnation)
        else:
            cell.put_note(note, self._incarnation, context)

    def refuse(self, error: Refused, /) -> None:
        """See `Asker.refuse`."""
        self.answer(error)
