"""Ids of requests (`X-Request-Id`): taken from whoever sent a sane one, else made."""

import re
import secrets
from collections.abc import Iterator
from itertools import product
from typing import Final

FIELD: Final = b"x-request-id"
_SANE: Final = rb"[A-Za-z0-9._~+/=\-]{1,128}+"
_VALUE: Final = re.compile(_SANE)
_LINE: Final = re.compile(rb"[Xx]-[Rr]equest-[Ii][Dd]: ?(%b)\r\n" % _SANE)
_MIDDLE: Final = b"equest-"  # of the name in all its usual spellings
_BEFORE: Final = 3  # bytes of the name before that


def make() -> Iterator[bytes]:
    """Ids without end: 16 random hexadecimal digits of this data path, then the number of the request in 12.

    One id takes no call of Python code, and formats no number: this is read once a request.
    """
    prefix = secrets.token_hex(8).encode()
    digits = [b"%03x" % number for number in range(16**3)]
    return map(b"".join, product((prefix,), digits, digits, digits, digits))


def taken(values: list[bytes] | None) -> bytes | None:
    """What a head's lines of that name say: None without any, empty if they cannot be used or contradict each other."""
    if values is None:
        return None
    return values[0] if len(values) == 1 and _VALUE.fullmatch(values[0]) else b""


def cut(block: bytes) -> tuple[bytes, bytes]:
    """Header lines without the first plain `X-Request-Id` line, and its value; as they were, and nothing, without one.

    Heads are remembered by their bytes. An id is new in each, and what the other lines decide is not.
    """
    at = block.find(_MIDDLE)
    while at >= 0:
        begin = at - _BEFORE
        if begin == 0 or (begin > 0 and block[begin - 1] == 0x0A):
            match = _LINE.match(block, begin)
            if match is not None:
                return block[:begin] + block[match.end() :], match[1]
        at = block.find(_MIDDLE, at + 1)
    return block, b""
