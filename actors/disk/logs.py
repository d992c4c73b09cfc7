"""Output files of services and builds: their ends, and their bounds."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path
from typing import Final

LIMIT: Final = 16 << 20
"""Bytes of an instance's output that are kept at least; twice as many, and what is printed in a second, at most."""

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_KEEP_SIZE: Final = 1  # linux/falloc.h
_PUNCH_HOLE: Final = 2

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
        offset: where to begin; negative counts from the end. What is no longer kept is skipped. Beyond the end: the
            file was emptied meanwhile, so from its beginning.
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
            file.seek(_kept(file.fileno(), offset, size))
            offset = file.tell()
            data = file.read(max(0, min(limit, MAX_READ)))
    except FileNotFoundError:
        return b"", 0
    return data, offset + len(data)


def _kept(descriptor: int, offset: int, size: int) -> int:
    """The first byte from `offset` on that is still there."""
    if offset >= size:
        return offset
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing is kept from there on
            return size
        raise


def bound(path: Path, limit: int = LIMIT) -> bool:
    """Keep an output file small on the disk: give back the room of all but its last `limit` bytes (fallocate(2)).

    Its size stays, so that offsets in it stay true and processes go on appending; nothing of what is kept is moved.
    Where the file system cannot do that, the file is emptied.

    Returns:
        Whether room was given back.

    Raises:
        OSError: it cannot be done.

    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    if status.st_blocks * 512 <= 2 * limit:
        return False
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        end = (status.st_size - limit) // 4096 * 4096
        if _LIBC.fallocate(descriptor, _PUNCH_HOLE | _KEEP_SIZE, ctypes.c_int64(0), ctypes.c_int64(end)) != 0:
            if ctypes.get_errno() not in (errno.EOPNOTSUPP, errno.ENOSYS):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            os.truncate(descriptor, 0)
    finally:
        os.close(descriptor)
    return True


def remove(path: Path) -> None:
    """Delete an output file."""
    path.unlink(missing_ok=True)
