"""An actor that keeps what it is told and answers what the test has it answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tests.helpers import eventually
from tucano.actors.kernel import Actor, Child

T = TypeVar("T")


class _ProbeActor(Actor):
    def __init__(self, probe: Probe) -> None:
        super().__init__()
        self._probe = probe

    def receive(self, message: Any) -> Any:
        self._probe.got.append(message)
        return self._probe.answer(message)


class Probe:
    """Records messages.

    Args:
        answer: what to answer to each; None by default.

    """

    def __init__(self, answer: Callable[[Any], Any] = lambda _: None) -> None:
        self.got: list[Any] = []
        self.answer = answer

    def child(self, name: str) -> Child:
        return Child(name, _ProbeActor, {"probe": self})

    def wait_for(self, kind: type[T], which: Callable[[T], bool] = lambda _: True) -> T:
        """The first message of this type for which `which` holds, waited for."""
        found = eventually(lambda: [m for m in list(self.got) if isinstance(m, kind) and which(m)], f"a {kind}")
        return found[0]

    def all(self, kind: type[T]) -> list[T]:
        return [message for message in list(self.got) if isinstance(message, kind)]
