"""Values in header lines as they are sent on: each `Name: value` and CRLF, as `head` has written them. Pure."""

import re
from functools import cache
from typing import Final

_COOKIE: Final = re.compile(rb"(?:\A|\n)(?i:cookie): ([^\r]*)\r\n")


@cache  # names come from services' descriptions, not from users
def _value_pattern(name: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?:\A|\n)(?i:%b): ([^\r]*)\r\n" % re.escape(name).encode())


def line_pattern(name: str, value: str) -> re.Pattern[bytes]:
    """A pattern that is found in lines with such a header: the name in any case, the value exactly."""
    return re.compile(rb"(?:\A|\n)(?i:%b): %b\r\n" % (re.escape(name).encode(), re.escape(value).encode()))


def value(lines: bytes, name: str) -> bytes | None:
    """The value of the first line of that name, or None."""
    found = _value_pattern(name).search(lines)
    return found[1] if found else None


def cookie(lines: bytes, name: bytes) -> bytes | None:
    """The value of the first cookie of that name, or None."""
    for line in _COOKIE.findall(lines):
        for pair in line.split(b";"):
            key, _, text = pair.strip(b" \t").partition(b"=")
            if key == name:
                return bytes(text)
    return None
