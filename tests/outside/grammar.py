"""Requests and answers that are nearly right: a seeded grammar of HTTP/1 with every rule broken now and then."""

from __future__ import annotations

import random
from collections.abc import Sequence

_METHODS = [
    *b"GET GET GET POST POST POST PUT HEAD OPTIONS DELETE PATCH TRACE PROPFIND get M-SEARCH CONNECT".split(), b"",
    b"G T", b"G\0T", b"G(T", b"\xc3\x89", b"PRI", b"HTTP/1.1", b"HELLO",
]  # fmt: skip
_TARGETS = (
    b"/", b"/", b"/", b"/a?b=c", b"/a%20b", b"//other/a", b"/a;b", b"/../a", b"*", b"http://hello/a", b"http://hello",
    b"http://hello?a", b"http://other/", b"http://a@hello/", b"https://hello/", b"HTTP://HELLO/", b"hello:80", b"a",
    b"/a#b", b"/a b", b"/\xff", b"/\0", b"/\t", b"", b"/a\\b", b"/<>\"{}|^`", b"/[::1]", b"?a", b"/a\rb",
)  # fmt: skip
_VERSIONS = (
    b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.1 ", b"HTTP/1.10", b"",
    b"HTTP/2.0", b"HTTP/1.2", b"HTTP/0.9", b"http/1.1", b"HTTP/1,1", b"HTTP/01.1", b"HTTP /1.1", b"HTTP/1.1\t",
    b"HTTP/11",
)  # fmt: skip
_LENGTHS = (
    b"5", b"5", b"5", b"5", b"0", b"00005", b"+5", b"-5", b"5 ", b"5,5", b"5, 5", b"5,6", b"0x5", b"5_0", b"5;a",
    b"5.0",
    b"", b" ", b"5\0", b"\x0b5", b"5\x0c", b"5e0", b"1" * 18, b"9" * 25, b'"5"', b"five", b"5 5", b"\xd9\xa5", b"\xa05",
)  # fmt: skip
_CODINGS = (
    b"chunked", b"chunked", b"chunked", b"Chunked", b"CHUNKED", b"chunked ", b"\tchunked", b"chunked\t", b"identity",
    b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"chunked,", b",chunked", b"chunked;a=b", b"xchunked",
    b"chunke", b'"chunked"', b"'chunked'", b"\x0bchunked", b"chunked\x0c", b"chunked\0", b"chunked\xff", b"\xffchunked",
    b"", b"identity, chunked", b"chunked, identity", b"ch\x96nked", b"chunked\r", b"chun\tked", b"chunked chunked",
)  # fmt: skip
_HOSTS = (
    b"hello", b"hello", b"hello", b"hello", b"HELLO:80", b"hello.example.org", b"other", b"", b"hello hello",
    b"a@hello",
    b"hello/a", b"hello,other", b"hello:80x", b"[::1]", b"hello\xff", b"hello:", b"hel\tlo",
)  # fmt: skip
_OTHERS = (
    b"Connection: close", b"Connection: keep-alive", b"Connection: content-length", b"Connection: transfer-encoding",
    b"Connection: host", b"Connection: upgrade\r\nUpgrade: websocket", b"Connection: Upgrade\r\nUpgrade: h2c",
    b"Expect: 100-continue", b"TE: trailers", b"TE: gzip", b"Trailer: Content-Length", b"Keep-Alive: timeout=5",
    b"X-Forwarded-For: 1.2.3.4", b"X_Forwarded_For: 1.2.3.4", b"Content_Length: 9", b"Transfer_Encoding: chunked",
    b"X-A: \xff\xfe", b"X-A:", b"X-A:\tb \t", b'X-A: "\\\""', b"X-A: a,b;c=d", b"Content-Encoding: chunked",
    b"Cookie: a=b",
    b"X-A: Transfer-Encoding: chunked", b"Max-Forwards: 0", b"!#$%&'*+-.^_`|~: a", b"Content-Length-: 5",
    b"-Transfer-Encoding: chunked", b"Transfer-Encoding-: chunked", b"X: a\r\n", b"Transfer-Encodin\xc7: chunked",
)  # fmt: skip
_STATUSES = (
    b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK", b"HTTP/1.1 404 Not Found", b"HTTP/1.0 200 OK",
    b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1 205 Reset",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK", b"HTTP/1.1 103 Early\r\nX: a\r\n\r\nHTTP/1.1 200 OK",
    b"HTTP/1.1 101 Switching", b"HTTP/1.1 999 Odd", b"HTTP/1.1 099 Odd", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK",
    b"HTTP/1.1  200 OK", b"HTTP/2 200 OK", b"HTTP/1.2 200 OK", b"http/1.1 200 OK", b"ICY 200 OK", b"HTTP/1.1 +20 OK",
    b"HTTP/1.1\t200 OK", b"HTTP/1.1 200 O\0K", b"HTTP/1.1 200 O\xffK", b"HTTP/1.1 200\tOK", b"\r\nHTTP/1.1 200 OK", b"",
)  # fmt: skip
_SEPARATORS = (b": ", b": ", b": ", b": ", b": ", b":", b":\t", b":  ", b" : ", b"\t: ", b" ", b"::", b"=", b":\r\n ")
_ENDS = (b"\r\n",) * 40 + (
    b"\n",
    b"\r",
    b"\r\r\n",
    b"\n\r",
    b"\r\n ",
    b"\0\r\n",
    b" \r\n",
    b"\x0b\r\n",
    b"\xe5\x98\x8a",
)
_SIZES = (b"", b"", b"", b"", b"", b"0", b"000", b" ", b"\t", b"+", b"-", b"0x", b"\n", b"\0")
_EXTENSIONS = (
    b"", b"", b"", b"", b"", b"", b";a", b";a=b", b';a="b c"', b';a="\\""', b";", b";;", b" ", b" ;a", b";a ", b"; a",
    b";a=",
    b';a="', b";a\nb", b";\n", b"\n", b";a\rb", b";\0", b"\xff", b";\xff", b"h", b".0", b"_0", b",", b";a=b;c", b"\r",
)  # fmt: skip
_DATA_ENDS = (b"\r\n",) * 12 + (b"\n", b"\r", b"", b"\r\r\n", b"xx", b"\n\r", b"\r\nx")
_TRAILERS = (
    b"", b"", b"", b"", b"X-Sum: 1\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"X : a\r\n",
    b"X\r\n",
    b"X: a\n", b" X: a\r\n", b"X: a\r\n b\r\n", b"Host: other\r\n", b"X-Forwarded-For: 1.2.3.4\r\n", b"X: \0\r\n",
    b": a\r\n",
)  # fmt: skip
_LASTS = (b"\r\n",) * 10 + (b"\n", b"\r", b"", b"\r\r\n", b" \r\n", b"\n\n")
_ODD = (
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"\x0b",
    b"\x0c",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"0",
    b"/",
)
_PAYLOAD = b"hello"
CLEAN = b"GET /clean HTTP/1.1\r\nHost: hello\r\n\r\n"
_INNER = b"GET /inner HTTP/1.1\r\nHost: hello\r\n\r\n"


class Grammar:
    """Draws messages.

    Args:
        chance: Where lots are drawn from: the same messages for the same seed.
        wild: How many of a hundred choices may be a broken one.
    """

    def __init__(self, chance: random.Random, wild: int = 12) -> None:
        self._chance = chance
        self._wild = wild

    def _one(self, choices: Sequence[bytes]) -> bytes:
        """Mostly the first, which is right."""
        return self._chance.choice(choices) if self._chance.randrange(100) < self._wild else choices[0]

    def _lines(self, named: list[tuple[bytes, bytes]]) -> bytes:
        self._chance.shuffle(named)
        lines = [name + self._one(_SEPARATORS) + value for name, value in named]
        while self._chance.randrange(3) == 0:
            lines.insert(self._chance.randrange(len(lines) + 1), self._chance.choice(_OTHERS))
        return b"".join(line + self._one(_ENDS) for line in lines) + self._one((b"\r\n", b"\n", b"\r", b"\n\r\n", b""))

    def _framed(self) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Lines that frame, and a body that is framed so."""
        kind = self._chance.randrange(10)
        if kind < 3:
            return [], b""
        if kind < 6:
            return [(self._name(b"Content-Length"), self._one(_LENGTHS))], _PAYLOAD
        if kind < 9:
            return [(self._name(b"Transfer-Encoding"), self._one(_CODINGS))], self._chunks()
        both = [(b"Content-Length", self._one(_LENGTHS)), (b"Transfer-Encoding", self._one(_CODINGS))]
        return both + both[: self._chance.randrange(2)], self._chunks()

    def _name(self, name: bytes) -> bytes:
        return self._one((name, name.lower(), name.upper(), name.replace(b"-", b"_"), b" " + name, name + b"\0"))

    def _chunks(self) -> bytes:
        parts = []
        for _ in range(self._chance.randrange(3)):
            size = self._one((b"5", b"005", b"6", b"4", b"F" * 16, b"5" * 15, b"", b"five", b"\xd9\xa5"))
            parts += [self._one(_SIZES), size, self._one(_EXTENSIONS), b"\r\n", _PAYLOAD, self._one(_DATA_ENDS)]
        last = (b"0", b"000", b"", b"00000000000000000", b"0x0", b" 0")
        parts += [self._one(last), self._one(_EXTENSIONS), b"\r\n", self._chance.choice(_TRAILERS), self._one(_LASTS)]
        return b"".join(parts)

    def _hurt(self, data: bytes) -> bytes:
        """Sometimes put in, take out, double or change a few bytes, anywhere."""
        while data and self._chance.randrange(100) < self._wild * 2:
            here = self._chance.randrange(len(data))
            there = min(len(data), here + self._chance.choice((0, 1, 1, 1, 2, 5)))
            put = self._chance.choice((b"", data[here:there] * 2, *_ODD))
            data = data[:here] + put + data[there:]
        return data

    def requests(self) -> bytes:
        """A request, and mostly another one behind it."""
        lines, body = self._framed()
        if self._chance.randrange(20):
            lines.append((b"Host", self._one(_HOSTS)))
        if not self._chance.randrange(30):
            lines.append((b"Host", self._chance.choice(_HOSTS)))
        method = self._chance.choice(_METHODS[:10]) if self._chance.randrange(5) else self._chance.choice(_METHODS)
        gap, gap2 = self._one((b" ", b"  ", b"\t", b"", b"\x0b", b"\xa0")), self._one((b" ", b"  ", b"\t", b"", b"\r"))
        first = method + gap + self._one(_TARGETS) + gap2 + self._one(_VERSIONS) + self._one(_ENDS)
        before = self._one((b"", b"\r\n", b"\n", b" ", b"\r\n\r\n", b"\0", b"x"))
        whole = self._hurt(before + first + self._lines(lines) + body)
        return whole + self._chance.choice((b"", CLEAN, _INNER + CLEAN))

    def answer(self) -> bytes:
        """An answer, sometimes with another one behind it."""
        lines, body = self._framed()
        first = self._one(_STATUSES) + self._one(_ENDS)
        whole = self._hurt(first + self._lines([*lines, (b"Server", b"x")]) + body)
        return whole + self._one((b"", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"\r\n", b"x"))
