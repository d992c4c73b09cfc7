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


def duration(seconds: float | None) -> str:
    """How long something took, to two digits: `0.04ms`, `12ms`, `1.2s`, `3m`; `-` if that is not known."""
    if seconds is None:
        return "-"
    if seconds < 0.9995:
        ms = 1000 * max(0.0, seconds)
        return f"{ms:.2f}ms" if ms < 0.0995 else f"{ms:.1f}ms" if ms < 9.95 else f"{ms:.0f}ms"
    return f"{seconds:.1f}s" if seconds < 9.95 else f"{seconds:.0f}s" if seconds < 99.5 else age(seconds)


def share(part: float | None) -> str:
    """A part of 1: `26%`; `-` if it is not known."""
    return "-" if part is None else f"{part:.0%}"


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
        heads: names of the columns; one that begins with `>` stands to the right, one that begins with `?` is left out
            if there is nothing in it: an empty text, 0 or `-`.
        rows: what stands below.

    """
    cells = [[clean(str(cell)).replace("\n", " ") for cell in row] for row in rows]
    kept = [n for n, head in enumerate(heads) if head[0] != "?" or any(row[n] not in ("", "0", "-") for row in cells)]
    right = [">" in heads[n][:2] for n in kept]
    cells = [[heads[n].lstrip("?>") for n in kept], *([row[n] for n in kept] for row in cells)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
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
    return short(next((line.strip() for line in clean(text).splitlines() if line.strip()), ""), 80)


def short(text: str, most: int) -> str:
    """A text, or as much of its beginning as has room."""
    return text if len(text) <= most else f"{text[: most - 3]}..."
