"""The access log's file, and the thread that writes to it: a disk that is slow or full stops no request."""

import logging
import os
import queue
import threading
from pathlib import Path
from typing import Final

from tucano.actors.disk import logs

KEPT: Final = 64 << 20
"""Bytes of the log that are kept at least; twice as many, and what is written in a second or so, at most."""

WAITING: Final = 8 << 20
"""Bytes that wait for the disk; what comes then is dropped."""

_LOOK: Final = 1 << 20  # bytes after which the size on the disk is looked at
_FLUSHED: Final = 5.0  # seconds that the disk has for the rest when the log is closed

log = logging.getLogger(__name__)


class LogFile:
    """Appends batches of lines to a file, in a thread of its own.

    When the file was moved away or removed, the next batch goes to a new one at the path. It is kept small on the disk
    as the output of instances is: see `tucano.actors.disk.logs.bound`. Lines that cannot be written are dropped and
    counted; that is told when it begins, and how many there were when it is over.

    Args:
        path: The file; it is made if absent.
        kept: See `KEPT`.
        waiting: See `WAITING`.

    Attributes:
        lost: Lines that were dropped so far.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(self, path: Path, kept: int = KEPT, waiting: int = WAITING) -> None:
        self.lost = 0
        self._path = path
        self._kept = kept
        self._most = waiting
        self._waiting = 0  # bytes that are in the queue; the lock is held for an addition
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._unseen = 0  # bytes that were written since the size was looked at
        self._torn = False  # the last line in the file is only a part of one
        self._told = 0  # what `lost` was when all was well
        self._failing = False
        self._fd = self._open()
        self._thread = threading.Thread(target=self._run, name="tucano-access-log", daemon=True)
        self._thread.start()

    def write(self, lines: bytes) -> None:
        """Have these lines written. Never waits."""
        with self._lock:
            full = self._waiting + len(lines) > self._most
            if full:
                self.lost += lines.count(b"\n")
            else:
                self._waiting += len(lines)
        if not full:
            self._queue.put(lines)

    def close(self) -> None:
        """Write what waits, unless the disk takes too long for that, and close the file."""
        self._queue.put(None)
        self._thread.join(_FLUSHED)

    # --- in the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (lines := self._queue.get()) is not None:
            self._append(lines)
            with self._lock:
                self._waiting -= len(lines)
                caught_up = not self._waiting
            if caught_up and not self._failing and self.lost > self._told:
                log.warning("%s is written again; %d lines are missing", self._path, self.lost - self._told)
                self._told = self.lost
        os.close(self._fd)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _append(self, lines: bytes) -> None:
        left = memoryview(lines)
        try:
            self._follow()
            if self._torn:
                os.write(self._fd, b"\n")
                self._torn = False
            while left:
                left = left[os.write(self._fd, left) :]
            self._bound(len(lines))
            self._failing = False
        except OSError as error:
            self._lose(lines, len(lines) - len(left), error)

    def _follow(self) -> None:
        """Open the path anew, if the file is no longer there."""
        try:
            there = os.path.samestat(self._path.stat(), os.fstat(self._fd))
        except FileNotFoundError:
            there = False
        if not there:
            fd, self._fd = self._fd, self._open()
            os.close(fd)
            self._torn = False

    def _bound(self, written: int) -> None:
        self._unseen += written
        if self._unseen >= min(_LOOK, self._kept):
            self._unseen = 0
            logs.bound(self._path, self._kept)

    def _lose(self, lines: bytes, written: int, error: OSError) -> None:
        self._torn = self._torn or (written > 0 and lines[written - 1] != 0x0A)
        with self._lock:
            self.lost += lines.count(b"\n", written)
        if not self._failing:
            self._failing = True
            log.error("%s: %s; lines are dropped until it can be written", self._path, error.strerror)
