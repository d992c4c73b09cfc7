"""Small things that all texts are made of: times, bytes, tables. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))
"""Seconds and their letter, largest first."""


def age(seconds: float) -> str:
    """How long ago, in the largest unit that fits: `12s`, `3m`, `5h`, `9d`."""
    whole = max(0, int(seconds))
    for size, letter in UNITS:
        if whole >= size:
            return f"{whole // size}{letter}"
    return f"{whole}s"


def size(count: float) -> str:
    """Bytes: `12 MB`, `1.5 GB`; decimal units, as disks and most people count."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.1f} {unit}" if unit != "B" and count < 9.95 else f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def moment(at: float) -> str:
    """A time of this machine's zone, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def clean(text: str) -> str:
    """A text that cannot play with a terminal: control characters but tab and newline are shown as `?`."""
    return "".join(one if one.isprintable() or one in "\n\t" else "?" for one in text)


def plural(count: int, noun: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def indent(text: str, by: str = "  ") -> str:
    """Each line a little to the right."""
    return "\n".join(f"{by}{line}" if line else "" for line in clean(text).splitlines())


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns, numbers to the right (also with a unit), the rest to the left; no trailing blanks.

    Args:
        heads: names of the columns; one that begins with `>` stands to the right.
        rows: what stands below.

    """
    right = [head.startswith(">") for head in heads]
    cells = [[head.lstrip(">") for head in heads]]
    cells += [[clean(str(cell)).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    lines = (
        "  ".join(
            cell.rjust(width) if aligned else cell.ljust(width)
            for cell, width, aligned in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    )
    return "\n".join(lines)


def first_line(text: str) -> str:
    """The first line that says something, at most 80 characters of it."""
    line = next((line.strip() for line in clean(text).splitlines() if line.strip()), "")
    return line if len(line) <= 80 else f"{line[:77]}..."
