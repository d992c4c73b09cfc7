"""Which actor's code a thread runs right now, and in which conversation."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tucano.actors.kernel.life import Life


class _Running(threading.local):
    actor: Life | None = None
    trace = ""  # of a thread that runs no actor
    bells: list[Callable[[], object]] | None = None  # of a link's thread: to be rung when it has handed all over


running = _Running()
"""Of the present thread."""


def wake(ring: Callable[[], object]) -> None:
    """Wake another thread: now, or when all that came in one frame has been handed over.

    Who is woken earlier only waits for the interpreter, which a link's thread has until it waits for the next frame.
    """
    if running.bells is None:
        ring()
    else:
        running.bells.append(ring)
