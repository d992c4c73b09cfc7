"""The tree: an actor that starts actors, restarts those that crash, and stops them in reverse.

One rule drives it: after each event `_step` looks at the children and does the first thing that is due. Children that
must go down go down from the last to the first, and only then the ones that must come up come up, from the first to
the last, one at a time, each when the one before has returned from its `on_start`. A tree is up when its children are.

Strategies, as in erlang/otp `supervisor`: `one_for_one` restarts the child that crashed; `rest_for_one` also those
started after it; `one_for_all` all. More crashes than the law's intensity within its period: the tree gives up, stops
its children and crashes itself, so that its own tree decides; at the root, the node's process ends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, assert_never, get_args

from tucano.actors.kernel.actor import Actor
from tucano.actors.kernel.cell import Cell
from tucano.actors.kernel.child import Child, ChildEnded, ChildUp
from tucano.actors.kernel.clock import YEAR
from tucano.actors.kernel.errors import CRASHED, STOPPED, Refused, shown
from tucano.actors.kernel.reply import Reply, hand_over
from tucano.actors.kernel.restart import GiveUp, History, Law, crashed

Strategy = Literal["one_for_one", "rest_for_one", "one_for_all"]


class GaveUp(Exception):
    """A tree's children crashed more often than its law allows."""


@dataclass(frozen=True)
class StartChild:
    """Start a further child; answered with None when it is up, or refused: the name is taken, or its start crashed.

    Raises:
        TypeError: this is no `Child`.

    """

    child: Child

    def __post_init__(self) -> None:
        if not isinstance(self.child, Child):
            raise TypeError(f"a tree starts a Child(name, actor, ...), not {self.child!r}")


@dataclass(frozen=True)
class StopChild:
    """Stop a child and forget it; answered, when it is gone, with whether there was one."""

    name: str


@dataclass(frozen=True)
class AwaitUp:
    """Answered with None when all children are up."""


@dataclass(frozen=True)
class RestartDue:
    """Note to self: the backoff of these children is over."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class ShutdownDue:
    """Note to self: this incarnation has had its time to stop."""

    cell: Cell
    incarnation: int


@dataclass
class _Branch:
    cell: Cell
    wanted: bool = True  # False: it goes down for good
    doomed: bool = False  # it goes down because of a sibling's crash
    held: RestartDue | None = None  # it waits for its backoff to be over
    why: str = "stopped"
    starters: list[Reply] = field(default_factory=list)  # who waits until it is up
    stoppers: list[Reply] = field(default_factory=list)  # who waits until it is gone


class Tree(Actor):
    """Looks after its children.

    Args:
        children: started in this order.
        strategy: whom a crash concerns besides the one that crashed.
        law: how often and how fast restarts may happen.

    Raises:
        ValueError: there is no such strategy.
        TypeError: the law is no `Law`, or a child no `Child`.
        Refused: a child's name is taken.

    """

    Inbox = StartChild | StopChild | AwaitUp | RestartDue | ShutdownDue
    shutdown = math.inf  # its children have their deadlines

    def __init__(
        self, children: Sequence[Child] = (), strategy: Strategy = "one_for_one", law: Law | None = None
    ) -> None:
        super().__init__()
        if strategy not in get_args(Strategy):
            raise ValueError(f"no strategy is called {strategy!r}; there are: {', '.join(get_args(Strategy))}")
        if law is not None and not isinstance(law, Law):
            raise TypeError(f"a tree's law is a Law(intensity=..., period=...), not {law!r}")
        self._strategy: Strategy = strategy
        self._law = law or Law()
        self._history = History()
        self._branches: dict[str, _Branch] = {}
        self._awaiting: list[Reply] = []
        self._was_up = self._stopping = False
        self._gave_up: GiveUp | None = None
        self._last = ""  # crash, at which it gave up
        try:
            for child in children:  # the names are there before the first actor runs, so that all can write to all
                self._add(child)
        except BaseException:
            self.on_crash()
            raise

    def on_start(self) -> None:
        """Start the children."""
        self._step()

    def begun(self) -> None:
        """Report to its own tree later: when all its children are up."""

    def receive(self, message: StartChild | StopChild | AwaitUp | RestartDue | ShutdownDue) -> bool | None:
        """Handle what comes in envelopes."""
        match message:
            case StartChild(child):
                if self._stopping:
                    raise Refused(STOPPED, f"{self._cell.address} is about to stop")
                if child.name in self._branches:
                    raise Refused("name_taken", f"{child.name} is a child of {self._cell.name} already")
                self._add(child).starters.append(self.reply_later())
            case StopChild(name):
                if name not in self._branches:
                    return False
                self._branches[name].wanted = False
                self._branches[name].stoppers.append(self.reply_later())
            case AwaitUp():
                self._awaiting.append(self.reply_later())
            case RestartDue(names):
                for name in names:
                    branch = self._branches.get(name)
                    if branch and branch.held is message:  # and not for a later crash's
                        branch.held = None
            case ShutdownDue(cell, incarnation):
                branch = self._branch(cell, incarnation)
                if branch and cell.phase == "stopping":
                    cell.abandon()
                    branch.doomed = False
            case _:
                assert_never(message)
        self._step()
        return None

    def receive_control(self, message: Any) -> None:
        """Handle what comes bare: children's news, and orders."""
        match message:
            case ChildUp(cell, incarnation):
                branch = self._branch(cell, incarnation)
                if branch and cell.phase == "starting":
                    cell.phase = "up"
                    self._answer(branch.starters, None)
            case ChildEnded(cell, incarnation, crash):
                branch = self._branch(cell, incarnation)
                if branch:
                    self._ended(branch, crash)
            case _:
                super().receive_control(message)
                return
        self._step()

    def obey(self) -> None:
        """Stop the children, then itself."""
        self._stopping = True
        for branch in self._branches.values():
            branch.wanted = False
        self._step()

    def on_crash(self) -> None:
        """Leave no child behind: the next incarnation starts its own. (Who gave up has none any more.)"""
        if not self.fenced:  # or they would be the next one's
            for cell in self._cell.system.below(self._cell.name):
                cell.orphan()
        self._refuse_all()

    def on_stop(self) -> None:
        """See `Actor.on_stop`."""
        self._refuse_all()

    def _add(self, child: Child) -> _Branch:
        child = StartChild(child).child
        cell = self._cell.system.cell(child, self._cell.name, self._cell.mailbox.put_control)
        branch = self._branches[child.name] = _Branch(cell)
        return branch

    def _refuse_all(self) -> None:
        """Whoever waits for a child, or for all, waits in vain."""
        ended = Refused(STOPPED, f"{self._cell.address} ended before its children were up; {self._last}".rstrip("; "))
        for branch in self._branches.values():
            self._answer(branch.starters, ended)
            self._answer(branch.stoppers, True)
        self._answer(self._awaiting, ended)

    def _branch(self, cell: Cell, incarnation: int) -> _Branch | None:
        """The branch that news are of; None if they are of one that is gone, though its name may be in use again."""
        branch = self._branches.get(cell.name)
        return branch if branch and branch.cell is cell and cell.incarnation == incarnation else None

    def _answer(self, waiting: list[Reply], value: Any) -> None:
        for reply in waiting:
            hand_over(reply, value)
        waiting.clear()

    def _ended(self, branch: _Branch, crash: BaseException | None) -> None:
        """Decide on a child whose incarnation has ended."""
        cell = branch.cell
        cell.phase = "down"
        siblings_fault, branch.doomed = branch.doomed and crash is None, False
        why = "stopped" if crash is None else "gave_up" if isinstance(crash, GaveUp) else "crashed"
        self._cell.system.watches.ended(cell.name, why, "" if crash is None else shown(crash))
        self._answer(branch.starters, Refused(CRASHED, f"{cell.address} did not start: it {why} ({shown(crash)})"))
        if not branch.wanted or siblings_fault:
            return
        if cell.child.restart == "temporary" or (cell.child.restart == "transient" and crash is None):
            branch.wanted = False
            return
        verdict = crashed(self._law, self._history, self.now(), self.chance.random)
        if isinstance(verdict, GiveUp):
            self._gave_up = verdict
            self._last = f"{cell.name}: {'stopped' if crash is None else shown(crash)}"
            self._cell.system.channel.happened("tree_gave_up", self._cell.name, f"last: {self._last}")
            for other in self._branches.values():
                other.wanted, other.why = False, "gave_up"
            return
        self._history = verdict.history
        due = RestartDue(tuple(self._concerned(cell.name)))
        for name in due.names:
            other = self._branches[name]
            if other.cell.child.restart == "temporary":
                other.wanted = False
                continue
            other.held = due
            other.doomed = other.cell.phase != "down"
            other.cell.restarts += 1
        self.after(verdict.after, due)

    def _concerned(self, name: str) -> list[str]:
        names = list(self._branches)
        match self._strategy:
            case "one_for_one":
                return [name]
            case "rest_for_one":
                return names[names.index(name) :]
            case "one_for_all":
                return names
            case _:
                assert_never(self._strategy)

    def _step(self) -> None:
        """Do what is due: first down, in reverse, one at a time; then up, in order, one at a time."""
        for name, branch in reversed(list(self._branches.items())):
            cell = branch.cell
            if branch.wanted and not branch.doomed:
                continue
            if cell.phase == "stopping":
                return
            if cell.phase in ("up", "starting"):
                cell.stop()
                if cell.shutdown <= YEAR:
                    self.after(cell.shutdown, ShutdownDue(cell, cell.incarnation))
                return
            branch.doomed = False
            if not branch.wanted:
                del self._branches[name]
                cell.close(branch.why)
                self._answer(branch.starters, Refused(STOPPED, f"{cell.address} was stopped before it was up"))
                self._answer(branch.stoppers, True)
        if self._gave_up is not None:
            crashes, within = self._gave_up
            times = f"{crashes} crashes within {within:.2g} s" if crashes > 1 else "a crash"
            raise GaveUp(f"{times} below {self._cell.name}; the last: {self._last}")
        if self._stopping:
            self._stop()
            return
        for branch in self._branches.values():
            if branch.cell.phase == "starting" or (branch.held and self._strategy != "one_for_one"):
                return
            if branch.cell.phase == "down" and not branch.held:
                branch.cell.start()
                return
        if all(branch.cell.phase == "up" for branch in self._branches.values()):
            if not self._was_up:
                self._was_up = True
                self._cell.started(self._incarnation)
            self._answer(self._awaiting, None)
