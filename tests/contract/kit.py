"""Actors that do what a test tells them, and keep a diary that outlives their incarnations."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

from tucano.actors.kernel import Actor, ActorInfo, Child, Down, Law, Lifecycle, Message, Ref, Refused, System, Tree

PATIENCE = 20.0
"""Seconds that an ask waits at most, where the test is about something else."""

FAST = Law(intensity=1000, period=60.0, first=0.0, base=0.001, ceiling=0.005)
"""Restarts at once, and as good as for ever."""

STRICT = Law(intensity=2, period=60.0, first=0.0, base=0.001, ceiling=0.005)
"""Bears two crashes."""

Diary = list[Any]


class Add(Message, frozen=True):
    number: int


class Total(Message, frozen=True):
    pass


class Crash(Message, frozen=True):
    how: str = "ValueError"


class Write(Message, frozen=True):
    """Put something into the diary."""

    what: Any


class Introduce(Message, frozen=True):
    """Ask somebody for the total, and answer with it."""

    to: Ref


class Answered(Message, frozen=True):
    reply: Any
    result: Any


class Do(Message, frozen=True):
    """Call a function with the actor, in its own turn, and answer with what it gives."""

    what: Callable[[Any], Any]


class Stranger(Message, frozen=True):
    """What no part takes."""


def blow(how: str) -> BaseException:
    """An exception by its name."""
    error: BaseException = getattr(builtins, how)("as told")
    return error


class Part(Actor):
    """Counts, crashes, pipes, watches: whatever the test wants.

    Args:
        diary: takes "start NAME", "stop NAME", "crash NAME", what `Write` says, and every `Down` and `Lifecycle`.
        faults: by hook ("construct", "start", "stop", "crash") the exceptions that it raises next, the last one first.

    """

    Inbox = Add | Total | Crash | Write | Introduce | Answered | Do | Down | Lifecycle

    def __init__(self, diary: Diary | None = None, faults: dict[str, list[BaseException]] | None = None) -> None:
        super().__init__()
        self.diary = diary if diary is not None else []
        self.total = 0
        self._faults = faults or {}
        self._fault("construct")

    def on_start(self) -> None:
        self.diary.append(f"start {self.ref.name}")
        self._fault("start")

    def on_stop(self) -> None:
        self.diary.append(f"stop {self.ref.name}")
        self._fault("stop")

    def on_crash(self) -> None:
        self.diary.append(f"crash {self.ref.name}")
        self._fault("crash")

    def receive(self, message: Any) -> Any:
        match message:
            case Add(number):
                self.total += number
            case Total():
                return self.total
            case Crash(how):
                raise blow(how)
            case Write(what):
                self.diary.append(what)
            case Introduce(to):
                reply = self.reply_later()
                self.pipe(to, Total(), PATIENCE, lambda result: Answered(reply, result))
            case Answered(reply, result):
                (reply.refuse if isinstance(result, Refused) else reply.answer)(result)
            case Do(what):
                return what(self)
            case _:
                self.diary.append(message)
        return None

    def _fault(self, hook: str) -> None:
        if self._faults.get(hook):
            raise self._faults[hook].pop()


class Grove(Tree):
    """A tree that a test can make do something, such as crash."""

    Inbox = Tree.Inbox | Do

    def receive(self, message: Any) -> Any:
        return message.what(self) if isinstance(message, Do) else super().receive(message)


def part(
    name: str, diary: Diary | None = None, faults: dict[str, list[BaseException]] | None = None, **child: Any
) -> Child:
    """A part as a child: of what its spec says, the keywords."""
    return Child(name, Part, {"diary": diary, "faults": faults}, **child)


def parts(*names: str, diary: Diary | None = None, **child: Any) -> list[Child]:
    """Several."""
    return [part(name, diary, **child) for name in names]


def grove(name: str, *children: Child, restart: Any = "permanent", **tree: Any) -> Child:
    """A tree as a child: its strategy and law, the keywords."""
    return Child(name, Grove, {"children": children, **tree}, restart)


def do(ref: Ref, what: Callable[[Any], Any]) -> Any:
    """Have a part or a grove do something, and return what comes of it."""
    return ref.ask(Do(what), timeout=PATIENCE)


def gives(value: Any) -> Callable[[Any], Any]:
    """For `Do`: answer with this."""
    return lambda _: value


def notes(value: Any, to: Diary) -> Callable[[Any], None]:
    """For `Do`: put this into a list."""
    return lambda _: to.append(value)


def fail(error: BaseException) -> Any:
    """Raise an exception, where only an expression may stand."""
    raise error


def total(ref: Ref) -> int:
    """What a part has counted; it has then handled all that it was told before."""
    found: int = ref.ask(Total(), timeout=PATIENCE)
    return found


def info(system: System, name: str) -> ActorInfo:
    """What is seen of an actor."""
    return next(actor for actor in system.snapshot() if actor.name == name)


def happened(system: System, what: str, who: str = "") -> list[str]:
    """Details of the events of one kind, of one actor if it is named."""
    return [event.detail for event in system.events() if event.what == what and who in ("", event.who)]
