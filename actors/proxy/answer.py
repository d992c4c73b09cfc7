"""Heads of answers: parsed as strictly as those of requests."""

from collections.abc import Set
from typing import Final

import msgspec

from . import request_id
from .head import CHUNKED, UNTIL_CLOSE, body_length, split_fields, tokens
from .log import escaped
from .memo import Memo
from .rules import STATUS_LINE, Refused

_DROPPED: Final = frozenset(
    b"connection keep-alive upgrade proxy-connection transfer-encoding content-length x-tucano-instance te".split()
)

# What the end of a head says about the connection.
STAYS: Final = b"\r\n"
STAYS_10: Final = b"Connection: keep-alive\r\n\r\n"
CLOSES: Final = b"Connection: close\r\n\r\n"


class Answer(msgspec.Struct, frozen=True):
    """What the head of an instance's answer decides.

    Attributes:
        status: The status code.
        length: Bytes of the body, `CHUNKED` or `UNTIL_CLOSE`; what a HEAD request would make of it is not in here.
        keep_alive: The instance will take another request on this connection.
        head: The head to send on, without its end; of all but other interim answers up to the value of `X-Request-Id`.
        upgrade: The protocols that it names, in lower case: those that follow a 101.
        request_id: Its `X-Request-Id`, which is not in `head`; empty if it has none.
    """

    status: int
    length: int
    keep_alive: bool
    head: bytes
    upgrade: Set[bytes]
    request_id: bytes


class Answers:
    """Parses the answer heads of one instance and remembers them: they differ little more than the Date.

    Args:
        instance: The id that is said in `X-Tucano-Instance`.
    """

    def __init__(self, instance: str) -> None:
        self._line = b"X-Tucano-Instance: %b\r\n" % escaped(instance.encode())
        self._memo: Memo[Answer] = Memo(64)

    def parse(self, head: bytes, *, http10: bool) -> Answer:
        """Parse a whole answer head, with its empty line, for a client that speaks HTTP/1.0 or not.

        Raises:
            Refused: It breaks a rule: the instance does not speak HTTP/1 as we know it.
        """
        if http10:
            return parse_answer(head, self._line, http10=True)
        answer = self._memo.young.get(head) or self._memo.get(head)
        if answer is None:
            head, said = request_id.cut(head)  # many echo it
            answer = self._memo.get(head) if said else None
            if answer is None:
                answer = parse_answer(head, self._line, http10=False)
                self._memo.put(head, answer)
            if said:
                return msgspec.structs.replace(answer, request_id=said)
        return answer


def parse_answer(head: bytes, line: bytes, *, http10: bool) -> Answer:
    """Decide what an answer head means. See `Answers.parse`; `line` is a header line to add."""
    status_line, _, block = head[:-2].partition(b"\r\n")
    match = STATUS_LINE.fullmatch(status_line)
    if match is None:
        raise Refused("the status line is not HTTP/1.1 STATUS REASON")
    old = match[1] == b"0"
    status = int(match[2])
    read: dict[bytes, list[bytes]] = {}
    kept: list[tuple[bytes, bytes]] = []
    for key, name, value in split_fields(block):
        if key in _DROPPED or key == request_id.FIELD:
            read.setdefault(key, []).append(value)
        else:
            kept.append((key, b"%b: %b\r\n" % (name, value)))

    length = body_length(read.get(b"content-length"), read.get(b"transfer-encoding"), http10=old)
    connection = tokens(read.get(b"connection"))
    lines = [b"HTTP/1.1 ", status_line[9:], b"\r\n"]
    lines += [kept_line for key, kept_line in kept if key not in connection]
    upgrade = read.get(b"upgrade")
    if upgrade and status in (101, 426):  # elsewhere it is an offer of one hop
        lines.append(b"Connection: upgrade\r\nUpgrade: %b\r\n" % b", ".join(upgrade))
    if status < 200 or status == 204:
        length = 0  # never a body, so no word about its length either
    elif length == CHUNKED and not http10:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    elif length is not None and length >= 0:
        lines.append(b"Content-Length: %d\r\n" % length)
    lines.append(line)
    if status == 101 or status >= 200:
        lines.append(b"X-Request-Id: ")
    return Answer(
        status=status,
        length=UNTIL_CLOSE if length is None else length,
        keep_alive=b"close" not in connection and (not old or b"keep-alive" in connection),
        head=b"".join(lines),
        upgrade=tokens(upgrade),
        request_id=b", ".join(read.get(request_id.FIELD, ())),
    )
