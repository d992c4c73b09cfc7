"""Where a body ends: pure scanners that are fed bytes as they come and say which of them may be sent on.

Each scanner has `done`, and `feed(data)`, which returns (bytes to send on, bytes that follow the body). Nothing is
given out before it was checked, so a lenient reader behind us never sees what we would refuse.
"""

import re
from enum import Enum, auto
from typing import Final, Protocol

from .head import CHUNKED, UNTIL_CLOSE, ours_to_say
from .rules import FIELD, TCHAR, Refused

_MAX_SIZE_LINE: Final = 256  # bytes: a size of 15 digits and extensions nobody uses
_MAX_TRAILERS: Final = 8 * 1024  # bytes of all trailer lines
_MAX_EXTENSIONS: Final = 16 * 1024  # bytes of all extensions of one body, as in Go (CVE-2023-39326)

_QUOTED = rb"\"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e]|\\[\t\x20-\x7e])*+\""
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;%b++(?:=(?:%b++|%b))?+)*+" % (TCHAR, TCHAR, _QUOTED))


def _runs() -> re.Pattern[bytes]:
    """As many whole chunks of 1 to 255 bytes, without extensions, as follow each other."""
    digits = [b"[%c%c]" % (digit, digit ^ 32) if digit > 57 else b"%c" % digit for digit in b"0123456789abcdef"]
    high = b"|".join(
        b"%b(?:%b)" % (
            digits[first],
            b"|".join(
                [b"\r\n.{%d}" % first]
                + [b"%b\r\n.{%d}" % (digits[second], first * 16 + second) for second in range(16)]
            ),
        )
        for first in range(1, 16)
    )  # fmt: skip
    return re.compile(rb"(?s:0{0,13}+(?:%b)\r\n)*+" % high)


_RUN: Final = _runs()  # a client may send a hundred thousand chunks of a byte: one by one they would hold up all others
_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n).")
# What a trailer must not say, beside what is ours: it would change what the head has decided (RFC 9110, 6.5.1).
_FORBIDDEN: Final = frozenset(
    b"trailer authorization cookie set-cookie range content-encoding content-type content-range max-forwards".split()
)


class Body(Protocol):
    """A body that is coming in."""

    @property
    def done(self) -> bool:
        """The body has ended."""

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take what came; return (what to send on, what follows the body).

        Raises:
            Refused: The framing breaks a rule.
        """


class Length:
    """A body of as many bytes as Content-Length said."""

    __slots__ = ("left",)

    def __init__(self, length: int) -> None:
        self.left = length

    @property
    def done(self) -> bool:
        """See `Body`."""
        return self.left == 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See `Body`."""
        left = self.left
        if len(data) <= left:
            self.left = left - len(data)
            return data, b""
        self.left = 0
        return data[:left], data[left:]


class UntilClose:
    """A body that ends when its connection does."""

    __slots__ = ()

    done = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See `Body`."""
        return data, b""


class _At(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILERS = auto()
    DONE = auto()


class Chunked:
    """A body in chunks, with trailers.

    Args:
        strip: Give out the payload alone, for a reader who does not understand chunks.
    """

    __slots__ = ("_at", "_extensions", "_kept", "_left", "_strip", "_trailers")

    def __init__(self, *, strip: bool = False) -> None:
        self._at = _At.SIZE
        self._strip = strip
        self._left = 0  # bytes of the present chunk still to come
        self._extensions = 0  # bytes of extensions so far
        self._trailers = 0  # bytes of trailers so far
        self._kept = b""  # the beginning of a line whose end has not come

    @property
    def done(self) -> bool:
        """See `Body`."""
        return self._at is _At.DONE

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See `Body`."""
        if self._kept:
            data = self._kept + data
            self._kept = b""
        here = 0
        payload: list[bytes] = []
        while self._at is not _At.DONE:
            if self._at is _At.DATA:
                took = min(self._left, len(data) - here)
                if self._strip:
                    payload.append(data[here : here + took])
                here += took
                self._left -= took
                if self._left:
                    break
                self._at = _At.DATA_END
            elif self._at is _At.DATA_END:
                end = data[here : here + 2]
                if end != b"\r\n"[: len(end)]:
                    raise Refused("a chunk that is longer than its size")
                if len(end) < 2:
                    break
                here += 2
                self._at = _At.SIZE
            else:
                if self._at is _At.SIZE and not self._strip:
                    run = _RUN.match(data, here)
                    here = run.end() if run else here
                after = self._line(data, here)
                if after < 0:
                    break
                here = after
        out = b"".join(payload) if self._strip else data[:here]
        rest = data[here:]
        if self._at is not _At.DONE:
            self._kept, rest = rest, b""
        return out, rest

    def _line(self, data: bytes, here: int) -> int:
        """Read the line at `here`; return where the next begins, or -1 if its end has not come."""
        longest = _MAX_SIZE_LINE if self._at is _At.SIZE else _MAX_TRAILERS - self._trailers
        end = data.find(b"\r\n", here, here + longest + 2)
        if end < 0:
            if len(data) - here > longest:
                raise Refused("a chunk's size line or the trailers are too long")
            if _BARE.search(data, here):
                raise Refused("a line of a chunked body does not end with CRLF")
            return -1
        line = data[here:end]
        if self._at is _At.SIZE:
            match = _SIZE.fullmatch(line)
            if match is None:
                raise Refused("a chunk size that is not a number")
            self._left = int(match[1], 16)
            self._extensions += len(line) - len(match[1])
            if self._extensions > _MAX_EXTENSIONS:
                raise Refused("more extensions of chunks than anybody needs")
            self._at = _At.DATA if self._left else _At.TRAILERS
        elif not line:
            self._at = _At.DONE
        else:
            name = line.partition(b":")[0].lower()
            if FIELD.fullmatch(line) is None or name in _FORBIDDEN or ours_to_say(name):
                raise Refused("a trailer line that is not allowed")
            self._trailers += len(line) + 2
        return end + 2


def body(length: int, *, strip: bool = False) -> Body | None:
    """The scanner for a body of `length` bytes (or `CHUNKED`, `UNTIL_CLOSE`); None if there is none."""
    if length == CHUNKED:
        return Chunked(strip=strip)
    if length == UNTIL_CLOSE:
        return UntilClose()
    return Length(length) if length else None
