"""Heads of answers: those of instances, parsed as strictly as requests, and whole answers of our own."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from .head import CHUNKED, UNTIL_CLOSE, body_length, split_fields, tokens
from .memo import Memo
from .rules import STATUS_LINE, Refused

_DROPPED: Final = frozenset(
    b"connection keep-alive upgrade proxy-connection transfer-encoding content-length x-tucano-instance te".split()
)

# What the end of a head says about the connection.
STAYS: Final = b"\r\n"
STAYS_10: Final = b"Connection: keep-alive\r\n\r\n"
CLOSES: Final = b"Connection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the head of an instance's answer decides.

    Attributes:
        status: The status code.
        length: Bytes of the body, `CHUNKED` or `UNTIL_CLOSE`; what a HEAD request would make of it is not in here.
        keep_alive: The instance will take another request on this connection.
        head: The head to send on, without its end.
    """

    status: int
    length: int
    keep_alive: bool
    head: bytes


class Answers:
    """Parses the answer heads of one instance and remembers them: they differ little more than the Date.

    Args:
        instance: The id that is said in `X-Tucano-Instance`.
    """

    def __init__(self, instance: str) -> None:
        self._line = b"X-Tucano-Instance: %b\r\n" % instance.encode("ascii", "backslashreplace")
        self._memo: Memo[Answer] = Memo(64)

    def parse(self, head: bytes, *, http10: bool) -> Answer:
        """Parse a whole answer head, with its empty line, for a client that speaks HTTP/1.0 or not.

        Raises:
            Refused: It breaks a rule: the instance does not speak HTTP/1 as we know it.
        """
        if http10:
            return parse_answer(head, self._line, http10=True)
        answer = self._memo.get(head)
        if answer is None:
            answer = parse_answer(head, self._line, http10=False)
            self._memo.put(head, answer)
        return answer


def parse_answer(head: bytes, line: bytes, *, http10: bool) -> Answer:
    """Decide what an answer head means. See `Answers.parse`; `line` is a header line to add."""
    status_line, _, block = head[:-2].partition(b"\r\n")
    match = STATUS_LINE.fullmatch(status_line)
    if match is None:
        raise Refused("the status line is not HTTP/1.1 STATUS REASON")
    old = match[1] == b"0"
    status = int(match[2])
    lengths: list[bytes] = []
    codings: list[bytes] = []
    options: list[bytes] = []
    upgrades: list[bytes] = []
    kept: list[tuple[bytes, bytes]] = []
    for key, name, value in split_fields(block):
        match key:
            case b"content-length":
                lengths.append(value)
            case b"transfer-encoding":
                codings.append(value)
            case b"connection":
                options.append(value)
            case b"upgrade":
                upgrades.append(value)
        if key not in _DROPPED:
            kept.append((key, b"%b: %b\r\n" % (name, value)))

    length = body_length(lengths, codings, http10=old)
    connection = tokens(options)
    lines = [b"HTTP/1.1 ", status_line[9:], b"\r\n"]
    lines += [kept_line for key, kept_line in kept if key not in connection]
    if status == HTTPStatus.SWITCHING_PROTOCOLS:
        lines.append(b"Connection: upgrade\r\nUpgrade: %b\r\n" % b", ".join(upgrades))
    if status < HTTPStatus.OK or status == HTTPStatus.NO_CONTENT:
        length = 0  # never a body, so no word about its length either
    elif length == CHUNKED and not http10:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    elif length is not None and length >= 0:
        lines.append(b"Content-Length: %d\r\n" % length)
    lines.append(line)
    return Answer(
        status=status,
        length=UNTIL_CLOSE if length is None else length,
        keep_alive=b"close" not in connection and (not old or b"keep-alive" in connection),
        head=b"".join(lines),
    )


def own_answer(status: HTTPStatus, what: str, do: str, *, as_json: bool, bare: bool, end: bytes) -> bytes:
    """An answer of the balancer itself.

    Args:
        status: The status to answer with.
        what: What happened, a sentence.
        do: What the reader can do, a sentence.
        as_json: Say it in JSON rather than in plain text.
        bare: Leave the body out, as for HEAD.
        end: How the head ends: `STAYS`, `STAYS_10` or `CLOSES`.
    """
    if as_json:
        kind = b"application/json"
        body = json.dumps({"status": int(status), "error": status.phrase, "what": what, "do": do}).encode() + b"\n"
    else:
        kind = b"text/plain; charset=utf-8"
        body = f"{int(status)} {status.phrase}: {what}\n{do}\n".encode()
    later = b"Retry-After: 1\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else b""
    head = b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b%b" % (
        status,
        status.phrase.encode(),
        kind,
        len(body),
        later,
        end,
    )
    return head if bare else head + body
