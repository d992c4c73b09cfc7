"""Requests that wait: for an instance that is expected (`Waiting`), or for a place when all are full (`Line`)."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

_EVERY: Final = 0.05  # seconds between two looks
_SCOUTS: Final = 8  # held requests that try again at each look; when one succeeds, all do


class Held(Protocol):
    """A request that can be held.

    Attributes:
        hold_until: When it is given up, by the clock of `Waiting`.
    """

    hold_until: float

    def again(self) -> None:
        """Look for an instance again."""

    def give_up(self) -> None:
        """The time is over: answer without an instance."""


class Waiting:
    """The held requests of one service, in order of arrival.

    Args:
        loop: What wakes them.
        clock: What `hold_until` is measured by.
        worthwhile: There is an instance that could be tried.
        places: The most requests that are held at once.
    """

    __slots__ = ("_clock", "_held", "_loop", "_places", "_timer", "_worthwhile")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
        worthwhile: Callable[[], bool],
        places: int = 1024,
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._worthwhile = worthwhile
        self._places = places
        self._held: dict[Held, None] = {}  # a set that keeps its order
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._held)

    def add(self, held: Held) -> bool:
        """Hold it; False if there is no place."""
        if len(self._held) >= self._places:
            return False
        self._held[held] = None
        if self._timer is None:
            self._timer = self._loop.call_later(_EVERY, self._look)
        return True

    def discard(self, held: Held) -> None:
        """Hold it no longer; it does not matter whether it was."""
        self._held.pop(held, None)

    def wake(self) -> None:
        """Let all try again."""
        all_held, self._held = self._held, {}
        for held in all_held:
            held.again()

    def _look(self) -> None:
        self._timer = None
        now = self._clock()
        for held in [held for held in self._held if held.hold_until <= now]:
            del self._held[held]
            held.give_up()
        if self._worthwhile():
            self._try()
        if self._held and self._timer is None:
            self._timer = self._loop.call_later(_EVERY, self._look)

    def _try(self) -> None:
        for held in list(self._held)[:_SCOUTS]:
            self._held.pop(held, None)
            held.again()


class Line(Waiting):
    """The requests of one service that wait for a place, first come, first served: `flow` is called for each place."""

    __slots__ = ("_flowing",)

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
        worthwhile: Callable[[], bool],
        places: int,
    ) -> None:
        super().__init__(loop, clock, worthwhile, places)
        self._flowing = False

    def flow(self) -> None:
        """Let the first ones go, as many as there is room for. One that has to wait on goes to the end."""
        if self._flowing:
            return  # one that goes has an end at once, and calls us: the loop below sees the place
        self._flowing = True
        try:
            for held in list(self._held):
                if not self._worthwhile():
                    break
                if held in self._held:
                    del self._held[held]
                    held.again()
        finally:
            self._flowing = False

    def _try(self) -> None:
        self.flow()
