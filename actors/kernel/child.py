"""How a tree is told what to start, and what it is told of its children."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tucano.actors.kernel.life import Life
from tucano.actors.kernel.ref import is_name

if TYPE_CHECKING:
    from tucano.actors.kernel.actor import Actor
    from tucano.actors.kernel.cell import Cell


@dataclass(frozen=True)
class Child:
    """How a tree starts and looks after one actor.

    Attributes:
        name: unique in its node; at most 200 characters, no slash, nothing that cannot be printed.
        actor: the class.
        args: arguments for its constructor.
        restart: permanent (always), transient (after a crash only) or temporary (never).
        shutdown: seconds that it has to stop before it is abandoned; by default what its class says: 5, and a tree as
            long as its children need.
        mailbox: messages that may wait.

    Raises:
        ValueError: a field has no meaning.

    """

    name: str
    actor: type[Actor]
    args: Mapping[str, Any] = field(default_factory=dict)
    restart: Literal["permanent", "transient", "temporary"] = "permanent"
    shutdown: float | None = None
    mailbox: int = 10_000

    def __post_init__(self) -> None:
        deadline, waiting = self.shutdown, self.mailbox
        sane = {
            "name": is_name(self.name),
            "actor": isinstance(self.actor, type) and issubclass(self.actor, Life),
            "args": isinstance(self.args, Mapping) and all(isinstance(key, str) for key in self.args),
            "restart": self.restart in ("permanent", "transient", "temporary"),
            "shutdown": deadline is None or (isinstance(deadline, int | float) and deadline >= 0),
            "mailbox": isinstance(waiting, int) and not isinstance(waiting, bool) and waiting >= 1,
        }
        wrong = [f"{field}={getattr(self, field)!r}" for field, holds in sane.items() if not holds]
        if wrong:
            raise ValueError(f"a child cannot have {', '.join(wrong)}: see tucano.actors.kernel.Child")


@dataclass(frozen=True)
class ChildUp:
    """To the tree: the child's `on_start` has returned."""

    cell: Cell
    incarnation: int


@dataclass(frozen=True)
class ChildEnded:
    """To the tree: the child's thread has ended; `crash` is None if it stopped in order."""

    cell: Cell
    incarnation: int
    crash: BaseException | None
