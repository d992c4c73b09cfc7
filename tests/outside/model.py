"""What the balancer's own parsers make of whole bytes, without a socket: the same steps as front.py and back.py."""

from __future__ import annotations

from typing import NamedTuple

from tucano.actors.proxy import framing
from tucano.actors.proxy.answer import CLOSES, STAYS, parse_answer
from tucano.actors.proxy.head import CHUNKED, UNTIL_CLOSE, Heads
from tucano.actors.proxy.rules import EMPTY_LINES, Refused, check_partial


class Asked(NamedTuple):
    """A request that was taken.

    Attributes:
        raw: Its bytes as they came.
        onward: Its bytes as they are sent on, but for the lines about the client.
        method: The method.
        targets: The target as it came, and as it is sent on.
        body: The payload, without chunks.
        last: The client wants no further one on this connection.
        service: Whom it is for.
    """

    raw: bytes
    onward: bytes
    method: bytes
    targets: tuple[bytes, bytes]
    body: bytes
    last: bool
    service: str


class Read(NamedTuple):
    """The requests of a connection, why it was broken off, and whether one was begun that did not end."""

    asked: list[Asked]
    refused: Refused | None
    cut: bool


def requests(data: bytes) -> Read:
    """Read a client's bytes as the balancer does."""
    asked: list[Asked] = []
    heads = Heads()
    while True:
        empty = EMPTY_LINES.match(data)
        data = data[empty.end() :] if empty else data
        if not data:
            return Read(asked, None, cut=False)
        end = data.find(b"\r\n\r\n")
        try:
            if end < 0:
                check_partial(data)
                return Read(asked, None, cut=True)
            request = heads.parse(data, end)
            came = data[end + 4 :]
            sent, payload, rest, done = _body(request.fields.length, came)
        except Refused as refused:
            return Read(asked, refused, cut=False)
        if not done:
            return Read(asked, None, cut=True)
        asked.append(
            Asked(
                raw=data[: len(data) - len(rest)],
                onward=request.onward + b"\r\n" + request.fields.lines + _FORWARDED + sent,
                method=request.method,
                targets=(request.line.split(b" ")[1], request.onward.split(b" ")[1]),
                body=payload,
                last=not request.fields.keep_alive,
                service=request.fields.service,
            )
        )
        data = rest
        if asked[-1].last:
            return Read(asked, None, cut=False)


_FORWARDED = b"for=127.0.0.1;proto=http\r\n\r\n"  # as `Client.forwarded` goes on, without an id


def _body(length: int, came: bytes) -> tuple[bytes, bytes, bytes, bool]:
    """What is sent on, the payload, what follows, whether the body is complete."""
    body = framing.body(length)
    if body is None:
        return b"", b"", came, True
    sent, rest = body.feed(came)
    payload = sent
    if length == CHUNKED:
        payload, _ = framing.Chunked(strip=True).feed(came)
    return sent, payload, rest, body.done


class Answered(NamedTuple):
    """An answer that was taken: its bytes as they came and as they are sent on, without interim ones before it."""

    raw: bytes
    onward: bytes
    interim: bytes
    status: int
    body: bytes
    until_close: bool


def answer(data: bytes, method: bytes) -> Answered | None:
    """Read an instance's bytes up to its close as the balancer does; None if they end too early.

    Raises:
        Refused: They break a rule.
    """
    interim = b""
    while True:
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            return None
        read = parse_answer(data[:end], b"", http10=False)
        if read.status == 101:
            raise Refused("nobody asked for it")
        if read.status >= 200:
            break
        interim += read.head + STAYS
        data = data[end:]
    length = 0 if method == b"HEAD" or read.status == 304 else read.length
    sent, payload, rest, done = _body(length, data[end:])
    until_close = length == UNTIL_CLOSE
    if not (done or until_close):
        return None
    tail = CLOSES if until_close else STAYS
    raw = data[: len(data) - len(rest)]
    head = read.head.removesuffix(b"X-Request-Id: ")  # none is said, so one would be made
    return Answered(raw, head + tail + sent, interim, read.status, payload, until_close)
