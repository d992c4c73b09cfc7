"""What runs actors: real threads and real time, or a simulation's one thread and virtual time."""

from __future__ import annotations

import itertools
import queue
import random
import threading
from typing import TYPE_CHECKING, Protocol

from tucano.actors.kernel.clock import Clock, SystemClock
from tucano.actors.kernel.mailbox import Bell, Inbox, Mailbox
from tucano.actors.kernel.timers import ThreadTimers, Timers

if TYPE_CHECKING:
    from tucano.actors.kernel.cell import Cell
    from tucano.actors.kernel.life import Life

_numbers = itertools.count()


class Lock(Protocol):
    """What a waiting thread waits for: somebody's `release`."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it; False if it was not to be had in time."""
        ...

    def locked(self) -> bool:
        """Whether somebody has it."""
        ...


class Runtime(Protocol):
    """Time, chance and turns for the actors of one node.

    Attributes:
        clock: time now.
        timers: time to come.
        chance: for jitter and identifiers.
        burst: whether an actor may handle all that waits in one turn, or one message only.

    """

    clock: Clock
    timers: Timers
    chance: random.Random
    burst: bool

    def bell(self, cell: Cell) -> Bell:
        """What wakes the actor of a cell."""
        ...

    def inbox(self, mailbox: Mailbox) -> Inbox:
        """What an incarnation reads its mailbox by."""
        ...

    def start(self, actor: Life) -> None:
        """Give the actor turns from now on: `actor.live()`."""
        ...

    def wait(self, lock: Lock, seconds: float) -> bool:
        """Wait until the lock is released, and take it; False if it is not within so many seconds."""
        ...

    def close(self) -> None:
        """Fire no more timers."""
        ...


class Threads:
    """A thread for each actor, real time.

    Args:
        clock: time now.
        chance: for jitter and identifiers.

    """

    burst = True

    def __init__(self, clock: Clock | None = None, chance: random.Random | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.timers: Timers = ThreadTimers(self.clock)
        self.chance = chance or random.Random()

    def bell(self, cell: Cell) -> Bell:
        """See `Runtime.bell`."""
        del cell
        return queue.SimpleQueue()  # written in C: needs no lock of ours

    def inbox(self, mailbox: Mailbox) -> Inbox:
        """See `Runtime.inbox`."""
        return Inbox(mailbox)

    def start(self, actor: Life) -> None:
        """See `Runtime.start`."""
        name = f"{type(actor).__name__}-{next(_numbers)}"
        threading.Thread(target=actor.live, name=name, daemon=actor.use_daemon_thread).start()

    def wait(self, lock: Lock, seconds: float) -> bool:
        """See `Runtime.wait`."""
        return lock.acquire(timeout=min(seconds, threading.TIMEOUT_MAX))

    def close(self) -> None:
        """See `Runtime.close`."""
        self.timers.close()
