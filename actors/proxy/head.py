"""Strict, pure parsing of request heads, and what to send on in their place.

What two parsers could read differently is refused, never mended. What a head decides is remembered under its exact
bytes, and what its header lines decide under theirs, because clients repeat both: one byte of difference is a new head.
"""

import re
from collections.abc import Set
from http import HTTPStatus
from typing import Final

import msgspec

from . import request_id
from .log import escaped
from .memo import Memo
from .rules import BLOCK, HOST, LENGTH, MAX_FIELDS, MAX_HEAD, MAX_LINE, REQUEST_LINE, Refused, breach

CHUNKED: Final = -1  # in place of a length: the body comes in chunks
UNTIL_CLOSE: Final = -2  # in place of a length: the body ends with the connection

_NOT_OFFERED: Final = frozenset((b"CONNECT", b"PRI"))  # PRI would begin HTTP/2 (RFC 9113, 11.6)
_NO_TOKENS: Final[Set[bytes]] = frozenset()
_ABSOLUTE = re.compile(rb"[Hh][Tt][Tt][Pp]://([^/?]*)(.*)")

# Of one hop, or ours to say: never sent on as they came. `Proxy` would become HTTP_PROXY in a CGI environment.
_DROPPED: Final = frozenset(
    b"connection keep-alive te upgrade transfer-encoding content-length host proxy http2-settings expect "
    b"forwarded x-real-ip x-request-id".split()
)
_DROPPED_KINDS: Final = (b"proxy-", b"x-forwarded-")
# In a CGI environment these read as a hyphen: `X_Forwarded_For` must not get past us.
_AS_HYPHEN: Final = bytes.maketrans(b"!#$%&'*+._`|~", b"-" * 13)
# What is read here.
_READ: Final = frozenset(
    b"host content-length transfer-encoding connection te upgrade expect accept referer user-agent x-request-id".split()
)


class Fields(msgspec.Struct, frozen=True):
    """What the header lines of a request decide. A struct, since its attributes are read three times as fast as those
    of a named tuple: here that is once and more a request.

    Attributes:
        service: The first label of the host, in lower case; empty if HTTP/1.0 came without a Host.
        host: The Host as it came, for absolute targets.
        length: Bytes of the body, or `CHUNKED`.
        keep_alive: The client can send another request on this connection.
        http10: The client speaks HTTP/1.0: it understands neither chunks nor interim answers.
        upgrade: The protocols, in lower case, for which the client asks to leave HTTP, if the request may ask for that.
        json: The client would rather read our own errors as JSON.
        lines: The header lines to send on, each with its CRLF, and the beginning of a Forwarded line (RFC 7239), which
            `Client.forwarded` goes on with: the host differs by request, who asks by connection.
        agent: `"referer" "user-agent"` for the log, escaped.
        request_id: What its `X-Request-Id` says; empty if that cannot be used, None without one.
    """

    service: str
    host: bytes
    length: int
    keep_alive: bool
    http10: bool
    upgrade: Set[bytes]
    json: bool
    lines: bytes
    agent: bytes
    request_id: bytes | None


class Request(msgspec.Struct, frozen=True):
    """A request head: its method, its first line as it came and as it is sent on, and what its fields decide.

    Attributes:
        id: The id that the client gave it; empty for none.
    """

    method: bytes
    line: bytes
    onward: bytes
    fields: Fields
    id: bytes


class Heads:
    """Parses request heads; remembers what they, and what their header lines alone, decide.

    Args:
        memory: How many different ones of each to remember in each of two generations.
    """

    def __init__(self, memory: int = 1024) -> None:
        self._whole: Memo[Request] = Memo(memory)
        self._memo: Memo[Fields] = Memo(memory)
        self._memo10: Memo[Fields] = Memo(memory)

    def parse(self, data: bytes, end: int) -> Request:
        """Parse the head in `data` whose empty line begins (with the CRLF before it) at `end`.

        Raises:
            Refused: The head breaks a rule; the connection cannot be trusted any more.
        """
        whole = self._whole
        head = data[: end + 4]
        request = whole.young.get(head) or whole.get(head)
        if request is None:
            request = self._parse(head, end)
            whole.put(head, request)
        return request

    def _parse(self, data: bytes, end: int) -> Request:
        line_end = data.find(b"\r\n", 0, end)
        if line_end < 0:
            line_end = end
        line = data[:line_end]
        if line_end > MAX_LINE:
            raise Refused(f"the request line is longer than {MAX_LINE} bytes", HTTPStatus.REQUEST_URI_TOO_LONG)
        match = REQUEST_LINE.fullmatch(line)
        if match is None:
            raise Refused("the request line is not METHOD TARGET HTTP/1.1")
        method, target, major, minor = match.groups()
        if major != b"1" or minor not in (b"0", b"1"):
            raise Refused("only HTTP/1.0 and HTTP/1.1 are spoken here", HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
        http10 = minor == b"0"
        memo = self._memo10 if http10 else self._memo
        block = data[line_end + 2 : end + 2]
        fields = memo.young.get(block) or memo.get(block)
        name = b""
        if fields is None:
            if len(block) <= memo.longest:
                block, name = request_id.cut(block)
                fields = memo.get(block) if name else None
            if fields is None:
                fields = parse_fields(block, http10=http10)
                memo.put(block, fields)
            if fields.request_id is not None:
                name = b"" if name else fields.request_id  # two of them say nothing
        onward = line
        if target[:1] != b"/":
            target = _origin(method, target, fields)
            onward = b"%b %b HTTP/1.1" % (method, target)
        elif http10:
            onward = line[:-1] + b"1"
        if method in _NOT_OFFERED:
            raise Refused("CONNECT and PRI are not offered here", HTTPStatus.NOT_IMPLEMENTED)
        return Request(method, line, onward, fields, name)


def _origin(method: bytes, target: bytes, fields: Fields) -> bytes:
    """The origin form of a target that does not begin with a slash."""
    if method == b"CONNECT" or (target == b"*" and method == b"OPTIONS"):
        return target
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise Refused("a target must be /PATH or http://HOST/PATH")
    authority, path = absolute.groups()
    if method == b"OPTIONS" and not path:
        path = b"*"  # RFC 9112, 3.2.4
    if not HOST.fullmatch(authority) or authority.lower() != fields.host.lower():
        raise Refused("the host of the target is not that of the Host line")
    return path if path[:1] in (b"/", b"*") else b"/" + path


def split_fields(block: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """The header lines of a block (each ends with CRLF) as (name in lower case, name, value).

    Raises:
        Refused: A line breaks the grammar, or there are too many bytes or lines.
    """
    if len(block) > MAX_HEAD:
        raise Refused(f"the header is longer than {MAX_HEAD} bytes", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    if BLOCK.fullmatch(block) is None:
        raise Refused(breach(block))
    lines = block.split(b"\r\n")
    if len(lines) > MAX_FIELDS + 1:
        raise Refused(f"more than {MAX_FIELDS} header lines", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    lines.pop()  # what follows the last CRLF
    fields = []
    for line in lines:
        name, _, value = line.partition(b":")
        fields.append((name.lower(), name, value.strip(b" \t")))
    return fields


def tokens(values: list[bytes] | None) -> Set[bytes]:
    """The members of comma-separated lists, in lower case; none without any list."""
    if values is None:
        return _NO_TOKENS
    return {token.strip(b" \t").lower() for value in values for token in value.split(b",")}


def body_length(lengths: list[bytes] | None, codings: list[bytes] | None, *, http10: bool) -> int | None:
    """How long the framing lines say the body is: bytes, `CHUNKED`, or None if they do not say.

    Raises:
        Refused: The lines contradict each other, or say what could be read in two ways.
    """
    if codings:
        if lengths:
            raise Refused("both Content-Length and Transfer-Encoding")
        if http10:
            raise Refused("Transfer-Encoding in HTTP/1.0")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            raise Refused("a Transfer-Encoding other than chunked")
        return CHUNKED
    if not lengths:
        return None
    if len(lengths) > 1:
        raise Refused("more than one Content-Length")
    if LENGTH.fullmatch(lengths[0]) is None:
        raise Refused("a Content-Length that is not a number")
    return int(lengths[0])


def ours_to_say(key: bytes) -> bool:
    """Whether a field (its name in lower case) is of one hop, or ours to say: it is not sent on as it came."""
    plain = key.translate(_AS_HYPHEN)
    return plain in _DROPPED or plain.startswith(_DROPPED_KINDS)


def parse_fields(block: bytes, *, http10: bool) -> Fields:
    """Decide what the header lines of a request mean.

    Args:
        block: The lines, each with its CRLF, without the empty line that ends them.
        http10: The request line said HTTP/1.0.

    Raises:
        Refused: The lines break a rule.
    """
    read: dict[bytes, list[bytes]] = {}
    kept: list[tuple[bytes, bytes]] = []
    for key, name, value in split_fields(block):
        if key in _READ:
            read.setdefault(key, []).append(value)
        if not ours_to_say(key):
            kept.append((key, b"%b: %b\r\n" % (name, value)))

    length = body_length(read.get(b"content-length"), read.get(b"transfer-encoding"), http10=http10)
    host = _host(read.get(b"host"), http10=http10)
    options = tokens(read.get(b"connection"))
    upgrade = _NO_TOKENS
    if b"upgrade" in options and not http10 and not length:
        upgrade = _protocols(read.get(b"upgrade"))
    lines = [line for key, line in kept if key not in options]
    if host:
        lines.insert(0, b"Host: %b\r\nX-Forwarded-Host: %b\r\n" % (host, host))
    if length == CHUNKED:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    elif length is not None:
        lines.append(b"Content-Length: %d\r\n" % length)
    if b"expect" in read and not http10:
        lines.append(b"Expect: %b\r\n" % b", ".join(read[b"expect"]))
    if upgrade:
        lines.append(b"Connection: upgrade\r\nUpgrade: %b\r\n" % b", ".join(read[b"upgrade"]))
    elif b"trailers" in tokens(read.get(b"te")):
        lines.append(b"Connection: TE\r\nTE: trailers\r\n")
    lines.append(b'Forwarded: host="%b";' % host if host else b"Forwarded: ")
    return Fields(
        service=host.partition(b":")[0].partition(b".")[0].lower().decode("ascii"),
        host=host,
        length=length or 0,
        keep_alive=b"close" not in options and (not http10 or b"keep-alive" in options),
        http10=http10,
        upgrade=upgrade,
        json=b"accept" in read and b"application/json" in b",".join(read[b"accept"]).lower(),
        lines=b"".join(lines),
        agent=b'"%b" "%b"' % (_logged(read.get(b"referer")), _logged(read.get(b"user-agent"))),
        request_id=request_id.taken(read.get(request_id.FIELD)),
    )


def _host(hosts: list[bytes] | None, *, http10: bool) -> bytes:
    if hosts is None:
        if http10:
            return b""
        raise Refused("HTTP/1.1 needs a Host")
    if len(hosts) > 1:
        raise Refused("more than one Host")
    if HOST.fullmatch(hosts[0]) is None:
        raise Refused("an invalid Host")
    return hosts[0]


def _protocols(values: list[bytes] | None) -> Set[bytes]:
    # Another HTTP (h2c, HTTP/2.0) is never passed on: in such a tunnel requests would get past routing and these rules.
    offered = tokens(values) - {b""}
    return _NO_TOKENS if any(one.startswith((b"h2", b"h3", b"http")) for one in offered) else offered


def _logged(values: list[bytes] | None) -> bytes:
    return b"-" if values is None else escaped(b", ".join(values))
