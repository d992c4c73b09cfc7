"""The stable address of an actor, near or far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

import pykka

from tucano.actors.kernel.errors import TimedOut
from tucano.actors.kernel.reply import Reply

if TYPE_CHECKING:
    from tucano.actors.kernel.system import System


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

        """
        future: pykka.ThreadingFuture[Any] = pykka.ThreadingFuture()
        self._system.ask(self, message, timeout, Reply.to_future(future), blocking=block)
        if not block:
            return future
        try:
            return future.get(timeout=timeout + 1.0)  # the deadline is kept by a timer; this is its safety net
        except TimedOut:
            raise
        except pykka.Timeout as error:
            raise TimedOut(f"{self.address} gave no answer in {timeout:g} s") from error

    def is_alive(self) -> bool:
        """Whether the actor runs, or is being restarted; for one on another node, whether that node is connected."""
        return self._system.is_alive(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and (self.node, self.name) == (other.node, other.name)

    def __hash__(self) -> int:
        return hash((self.node, self.name))

    def __repr__(self) -> str:
        return f"<Ref {self.address}>"
