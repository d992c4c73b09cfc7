"""How others read HTTP/1: h11, llhttp (through httptools), and parsers that mend whatever they can."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import h11
import httptools

_FRAMING: Final = (b"content-length", b"transfer-encoding", b"host")


class Message(NamedTuple):
    """What a reader made of the bytes of one message.

    Attributes:
        start: Method and target of a request; the status of an answer.
        framing: The lines that frame and route, in lower case.
        body: The payload, without chunks.
        rest: What follows the message.
    """

    start: tuple[bytes, ...]
    framing: tuple[tuple[bytes, bytes], ...]
    body: bytes
    rest: bytes


class Unread(Exception):
    """The reader refuses the bytes, or waits for more of them."""


def _framing(headers: Sequence[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    lowered = ((name.lower(), value.strip().lower()) for name, value in headers)
    return tuple(sorted(line for line in lowered if line[0] in _FRAMING))


# --- h11 -------------------------------------------------------------------------------------------------------------


def h11_request(data: bytes) -> Message:
    """The first request, as h11 reads it."""
    return _h11(h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20), data, closed=False)


def h11_answer(data: bytes, method: bytes, *, closed: bool) -> Message:
    """The final answer to a request of that method, as h11 reads it; `closed`: the connection ended after it."""
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "hello")]))
    client.send(h11.EndOfMessage())
    return _h11(client, data, closed=closed)


def _h11(connection: h11.Connection, data: bytes, *, closed: bool) -> Message:
    start: tuple[bytes, ...] = ()
    framing: tuple[tuple[bytes, bytes], ...] = ()
    body = b""
    try:
        connection.receive_data(data)
        if closed:
            connection.receive_data(b"")
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                start, framing = (event.method, event.target), _framing(list(event.headers))
            elif isinstance(event, h11.Response):
                start, framing = (b"%d" % event.status_code,), _framing(list(event.headers))
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return Message(start, framing, body, connection.trailing_data[0])
            elif not isinstance(event, h11.InformationalResponse):
                raise Unread(f"h11 waits: {event!r}")
    except h11.ProtocolError as error:
        raise Unread(f"h11: {error}") from error


# --- llhttp ----------------------------------------------------------------------------------------------------------


_TAB = re.compile(rb"(?i)chunked *\t[ \t]*\r\n")


class _Events:
    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.done = 0

    def on_url(self, url: bytes) -> None:
        if not self.done:
            self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.done:
            self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        if not self.done:
            self.body += body

    def on_message_complete(self) -> None:
        self.done += 1


class NoVerdict(Exception):
    """llhttp stops where the standards go on; the only cases in which we take what it does not.

    - It knows a list of methods and refuses all others, which RFC 9110 (9.1) leaves open.
    - It reads no body of a request that asks for an upgrade; by RFC 9110 (7.8) the body comes first.
    - It takes a tab behind `chunked` for a part of the word; by RFC 9110 (5.6.3) it is white space. It is not sent on.
    """


def llhttp_request(data: bytes) -> Message:
    """The only request, as llhttp reads it."""
    events = _Events()
    parser = httptools.HttpRequestParser(events)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade as error:
        if any(name in (b"content-length", b"transfer-encoding") for name, _ in _framing(events.headers)):
            raise NoVerdict from error
    except httptools.HttpParserInvalidMethodError as error:
        raise NoVerdict from error
    except httptools.HttpParserError as error:
        if _TAB.search(data):
            raise NoVerdict from error
        raise Unread(f"llhttp: {error}") from error
    if events.done != 1:
        raise Unread(f"llhttp reads {events.done} requests")
    return Message((parser.get_method(), events.url), _framing(events.headers), events.body, b"")


def llhttp_answer(data: bytes) -> Message:
    """The first answer that is not interim, as llhttp reads it; for answers whose body does not end with the close."""
    events = _Events()
    parser = httptools.HttpResponseParser(events)
    try:
        parser.feed_data(data)
    except httptools.HttpParserError as error:
        raise Unread(f"llhttp: {error}") from error
    if events.done != 1:
        if _TAB.search(data):
            raise NoVerdict
        raise Unread(f"llhttp reads {events.done} answers")
    return Message((b"%d" % parser.get_status_code(),), _framing(events.headers), events.body, b"")


# --- readers that mend -----------------------------------------------------------------------------------------------

_BLANK = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE = re.compile(rb"\r\n|\n|\r")
_FOLD = re.compile(rb"(?>\r\n|\n|\r)[ \t]+")
_NUMBER = re.compile(rb"[^0-9]*([0-9]+)")
_HEX = re.compile(rb"[^0-9a-fA-F]*([0-9a-fA-F]+)")


def lenient_requests(data: bytes, prefer: Literal["chunked", "length"]) -> list[Message]:
    """Every request in the bytes, as somebody reads them who takes any line end, fold, space, underscore and number.

    Args:
        data: Whole requests.
        prefer: Which framing wins where there are two.
    """
    found = []
    while data.strip(b"\r\n"):
        blank = _BLANK.search(data)
        if blank is None:
            raise Unread("a head without end")
        head, data = data[: blank.start()], data[blank.end() :]
        first, *lines = _LINE.split(_FOLD.sub(b" ", head))
        headers = []
        for line in lines:
            name, _, value = line.partition(b":")
            headers.append((name.strip().lower().replace(b"_", b"-"), value.strip(b" \t\0\x0b\x0c").lower()))
        body = b""
        chunked = any(name == b"transfer-encoding" and b"chunked" in value for name, value in headers)
        lengths = [match for name, value in headers if name == b"content-length" and (match := _NUMBER.match(value))]
        if chunked and (prefer == "chunked" or not lengths):
            body, data = _lenient_chunks(data)
        elif lengths:
            length = int(lengths[-1][1])
            body, data = data[:length], data[length:]
        found.append(Message(tuple(first.split()[:2]), _framing(headers), body, data))
    return found


def _lenient_chunks(data: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        end = _LINE.search(data)
        size = _HEX.match(data)
        if end is None or size is None:
            raise Unread("a chunk without a size")
        data = data[end.end() :]
        length = int(size[1], 16)
        if length == 0:
            break
        body, data = body + data[:length], data[length:]
        after = _LINE.match(data)
        data = data[after.end() :] if after else data
    while True:  # trailers
        end = _LINE.search(data)
        if end is None:
            raise Unread("trailers without end")
        line, data = data[: end.start()], data[end.end() :]
        if not line:
            return body, data
