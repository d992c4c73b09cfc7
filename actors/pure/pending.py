"""A client's request that waits for the answers of components, of one or of several nodes. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tucano.actors.kernel import Refused
from tucano.actors.messages.gateway import Answered


class Asker(NamedTuple):
    """Whom to answer: where a client's frames come from, and its number for the request."""

    client: tuple[bytes, ...]
    id: int


class Pending:
    """A request, and what has been answered so far.

    Args:
        asker: whom to answer in the end.
        expected: how many were asked.
        finish: makes one answer of all that came, some of which may be `Refused`; may raise `Refused`.

    """

    def __init__(self, asker: Asker, expected: int, finish: Callable[[list[Any]], Any]) -> None:
        self.asker = asker
        self._expected = expected
        self._finish = finish
        self._answers: list[Any] = []

    def take(self, answer: Any) -> None:
        """One of those who were asked has answered or refused."""
        self._answers.append(answer)

    @property
    def is_complete(self) -> bool:
        """Whether all have answered."""
        return len(self._answers) >= self._expected

    def result(self) -> Any:
        """What the client is told; may be a `Refused`."""
        try:
            return self._finish(self._answers)
        except Refused as refused:
            return refused


def the_one(shape: Callable[[Any], Any]) -> Callable[[list[Any]], Any]:
    """The finish of a question to one: its answer in this shape, or its refusal."""
    return lambda answers: answers[0] if isinstance(answers[0], Refused) else shape(answers[0])


def all_good(shape: Callable[[list[Any]], Any]) -> Callable[[list[Any]], Any]:
    """The finish of a question to several: what those say who answered; a node that is just away is left out."""
    return lambda answers: shape([answer for answer in answers if not isinstance(answer, Refused)])


def of_itself(node: str, pending: int, answer: Any) -> Answered:
    """Take an answer of a node's for a request that waits; what it says of itself is not to be in another's name."""
    if getattr(answer, "node", node) != node:
        answer = Refused("forbidden", f"{node} answered in the name of another node")
    return Answered(pending, answer)
