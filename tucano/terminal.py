"""What is different when a person looks on: colours, and signs that stand out."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def colourful(stream: TextIO | None = None) -> bool:
    """Whether a stream (standard output if none is named) is a terminal that wants colours."""
    return (stream or sys.stdout).isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def mark(good: bool, stream: TextIO | None = None) -> str:
    """A tick or a cross; words where the encoding has no such signs."""
    stream = stream or sys.stdout
    if not (stream.encoding or "").lower().startswith("utf"):
        return "ok:" if good else "FAILED:"
    sign, colour = ("✓", 32) if good else ("✗", 31)
    return f"\033[{colour}m{sign}\033[0m" if colourful(stream) else sign


def dim(text: str, stream: TextIO | None = None) -> str:
    """A text that does not stand out."""
    return f"\033[2m{text}\033[0m" if colourful(stream) else text
