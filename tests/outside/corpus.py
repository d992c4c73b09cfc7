"""Published ways to make two servers read one stream of bytes differently, written down anew, each with its source.

`{smuggled}` is a request that must never reach an instance. Sources:

- linhart: C. Linhart et al., HTTP Request Smuggling (2005)
- kettle19: J. Kettle, HTTP Desync Attacks: Request Smuggling Reborn (2019)
- kettle21: J. Kettle, HTTP/2: The Sequel is Always Worse (2021)
- kettle22: J. Kettle, Browser-Powered Desync Attacks (2022)
- kettle25: J. Kettle, HTTP/1.1 Must Die: the desync endgame (2025)
- te0: P. Arona, H. Saxena, P. Anastasiou, Unveiling TE.0 (2024)
- smuggler: names of the mutations of defparam/smuggler
- garden: B. Kallus, P. Anantharaman, M. Locasto, S. Smith, The HTTP Garden (2024)
- weikop: J. B. Weikop, chunked extensions and their ends (2025)
- jabiyev: B. Jabiyev et al., T-Reqs: HTTP Request Smuggling with Differential Fuzzing (2021)
- rfc9112, rfc9110, rfc9113, and CVE numbers
"""

from __future__ import annotations

from typing import Final, NamedTuple

SMUGGLED: Final = b"GET /smuggled HTTP/1.1\r\nHost: hello\r\n\r\n"


class Attack(NamedTuple):
    """One variant.

    Attributes:
        name: What it is called.
        source: Who published it.
        data: All that the client sends.
        harmless: It follows the standard and means one thing: how many requests it is; 0: it must be refused.
    """

    name: str
    source: str
    data: bytes
    harmless: int = 0


def _head(*lines: bytes, first: bytes = b"POST / HTTP/1.1", host: bytes = b"Host: hello\r\n") -> bytes:
    return first + b"\r\n" + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def _with_length(*codings: bytes) -> bytes:
    """A length that hides the request from one reader, beside a coding that shows it to the other."""
    body = b"0\r\n\r\n" + SMUGGLED
    return _head(b"Content-Length: %d" % len(body), *codings) + body


def _chunks(body: bytes) -> bytes:
    return _head(b"Transfer-Encoding: chunked") + body


_CL_TE: Final = [
    Attack("CL.TE", "kettle19", _with_length(b"Transfer-Encoding: chunked")),
    Attack(
        "TE.CL",
        "kettle19",
        _head(b"Content-Length: 4", b"Transfer-Encoding: chunked") + b"27\r\n" + SMUGGLED + b"\r\n0\r\n\r\n",
    ),
    Attack("CL.CL", "linhart", _head(b"Content-Length: 0", b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED),
    Attack("CL.CL, the same twice", "rfc9112", _head(b"Content-Length: 5", b"Content-Length: 5") + b"hello"),
    Attack("CL in a list", "jabiyev", _head(b"Content-Length: 0, %d" % len(SMUGGLED)) + SMUGGLED),
    Attack(
        "CL of a GET", "linhart", _head(b"Content-Length: %d" % len(SMUGGLED), first=b"GET / HTTP/1.1") + SMUGGLED, 1
    ),
    Attack("CL.0", "kettle22", _head(b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED, 1),
    Attack("0.CL, hidden by a space", "kettle25", _head(b"Content-Length : %d" % len(SMUGGLED)) + SMUGGLED),
    Attack("0.CL, hidden by a fold", "kettle25", _head(b"X: y", b" Content-Length: %d" % len(SMUGGLED)) + SMUGGLED),
    Attack(
        "0.CL, length behind a line break", "kettle25", _head(b"Content-Length:", b" %d" % len(SMUGGLED)) + SMUGGLED
    ),
    Attack(
        "TE.0 with OPTIONS",
        "te0",
        _head(b"Transfer-Encoding: chunked", first=b"OPTIONS / HTTP/1.1") + b"27\r\n" + SMUGGLED + b"\r\n0\r\n\r\n",
        1,
    ),
    Attack(
        "Expect with a length",
        "kettle25",
        _head(b"Expect: 100-continue", b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED,
        1,
    ),
    Attack(
        "Expect, obfuscated",
        "kettle25",
        _head(b"Expect: y 100-continue", b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED,
        1,
    ),
    Attack("Expect, folded", "kettle25", _head(b"Expect:", b" 100-continue", b"Content-Length: 5") + b"hello"),
    Attack("TE in HTTP/1.0", "rfc9112", _head(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0") + b"0\r\n\r\n"),
    Attack(
        "TE in HTTP/1.0 with a length",
        "CVE-2022-1705",
        _head(b"Content-Length: 5", b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0") + b"0\r\n\r\n",
    ),
    Attack(
        "Connection takes the length away",
        "garden",
        _head(b"Connection: content-length", b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED,
        1,
    ),
    Attack(
        "Connection takes the coding away",
        "garden",
        _head(b"Connection: transfer-encoding", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
        1,
    ),
]

# A coding that one of two readers does not see, each in the place of `Transfer-Encoding: chunked` in CL.TE.
_CODINGS: Final = {
    "nameprefix1": b" Transfer-Encoding: chunked",
    "tabprefix2": b"Transfer-Encoding\t:\tchunked",
    "spacejoin1": b"Transfer Encoding: chunked",
    "space1": b"Transfer-Encoding : chunked",
    "vertprefix1": b"Transfer-Encoding:\x0bchunked",
    "commaCow": b"Transfer-Encoding: chunked, cow",
    "cowComma": b"Transfer-Encoding: cow, chunked",
    "linewrapped1": b"Transfer-Encoding:\n chunked",
    "linewrapped2": b"Transfer-Encoding:\r\n chunked",
    "quoted": b'Transfer-Encoding: "chunked"',
    "aposed": b"Transfer-Encoding: 'chunked'",
    "lazygrep": b"Transfer-Encoding: chunk",
    "0dsuffix": b"Transfer-Encoding: chunked\r",
    "revdualchunk": b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
    "dualchunk": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow",
    "0dspam": b"Transfer\r-Encoding: chunked",
    "nested": b"Transfer-Encoding: cow chunked bar",
    "spaceFF": b"Transfer-Encoding:\xffchunked",
    "accentCH": b"Transfer-Encoding: ch\x96nked",
    "accentTE": b"Transf\x82r-Encoding: chunked",
    "x-rout": b"X:X\rTransfer-Encoding: chunked",
    "x-nout": b"X:X\nTransfer-Encoding: chunked",
    "tabprefix1": b"Transfer-Encoding:\tchunked",
    "sarcasm": b"TrAnSFer-EnCODinG: cHuNkeD",
    "tabsuffix": b"Transfer-Encoding: chunked\t",
    "identity": b"Transfer-Encoding: identity",
    "nocolon": b"Transfer-Encoding chunked",
    "bodysplit": b"X: y\r\r\n\r\nTransfer-Encoding: chunked",
    **{f"midspace-{byte:02x}": b"Transfer-Encoding:%cchunked" % byte for byte in (*range(0x20), *range(0x7F, 0x100))},
    **{f"postspace-{byte:02x}": b"Transfer-Encoding%c: chunked" % byte for byte in (*range(0x21), *range(0x7F, 0x100))},
    **{f"prespace-{byte:02x}": b"%cTransfer-Encoding: chunked" % byte for byte in (*range(0x21), *range(0x7F, 0x100))},
    **{f"endspace-{byte:02x}": b"Transfer-Encoding: chunked%c" % byte for byte in (*range(0x20), *range(0x7F, 0x100))},
}
# These are not the coding to anybody, or are made to be nothing: the length alone frames them.
_ELSE: Final = {
    "underjoin1": b"Transfer_Encoding: chunked",
    "dotjoin": b"Transfer.Encoding: chunked",
    "contentEnc": b"Content-Encoding: chunked",
    "x-prefix": b"X-Transfer-Encoding: chunked",
    "invalue": b"X: Transfer-Encoding: chunked",
}
_TE_TE: Final = [Attack(name, "smuggler", _with_length(line)) for name, line in _CODINGS.items()] + [
    Attack(name, "smuggler", _with_length(line), 1) for name, line in _ELSE.items()
]

# A length that two readers take for different numbers.
_LENGTHS: Final = {
    "plus": b"+39", "minus": b"-39", "hexadecimal": b"0x27", "underscore": b"3_9", "space within": b"3 9",
    "exponent": b"39e0",
    "point": b"39.0", "semicolon": b"39;0", "vertical tab": b"\x0b39", "NUL": b"39\0", "letters": b"39abc",
    "quoted": b'"39"',
    "empty": b"", "beyond 64 bits": b"18446744073709551655", "other digits": "\uff13\uff19".encode(), "comma": b"39,",
    "no-break space": b"39\xa0",
}  # fmt: skip
_CL: Final = [
    Attack(f"CL: {name}", "garden", _head(b"Content-Length: " + value) + SMUGGLED) for name, value in _LENGTHS.items()
] + [
    Attack("CL with zeros before", "garden", _head(b"Content-Length: 00039") + SMUGGLED, 1),
    Attack("CL: a line feed", "CVE-2022-32214", _head(b"X: y\nContent-Length: 39") + SMUGGLED),
    Attack(
        "CL: name with an underscore",
        "garden",
        _head(b"Content_Length: 39") + b"GET / HTTP/1.1\r\nHost: hello\r\n\r\n",
        2,
    ),
    Attack("CL: name with a NUL", "CVE-2019-20372", _head(b"Content-Length\0: 39") + SMUGGLED),
    Attack("CL: a colon too many", "garden", _head(b"Content-Length:: 39") + SMUGGLED),
]

# Chunks that two readers cut differently.
_BODIES: Final = {
    "TERM.EXT": (b"2;\nxx\r\n27\r\n0\r\n\r\n" + SMUGGLED, "weikop"),
    "EXT.TERM": (b"27;\n" + SMUGGLED + b"\r\n0\r\n\r\n", "weikop"),
    "TERM.SPILL": (b"5\r\nhello\n2\r\n0\r\n\r\n" + SMUGGLED, "weikop"),
    "SPILL.TERM": (b"5\r\nhelloXX0\r\n\r\n" + SMUGGLED, "weikop"),
    "ONE.TWO": (b"5\r\nhello\r\r\n0\r\n\r\n" + SMUGGLED, "weikop"),
    "TWO.ONE": (b"5\r\nhello\n0\r\n\r\n" + SMUGGLED, "weikop"),
    "ZERO.TWO": (b"5\r\nhello0\r\n\r\n" + SMUGGLED, "weikop"),
    "CR in the extension": (b"5;a\rb\r\nhello\r\n0\r\n\r\n", "weikop"),
    "NUL in the extension": (b"5;\0\r\nhello\r\n0\r\n\r\n", "CVE-2015-3183"),
    "extensions without end": (b"1;a\r\nx\r\n" * 9000, "CVE-2023-39326"),
    "a semicolon alone": (b"5;\r\nhello\r\n0\r\n\r\n", "rfc9112"),
    "a quote over two lines": (b'5;a="\r\nhello\r\n0\r\n\r\n"\r\n', "weikop"),
    "size with 0x": (b"0x5\r\nhello\r\n0\r\n\r\n", "CVE-2022-24801"),
    "size with a plus": (b"+5\r\nhello\r\n0\r\n\r\n", "CVE-2022-24801"),
    "size with a minus": (b"-5\r\nhello\r\n0\r\n\r\n", "garden"),
    "size with an underscore": (b"0_5\r\nhello\r\n0\r\n\r\n", "garden"),
    "size with a space": (b"5 \r\nhello\r\n0\r\n\r\n", "garden"),
    "space before the size": (b" 5\r\nhello\r\n0\r\n\r\n", "garden"),
    "size beyond 64 bits": (b"10000000000000005\r\nhello\r\n0\r\n\r\n", "CVE-2013-2028"),
    "size that wraps": (b"FFFFFFFFFFFFFFFB\r\nhello\r\n0\r\n\r\n", "CVE-2013-2028"),
    "size of letters": (b"xyz\r\n0\r\n\r\n", "kettle19"),
    "no size": (b"\r\n0\r\n\r\n", "CVE-2024-6827"),
    "size and junk": (b"5xyz\r\nhello\r\n0\r\n\r\n", "CVE-2022-24801"),
    "line feeds for ends": (b"5\nhello\n0\n\n", "CVE-2022-32214"),
    "the last line ends in LF": (b"0\r\n\n" + SMUGGLED, "garden"),
    "the last line ends in CR": (b"0\r\n\r" + SMUGGLED, "CVE-2024-53868"),
    "two bytes of anything for the last line": (b"0\r\nxx" + SMUGGLED, "CVE-2023-33193"),
    "a trailer that frames": (b"0\r\nContent-Length: 39\r\n\r\n" + SMUGGLED, "CVE-2023-46589"),
    "a trailer that codes": (b"0\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED, "CVE-2023-46589"),
    "a trailer without a colon": (b"0\r\nGET /smuggled HTTP/1.1\r\nHost: hello\r\n\r\n", "CVE-2023-46589"),
    "a trailer with a space before the colon": (b"0\r\nX : y\r\n\r\n", "CVE-2021-22959"),
    "a folded trailer": (b"0\r\nX: y\r\n z\r\n\r\n", "garden"),
    "a trailer with a bare LF": (b"0\r\nX: y\nHost: other\r\n\r\n", "garden"),
    "a trailer that says who asks": (b"0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n", "rfc9110"),
}
_CHUNKED: Final = [Attack(name, source, _chunks(body)) for name, (body, source) in _BODIES.items()]

_LINES: Final = [
    Attack("no line but LF", "CVE-2022-32214", b"GET / HTTP/1.1\nHost: hello\n\n" + SMUGGLED),
    Attack("LF in the head", "CVE-2022-32214", b"GET / HTTP/1.1\r\nHost: hello\n\r\n" + SMUGGLED),
    Attack("CR in the head", "CVE-2023-30589", b"GET / HTTP/1.1\r\nHost: hello\rX: y\r\n\r\n" + SMUGGLED),
    Attack("an end of two CR", "CVE-2023-30589", b"GET / HTTP/1.1\r\nHost: hello\r\r" + SMUGGLED),
    Attack("an end with a CR too many", "garden", b"GET / HTTP/1.1\r\nHost: hello\r\n\r\r\n" + SMUGGLED),
    Attack("a fold before the first name", "garden", _head(host=b" Host: hello\r\n")),
    Attack("a name without a value", "CVE-2022-32215", _head(b"Transfer-Encoding")),
    Attack("an empty name", "CVE-2023-25725", _head(b": y", b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED),
    Attack("NUL in a value", "garden", _head(b"X: a\0b")),
    Attack("two Hosts", "linhart", _head(b"Host: other")),
    Attack("two Hosts, one with a space", "kettle25", _head(b"Host : other")),
    Attack("no Host", "rfc9112", _head(host=b"")),
    Attack("Host with a path", "kettle25", _head(host=b"Host: hello/smuggled\r\n")),
    Attack("Host with a comma", "kettle25", _head(host=b"Host: hello, other\r\n")),
    Attack("another host in the target", "kettle19", _head(first=b"GET http://other/ HTTP/1.1")),
    Attack("a user in the target", "kettle19", _head(first=b"GET http://hello@other/ HTTP/1.1")),
    Attack("an at in the target", "kettle25", _head(first=b"GET @other/ HTTP/1.1")),
    Attack("a fragment in the target", "garden", _head(first=b"GET /#/../smuggled HTTP/1.1")),
    Attack("two requests in one line", "kettle21", _head(first=b"GET / HTTP/1.1 GET /smuggled HTTP/1.1")),
    Attack("a tab in the request line", "garden", _head(first=b"GET\t/ HTTP/1.1")),
    Attack("two spaces in the request line", "garden", _head(first=b"GET  / HTTP/1.1")),
    Attack("no version", "linhart", b"GET /\r\n\r\n" + SMUGGLED),
    Attack("version 0.9", "garden", _head(first=b"GET / HTTP/0.9")),
    Attack("version 1.10", "garden", _head(first=b"GET / HTTP/1.10")),
    Attack("version 2.0 with its preface", "rfc9113", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    Attack("the preface's method in HTTP/1.1", "rfc9113", _head(first=b"PRI / HTTP/1.1")),
    Attack("CONNECT", "jabiyev", _head(first=b"CONNECT hello:80 HTTP/1.1") + SMUGGLED),
    Attack(
        "an upgrade to h2c",
        "kettle21",
        _head(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAA", first=b"GET / HTTP/1.1"),
        1,
    ),
    Attack(
        "an upgrade that is not granted",
        "kettle22",
        _head(b"Connection: Upgrade", b"Upgrade: websocket", first=b"GET / HTTP/1.1")
        + b"GET /two HTTP/1.1\r\nHost: hello\r\n\r\n",
        2,
    ),
    Attack(
        "a forwarded address in disguise",
        "kettle19",
        _head(b"X_Forwarded_For: 1.2.3.4", b"Proxy: other", first=b"GET / HTTP/1.1"),
        1,
    ),
]

ATTACKS: Final = [*_CL_TE, *_TE_TE, *_CL, *_CHUNKED, *_LINES]
