"""Warnings of what a stranger can cause a million times: they must not fill the disk."""

from __future__ import annotations

import logging
from collections import Counter

KINDS = 64
"""Kinds of warnings that are counted apart; a stranger may make up any number."""


class Repeats:
    """Logs the first, the second, the fourth, the eighth warning of a kind, and so on. Used by one thread at a time.

    Args:
        log: where to.

    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._times: Counter[str] = Counter()

    def warn(self, kind: str, text: str) -> None:
        """Log it, unless it has been said often enough."""
        if kind not in self._times and len(self._times) >= KINDS:
            kind = "others"
        self._times[kind] += 1
        times = self._times[kind]
        if times & (times - 1) == 0:
            self._log.warning("%s", text if times == 1 else f"{text} ({times} times such)")
