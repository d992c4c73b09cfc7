"""Output files of services and builds: their ends, and their bounds."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

LIMIT: Final = 16 << 20
"""Bytes of an instance's output file; there are at most two of them."""

TAIL_LINES: Final = 40
"""Lines of output that go with a failure."""

TAIL_BYTES: Final = 4096
"""Bytes of output that go with a failure."""

MAX_READ: Final = 1 << 20
"""Bytes that one `read` gives at most."""


def tail(path: Path) -> str:
    """The last lines of an output, for a person; empty if there are none."""
    data, _ = read(path, -TAIL_BYTES, TAIL_BYTES)
    lines = data.decode("utf-8", errors="replace").splitlines()
    if len(data) == TAIL_BYTES and len(lines) > 1:
        del lines[0]  # most likely cut in two
    return "\n".join(line.rstrip() for line in lines[-TAIL_LINES:]).strip("\n")


def with_tail(text: str, path: Path) -> str:
    """What happened, followed by the last output."""
    last = tail(path)
    return f"{text}; its last output:\n{last}" if last else f"{text}; it had printed nothing"


def read(path: Path, offset: int, limit: int) -> tuple[bytes, int]:
    """A piece of a file.

    Args:
        path: the file; one that does not exist is empty.
        offset: where to begin; negative counts from the end. Beyond the end: the file was cut meanwhile, so from its
            beginning.
        limit: bytes at most; never more than `MAX_READ`.

    Returns:
        The piece, and the offset of what follows.

    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if offset < 0:
                offset = max(0, size + offset)
            elif offset > size:
                offset = 0
            file.seek(offset)
            data = file.read(max(0, min(limit, MAX_READ)))
    except FileNotFoundError:
        return b"", 0
    return data, offset + len(data)


def bound(path: Path, limit: int = LIMIT) -> bool:
    """Keep an output file small: what is too large is copied to `NAME.1` and emptied.

    Processes go on writing to the same file: they append. What they print between copy and cut is lost.

    Returns:
        Whether it was cut.

    """
    try:
        if path.stat().st_size <= limit:
            return False
    except FileNotFoundError:
        return False
    older = path.with_name(f"{path.name}.1")
    with path.open("rb") as source, older.open("wb") as target:
        older.chmod(0o600)
        source.seek(-limit, os.SEEK_END)
        shutil.copyfileobj(source, target, MAX_READ)
    os.truncate(path, 0)
    return True


def remove(path: Path) -> None:
    """Delete an output file and its older half."""
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}.1").unlink(missing_ok=True)
