"""The access log: a line a request, written in batches off the data path."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from time import gmtime, strftime
from typing import Final

_BATCH: Final = 64 * 1024  # bytes: then it is written without waiting for the timer
_UNSAFE = re.compile(rb"[^\x20\x21\x23-\x5b\x5d-\x7e]")


def escaped(value: bytes) -> bytes:
    r"""The value as it may stand between quotes in a log line: what is not plain is `\xNN`."""
    return _UNSAFE.sub(lambda match: b"\\x%02x" % match[0][0], value)


class AccessLog:
    """Appends lines to a file: the Combined format, then the instance and the milliseconds.

    A line that cannot be written (the disk is full) is counted in `lost` and does not stop the requests.

    Args:
        path: The file; it is made if absent. None: nothing is logged.
        wall: The time of day, in seconds since 1970.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(self, path: Path | None, wall: Callable[[], float]) -> None:
        self._path = path
        self._wall = wall
        self._lines: list[bytes] = []
        self._bytes = 0
        self._stamp = b""
        self._fd = -1
        self.lost = 0
        self._tick()
        self.reopen()

    def line(self, peer: bytes, request: bytes, status: int, size: int, agent: bytes, instance: bytes,
             seconds: float) -> None:  # fmt: skip
        """Add a line.

        Args:
            peer: The client's address.
            request: The request line. It is escaped here; the other values must be safe already.
            status: The status of the answer.
            size: Bytes of the answer's body that were sent.
            agent: The quoted referer and user agent.
            instance: Who answered.
            seconds: From the request's head to the answer's end.
        """
        if self._fd < 0:
            return
        if _UNSAFE.search(request):
            request = escaped(request)
        line = b'%b - - [%b] "%b" %d %d %b %b %.1f\n' % (
            peer, self._stamp, request, status, size, agent, instance, seconds * 1000)  # fmt: skip
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what has gathered. Called five times a second; also moves the clock of the lines on."""
        self._tick()
        if not self._lines:
            return
        lines, self._lines, self._bytes = self._lines, [], 0
        left = memoryview(b"".join(lines))
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError:
            self.lost += len(lines)  # at most: a part of them may have been written

    def reopen(self) -> None:
        """Open the path anew, after the file was moved away."""
        if self._path is None:
            return
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self.close()
        self._fd = fd

    def close(self) -> None:
        """Write what has gathered and close the file."""
        if self._fd >= 0:
            self.flush()
            os.close(self._fd)
            self._fd = -1

    def _tick(self) -> None:
        self._stamp = strftime("%d/%b/%Y:%H:%M:%S +0000", gmtime(self._wall())).encode()
