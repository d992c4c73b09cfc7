"""Who waits for an answer: a future, the asker's own mailbox, or a node far away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pykka

from tucano.actors.kernel.errors import Refused


class Reply:
    """Takes one answer or one refusal; whatever comes after the first is dropped.

    Args:
        deliver: called once, in the thread of whoever answers, with the value or with a `Refused`.

    """

    __slots__ = ("_deliver", "_once")

    def __init__(self, deliver: Callable[[Any], None]) -> None:
        self._deliver = deliver
        self._once = threading.Lock()

    def answer(self, value: Any) -> None:
        """Hand over the answer."""
        if self._once.acquire(blocking=False):
            self._deliver(value)

    def refuse(self, error: Refused) -> None:
        """Hand over a refusal."""
        if self._once.acquire(blocking=False):
            self._deliver(error)

    @classmethod
    def to_future(cls, future: pykka.Future[Any]) -> Reply:
        """A reply that resolves a Pykka future: a refusal is raised where the future is read."""

        def deliver(value: Any) -> None:
            if isinstance(value, Refused):
                future.set_exception((type(value), value, None))
            else:
                future.set(value)

        return cls(deliver)
