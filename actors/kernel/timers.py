"""Timers: they put messages into mailboxes and never call an actor."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections.abc import Callable
from typing import Protocol

from tucano.actors.kernel.clock import Clock

log = logging.getLogger("tucano.kernel")


class Timer:
    """A handle to something due later."""

    __slots__ = ("due", "fire")

    def __init__(self, due: float, fire: Callable[[], object]) -> None:
        self.due = due
        self.fire: Callable[[], object] | None = fire

    def cancel(self) -> None:
        """Let it not happen; harmless when it already has."""
        self.fire = None


class Timers(Protocol):
    """What an actor system needs of time to come."""

    def after(self, delay: float, fire: Callable[[], object]) -> Timer:
        """Call `fire`, which must be quick and must not raise, `delay` seconds from now."""
        ...

    def close(self) -> None:
        """Fire nothing more."""
        ...


class ThreadTimers:
    """One thread and a heap: adding costs O(log n), cancelling O(1)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()  # two timers due at once fire in the order in which they were made
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="tucano-timers", daemon=True)
        self._thread.start()

    def after(self, delay: float, fire: Callable[[], object]) -> Timer:
        """See `Timers.after`."""
        timer = Timer(self._clock.now() + max(delay, 0.0), fire)
        with self._changed:
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

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and not self._is_due():
                    self._changed.wait(self._heap[0][0] - self._clock.now() if self._heap else None)
                if self._closed:
                    return
                timer = heapq.heappop(self._heap)[2]
            fire = timer.fire
            if fire is not None:
                try:
                    fire()
                except Exception:  # one timer's bug must not stop all others
                    log.exception("a timer failed")

    def _is_due(self) -> bool:
        while self._heap and self._heap[0][2].fire is None:
            heapq.heappop(self._heap)
        return bool(self._heap) and self._heap[0][0] <= self._clock.now()
