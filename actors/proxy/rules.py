"""The grammar of HTTP/1 heads (RFC 9110, 9112) as compiled patterns, the limits, and how a breach is said."""

import re
from http import HTTPStatus
from typing import Final

MAX_LINE: Final = 8 * 1024  # bytes of a request line
MAX_HEAD: Final = 32 * 1024  # bytes of all header lines together
MAX_FIELDS: Final = 100  # header lines

TCHAR: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
VALUE: Final = rb"[\t\x20-\x7e\x80-\xff]"

# `++` and `*+` never give back what they took: a hostile head cannot make these patterns slow.
BLOCK: Final = re.compile(rb"(?:%b++:%b*+\r\n)*+" % (TCHAR, VALUE))
FIELD: Final = re.compile(rb"%b++:%b*+" % (TCHAR, VALUE))
# No `#` in a target: a fragment is never sent, and two parsers would cut it differently.
REQUEST_LINE: Final = re.compile(rb"(%b++) ([\x21\x22\x24-\x7e]++) HTTP/([0-9])\.([0-9])" % TCHAR)
STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: %b*+)?" % VALUE)
LENGTH: Final = re.compile(rb"[0-9]{1,18}")
EMPTY_LINES: Final = re.compile(rb"(?:\r\n)*+")
HOST: Final = re.compile(rb"(?:[A-Za-z0-9_.\-]++|\[[0-9A-Fa-f:.]++\])(?::[0-9]{1,5})?")

BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_BARE_CR = re.compile(rb"\r(?!\n|\Z)")  # at the very end its LF may still come
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Refused(Exception):
    """A message that breaks a rule.

    Attributes:
        status: What to answer to whoever sent it, when that is a client.
        why: The rule that was broken, for people.
    """

    def __init__(self, why: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


def breach(block: bytes) -> str:
    """Say which rule a block of header lines breaks. It is read only after `BLOCK` did not match."""
    if BARE_LF.search(block):
        return "a line ends with LF alone"
    if _BARE_CR.search(block):
        return "a CR stands without its LF"
    if _CONTROL.search(block):
        return "a control character in a header line"
    for line in block.split(b"\r\n"):
        if line[:1] in (b" ", b"\t"):
            return "a header line is folded"
        name, colon, _ = line.partition(b":")
        if line and not colon:
            return "a header line without a colon"
        if name != name.rstrip(b" \t"):
            return "a space before the colon of a header line"
    return "a header name that is not a token"


def check_partial(data: bytes, seen: int = 0) -> None:
    """Refuse the beginning of a request head early, when nothing that may follow can make it right.

    Args:
        data: What came.
        seen: How many bytes of it passed before: a head that comes byte by byte is not looked through for each.

    Raises:
        Refused: It is too long (414, 431) or already broken (400).
    """
    line_end = data.find(b"\r\n")
    if (line_end if line_end >= 0 else len(data)) > MAX_LINE:
        raise Refused(f"the request line is longer than {MAX_LINE} bytes", HTTPStatus.REQUEST_URI_TOO_LONG)
    if line_end >= 0 and len(data) - line_end > MAX_HEAD:
        raise Refused(f"the header is longer than {MAX_HEAD} bytes", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    seen = max(0, seen - 1)  # the last one may have been a CR
    if BARE_LF.search(data, seen):
        raise Refused("a line ends with LF alone")
    if _BARE_CR.search(data, seen):
        raise Refused("a CR stands without its LF")
    if _CONTROL.search(data, seen) or (data[:1].isspace() and data != b"\r"):
        raise Refused("this is not an HTTP request")
