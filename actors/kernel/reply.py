"""Who waits for an answer: a future, the asker's own mailbox, or a node far away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

import pykka

from tucano.actors.kernel.errors import Refused


class Asker(Protocol):
    """Takes one answer or one refusal; whatever comes after the first is dropped. Any thread may call."""

    def answer(self, value: Any, /) -> None:
        """Hand over the answer."""
        ...

    def refuse(self, error: Refused, /) -> None:
        """Hand over a refusal."""
        ...


class Reply:
    """An `Asker` that calls a function.

    Args:
        deliver: called once, in the thread of whoever answers, with the value or with a `Refused`.

    """

    __slots__ = ("_deliver", "_once")

    def __init__(self, deliver: Callable[[Any], None]) -> None:
        self._deliver = deliver
        self._once = threading.Lock()

    def answer(self, value: Any, /) -> None:
        """See `Asker.answer`."""
        if self._once.acquire(blocking=False):
            self._deliver(value)

    def refuse(self, error: Refused, /) -> None:
        """See `Asker.refuse`."""
        self.answer(error)


class FutureAsker:
    """An `Asker` that resolves any Pykka future: a refusal is raised where the future is read."""

    __slots__ = ("_future",)

    def __init__(self, future: pykka.Future[Any]) -> None:
        self._future = future

    def answer(self, value: Any, /) -> None:
        """See `Asker.answer`."""
        self._future.set(value)

    def refuse(self, error: Refused, /) -> None:
        """See `Asker.refuse`."""
        self._future.set_exception((type(error), error, None))


def hand_over(asker: Asker, value: Any) -> None:
    """Give an asker what may be an answer or a `Refused`."""
    if isinstance(value, Refused):
        asker.refuse(value)
    else:
        asker.answer(value)
