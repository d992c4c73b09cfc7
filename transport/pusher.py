"""The sending thread of a link: it sends what nobody else comes to."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Final

from tucano.transport.outgoing import Outgoing

SOON: Final = 0.002
"""Seconds that letters are held at most by who meant to flush them, and does not come to it."""

LOOKS: Final = 10
"""How often nothing is found held before nobody looks any more, until something is."""


class Pusher:
    """A thread that has ways send what waits there: when it is told to, and in at most `SOON` what is held.

    Args:
        name: the thread's.

    """

    def __init__(self, name: str) -> None:
        self._turns: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._held: dict[Outgoing, None] = {}  # where letters are held, or were lately
        self._watches = False  # looks after them, until there have been none for a while
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; what was to be done before is done."""
        self._turns.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def turn(self, work: Callable[[], object]) -> None:
        """Do something as soon as the interpreter gives the thread its turn; it must not take long."""
        self._turns.put(work)

    def hold(self, way: Outgoing) -> None:
        """Letters are held on a way: its `see_off` is called when what is held is to leave `soon`."""
        self._held[way] = None

    def forget(self, way: Outgoing) -> None:
        """A way is closed."""
        self._held.pop(way, None)

    def soon(self) -> None:
        """Have leave in at most `SOON` what is held, should nobody flush it before."""
        if not self._watches:
            self._watches = True
            self._turns.put(self._see_off)

    def _run(self) -> None:
        looks = 0  # in vain
        while True:
            try:
                turn = self._turns.get(timeout=SOON if self._watches else None)
            except queue.Empty:
                turn = self._see_off
            if turn is None:
                return
            looks = 0 if turn() else looks + 1
            if looks >= LOOKS:
                self._watches = False
                looks = 0
                if self._see_off():  # held just before that was seen
                    self._watches = True

    def _see_off(self) -> bool:
        """Flush what is held; whether there was anything."""
        ways = list(self._held)
        for way in ways:
            self._held.pop(way, None)
        return sum(way.see_off() for way in ways) > 0
