"""What the tests share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T | Literal[False] | None], what: str = "", within: float = 20.0) -> T:
    """Wait until `condition()` is true and return its value; fail after `within` seconds, saying `what`."""
    deadline = time.monotonic() + within
    pause = 0.001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what or condition}; last: {value!r}")
        time.sleep(pause)  # between two looks at the condition
        pause = min(pause * 1.5, 0.05)
