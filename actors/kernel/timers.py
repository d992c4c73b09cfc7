"""Timers: they put messages into mailboxes and never call an actor."""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import threading
from collections.abc import Callable
from typing import Protocol

from tucano.actors.kernel.clock import Clock

log = logging.getLogger("tucano.kernel")


class Timer:
    """A handle to something due later."""

    __slots__ = ("_cancelled", "due", "fire")

    def __init__(self, due: float, fire: Callable[[], object], cancelled: Callable[[], None] = lambda: None) -> None:
        self.due = due
        self.fire: Callable[[], object] | None = fire
        self._cancelled = cancelled

    def cancel(self) -> None:
        """Let it not happen; harmless when it already has."""
        if self.fire is not None:
            self.fire = None
            self._cancelled()


class Beat(Timer):
    """A timer that goes off again and again.

    Args:
        clock: time now.
        timers: time to come.
        period: seconds between two beats, which are counted from the first: a late beat makes the others no later.
        beat: is called at each with an asker, whose answer or refusal says that the beat has been handled; a beat that
            is due before that is left out.

    """

    __slots__ = ("_beat", "_clock", "_handled", "_period", "_timer", "_timers")

    def __init__(self, clock: Clock, timers: Timers, period: float, beat: Callable[[Beat], None]) -> None:
        if not 0 < period < math.inf:
            raise ValueError(f"a beat needs a period above 0 s, not {period!r}")
        super().__init__(clock.now() + period, self._fire)
        self._clock = clock
        self._timers = timers
        self._period = period
        self._beat = beat
        self._handled = True
        self._timer = timers.after(period, self._fire)

    def cancel(self) -> None:
        """See `Timer.cancel`."""
        super().cancel()
        self._timer.cancel()

    def answer(self, value: object, /) -> None:
        """See `Asker.answer`."""
        del value
        self._handled = True

    def refuse(self, error: object, /) -> None:
        """See `Asker.refuse`."""
        self.answer(error)

    def _fire(self) -> None:
        if self.fire is None:
            return
        if self._handled:
            self._handled = False
            self._beat(self)
        late = self._clock.now() - self.due
        self.due += self._period * (1 + max(0, math.floor(late / self._period)))
        self._timer = self._timers.after(self.due - self._clock.now(), self._fire)


class Timers(Protocol):
    """What an actor system needs of time to come."""

    def after(self, delay: float, fire: Callable[[], object]) -> Timer:
        """Call `fire`, which must be quick and must not raise, `delay` seconds from now."""
        ...

    def pending(self) -> int:
        """Timers that are kept, cancelled ones among them."""
        ...

    def close(self) -> None:
        """Fire nothing more."""
        ...


class ThreadTimers:
    """One thread and a heap: adding costs O(log n), cancelling O(1).

    Cancelled timers stay in the heap until they are due, or until they are half of it: then all are thrown out at once,
    so that a million asks that were answered in time leave nothing behind.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()  # two timers due at once fire in the order in which they were made
        self._dead = 0  # cancelled timers in the heap, about
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="tucano-timers", daemon=True)
        self._thread.start()

    def after(self, delay: float, fire: Callable[[], object]) -> Timer:
        """See `Timers.after`."""
        timer = Timer(self._clock.now() + max(delay, 0.0), fire, self._cancelled)
        with self._changed:
            if self._dead > 1000 and self._dead > len(self._heap) // 2:
                self._heap = [entry for entry in self._heap if entry[2].fire is not None]
                heapq.heapify(self._heap)
                self._dead = 0
            heapq.heappush(self._heap, (timer.due, next(self._order), timer))
            if self._heap[0][2] is timer:
                self._changed.notify()
        return timer

    def close(self) -> None:
        """See `Timers.close`."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def pending(self) -> int:
        """Timers in the heap, cancelled ones among them."""
        return len(self._heap)

    def _cancelled(self) -> None:
        self._dead += 1

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and not self._is_due():
                    left = self._heap[0][0] - self._clock.now() if self._heap else threading.TIMEOUT_MAX
                    self._changed.wait(min(left, threading.TIMEOUT_MAX))
                if self._closed:
                    return
                timer = heapq.heappop(self._heap)[2]
            fire, timer.fire = timer.fire, None
            if fire is not None:
                try:
                    fire()
                except Exception:  # one timer's bug must not stop all others
                    log.exception("a timer failed")

    def _is_due(self) -> bool:
        while self._heap and self._heap[0][2].fire is None:
            heapq.heappop(self._heap)
            self._dead -= 1
        return bool(self._heap) and self._heap[0][0] <= self._clock.now()
