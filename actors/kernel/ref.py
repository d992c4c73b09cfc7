"""The stable address of an actor, near or far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

import pykka

from tucano.actors.kernel.answer import Answer
from tucano.actors.kernel.clock import seconds
from tucano.actors.kernel.running import running

if TYPE_CHECKING:
    from tucano.actors.kernel.system import System


def is_name(name: object) -> bool:
    """Whether an actor can be called so: 1 to 200 characters that can be printed, no slash among them."""
    return isinstance(name, str) and 0 < len(name) <= 200 and name.isprintable() and "/" not in name


class Ref:
    """An address with Pykka's verbs, resolved at each send, so that it survives restarts and can travel in a message.

    Attributes:
        node: the node where the actor lives.
        name: its name there.

    """

    __slots__ = ("_system", "name", "node")

    def __init__(self, system: System, node: str, name: str) -> None:
        self._system = system
        self.node = node
        self.name = name

    @property
    def address(self) -> str:
        """`node/name`."""
        return f"{self.node}/{self.name}"

    def tell(self, message: Any) -> bool:
        """Send without waiting for an answer.

        Returns:
            False if it was refused at once (no such actor here, no such peer, a full queue), which is counted.

        """
        return self._system.tell(self, message)

    @overload
    def ask(self, message: Any, *, timeout: float, block: Literal[True] = True) -> Any: ...
    @overload
    def ask(self, message: Any, *, timeout: float, block: Literal[False]) -> pykka.Future[Any]: ...
    def ask(self, message: Any, *, timeout: float, block: bool = True) -> Any:
        """Send and get the answer.

        Args:
            message: what to ask.
            timeout: seconds; there is no ask without a deadline.
            block: False returns a Pykka future at once.

        Raises:
            Refused: the receiver says no, crashed on it, or cannot be reached.
            TimedOut: no answer in time.
            RuntimeError: called with `block=True` inside an actor, which would stand still meanwhile: use `pipe`.
            TypeError: the message cannot travel, and the actor is on another node.
            ValueError: no such timeout.

        """
        if block and running.actor is not None:
            raise RuntimeError(f"an actor may not wait for {self.address}: use pipe(), which brings the answer later")
        answer = Answer(self, seconds(timeout, "timeout"), self._system.runtime)
        self._system.ask(self, message, timeout, answer, hold=block)
        return answer.get() if block else answer

    @overload
    def stop(self, *, timeout: float = ..., block: Literal[True] = True) -> bool: ...
    @overload
    def stop(self, *, timeout: float = ..., block: Literal[False]) -> pykka.Future[bool]: ...
    def stop(self, *, timeout: float = 30.0, block: bool = True) -> Any:
        """Stop the actor for good, ahead of all that waits: its tree does not start it again.

        Args:
            timeout: seconds.
            block: False returns a Pykka future at once.

        Returns:
            Whether there was such an actor. When this returns, it has stopped, or was abandoned for not doing so.

        Raises:
            Refused: its node cannot be reached.
            TimedOut: it has not stopped in time.
            RuntimeError: called with `block=True` inside an actor.

        """
        if block and running.actor is not None:
            raise RuntimeError(f"an actor may not wait for {self.address} to stop: use stop(block=False) and watch()")
        if running.actor is not None:
            running.actor.speak()
        answer = Answer(self, seconds(timeout, "timeout"), self._system.runtime)
        if self.node == self._system.node:
            self._system.stop_actor(self.name, answer)
        else:
            self._system.far.stop(self, timeout, answer)
        return answer.get() if block else answer

    def is_alive(self) -> bool:
        """Whether the actor runs, or is being restarted; for one on another node, whether that node is connected."""
        return self._system.is_alive(self)

    def hurry(self) -> None:
        """Let leave at once what waits to be sent to the actor's node."""
        if self.node != self._system.node:
            self._system.far.hurry(self.node)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and (self.node, self.name) == (other.node, other.name)

    def __hash__(self) -> int:
        return hash((self.node, self.name))

    def __repr__(self) -> str:
        return f"<Ref {self.address}>"
