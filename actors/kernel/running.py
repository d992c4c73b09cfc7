"""Which actor's code a thread runs right now, and in which conversation."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tucano.actors.kernel.life import Life


class _Running(threading.local):
    actor: Life | None = None
    trace = ""  # of a thread that runs no actor


running = _Running()
"""Of the present thread."""
