"""An actor that keeps what it is told, answers what the test has it answer, and does what the test has it do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from tucano.actors.kernel import Actor, Child, Message, Ref, Refused

T = TypeVar("T")

BIRTH = 5.0
"""Seconds that a probe may take to start."""


class _Do(Message, frozen=True):
    what: Any


class _Answered(Message, frozen=True):
    reply: Any
    result: Any


class _Probe(Actor):
    def __init__(self, probe: Probe) -> None:
        super().__init__()
        self._probe = probe

    def on_start(self) -> None:
        self._probe.started(self)

    def receive(self, message: Any) -> Any:
        if isinstance(message, _Do):
            return message.what(self)
        if isinstance(message, _Answered):
            (message.reply.refuse if isinstance(message.result, Refused) else message.reply.answer)(message.result)
            return None
        self._probe.take(message)
        return self._probe.answer(message)


class Probe:
    """Records messages; the same on real threads and in a simulation.

    Args:
        answer: what to answer to each; None by default. What it raises, the probe raises.

    Attributes:
        got: all messages, oldest first.

    """

    def __init__(self, answer: Callable[[Any], Any] = lambda _: None) -> None:
        self.got: list[Any] = []
        self.answer = answer
        self._actor: Actor | None = None
        self._is_up = threading.Event()
        self._waiting: list[tuple[Callable[[Any], bool], threading.Lock]] = []

    def child(self, name: str) -> Child:
        """The probe as a child of a tree; of one tree only."""
        return Child(name, _Probe, {"probe": self})

    def all(self, kind: type[T]) -> list[T]:
        """The messages of this type so far."""
        return [message for message in list(self.got) if isinstance(message, kind)]

    def wait_for(self, kind: type[T], which: Callable[[T], bool] = lambda _: True, within: float = 20.0) -> T:
        """The first message of this type for which `which` holds, past or to come.

        Raises:
            AssertionError: none came within so many seconds (virtual ones in a simulation).

        """

        def fits(message: Any) -> bool:
            return isinstance(message, kind) and which(message)

        lock = threading.Lock()
        lock.acquire()
        self._waiting.append((fits, lock))
        found: T | None = next(filter(fits, list(self.got)), None)
        if found is None and self._the_actor()._cell.system.runtime.wait(lock, within):
            found = next(filter(fits, list(self.got)))
        if found is None:
            raise AssertionError(f"no {kind.__name__} within {within:g} s; it got {self.got[-20:]}")
        return found

    def do(self, what: Callable[[Actor], Any]) -> Any:
        """Have the probe do something as the actor that it is, and return what comes of it."""
        return self._the_actor().ref.ask(_Do(what), timeout=20.0)

    def tell(self, to: Ref, message: Any) -> bool:
        """Tell somebody, in the probe's name."""
        return bool(self.do(lambda actor: actor.address(to.address).tell(message)))

    def ask(self, whom: Ref, message: Any, timeout: float = 5.0) -> Any:
        """Ask somebody, in the probe's name.

        Raises:
            Refused: as the answer says.

        """

        def ask(actor: Actor) -> None:
            reply = actor.reply_later()
            actor.pipe(actor.address(whom.address), message, timeout, lambda result: _Answered(reply, result))

        return self._the_actor().ref.ask(_Do(ask), timeout=timeout + 5.0)

    def watch(self, whom: Ref) -> None:
        """Watch somebody; the `Down` is recorded like any message."""
        self.do(lambda actor: actor.watch(actor.address(whom.address)))

    def started(self, actor: Actor) -> None:
        """An incarnation of the probe is up."""
        self._actor = actor
        self._is_up.set()

    def take(self, message: Any) -> None:
        """Record a message, and wake who waits for it."""
        self.got.append(message)
        for entry in list(self._waiting):
            if entry[0](message):
                self._waiting.remove(entry)
                entry[1].release()

    def _the_actor(self) -> Actor:
        self._is_up.wait(BIRTH)  # on real threads it may be about to start; a simulated node is up, or never will be
        if self._actor is None:
            raise RuntimeError("start the probe first: `probe.child(name)` is for a tree")
        return self._actor
