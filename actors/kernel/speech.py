"""Who speaks, and in which conversation: what every message of a node is sent with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tucano.actors.kernel.errors import Refused
from tucano.actors.kernel.running import running
from tucano.actors.kernel.trace import SpanKind, Tracer


class Speech:
    """The speaker's side of a node's conversations.

    Args:
        tracer: remembers them.

    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def cause(self) -> str:
        """Context of what this thread is doing; empty if it belongs to no conversation."""
        actor = running.actor
        if actor is None:
            return running.trace
        return "" if actor._envelope is None else actor._envelope.trace

    def speaker(self) -> str:
        """Address of the actor that this thread runs; empty if it runs none."""
        return "" if running.actor is None else running.actor._cell.address

    def begin(self, kind: SpanKind, to: str, message: Any) -> tuple[str, str]:
        """The sender and the context of a new message.

        Raises:
            Fenced: the actor that speaks was abandoned.

        """
        sender = "" if running.actor is None else running.actor.speak().address
        cause = self.cause()
        return sender, self._tracer.sent(cause, kind, sender, to, message) if cause else ""

    def answer(self, cause: str, sender: str, to: str, value: Any) -> str:
        """The context of an answer to what was asked because of `cause`; what came with a letter has one already."""
        if not cause:
            return ""
        present = self.cause()
        if present.endswith((":answer", ":refusal")) and running.actor is None:
            return present
        if present.partition(":")[0] != cause.partition(":")[0]:
            present = cause
        return self._tracer.sent(present, "refusal" if isinstance(value, Refused) else "answer", sender, to, value)

    @contextlib.contextmanager
    def within(self, context: str) -> Iterator[None]:
        """Do something, in a thread that runs no actor, as part of a conversation."""
        before, running.trace = running.trace, context
        try:
            yield
        finally:
            running.trace = before
