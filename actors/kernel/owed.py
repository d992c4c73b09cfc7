"""What this node owes to another one that has asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tucano.actors.kernel.errors import Refused
from tucano.transport.link import CONTROL, Lane


class Owed(msgspec.Struct, eq=False):
    """An `Asker` on another node. (A struct, because that is made in C: every ask that comes in needs one.)

    Attributes:
        node: who waits.
        number: of its ask.
        send: takes this and the value, or a `Refused`; called once, in the thread of whoever answers.
        cause: context of the conversation, see `trace.Context`; empty if it belongs to none.
        lane: on which the answer travels.
        open: whoever pops what is in it answers.

    """

    node: str
    number: int
    send: Callable[[Owed, Any], None]
    cause: str = ""
    lane: Lane = CONTROL
    open: list[bool] = msgspec.field(default_factory=lambda: [True])

    def answer(self, value: Any, /) -> None:
        """See `Asker.answer`."""
        try:
            self.open.pop()
        except IndexError:
            return
        self.send(self, value)

    def refuse(self, error: Refused, /) -> None:
        """See `Asker.refuse`."""
        self.answer(error)
