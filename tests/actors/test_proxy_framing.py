"""Where bodies end: however the bytes are cut, and as h11 reads them."""

from collections.abc import Iterator

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tucano.actors.proxy.framing import Body, Chunked, Length, body
from tucano.actors.proxy.head import CHUNKED, UNTIL_CLOSE
from tucano.actors.proxy.rules import Refused

GOOD = b'5\r\nhello\r\n1;ext="a"\r\n!\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n'
NEXT = b"GET / HTTP/1.1\r\n"

BAD = {
    "no size": b"\r\nhello\r\n",
    "a size in words": b"five\r\nhello\r\n",
    "a signed size": b"+5\r\nhello\r\n",
    "a size with 0x": b"0x5\r\nhello\r\n",
    "a size with a space": b"5 \r\nhello\r\n",
    "a space before the size": b" 5\r\nhello\r\n",
    "a space before the extension": b"5 ;a\r\nhello\r\n",
    "a size too long": b"0000000000000005\r\nhello\r\n",
    "a size with an underscore": b"1_0\r\nhello\r\n",
    "an extension too long": b"5;" + b"a" * 300 + b"\r\nhello\r\n",
    "an extension too long, without its end": b"5;" + b"a" * 300,
    "a NUL in the extension": b"5;\0\r\nhello\r\n",
    "LF in the extension": b"5;a\nb\r\nhello\r\n",
    "LF behind the size": b"5\nhello\r\n",
    "CR in the size line": b"5\r5\r\nhello\r\n",
    "a chunk longer than its size": b"5\r\nhello!\r\n",
    "LF behind the data": b"5\r\nhello\n0\r\n\r\n",
    "CR CR behind the data": b"5\r\nhello\r\r\n0\r\n\r\n",
    "a trailer that frames": b"0\r\nContent-Length: 5\r\n\r\n",
    "a trailer that frames again": b"0\r\ntransfer-encoding: chunked\r\n\r\n",
    "a trailer without a colon": b"0\r\nabc\r\n\r\n",
    "a folded trailer": b"0\r\nA: b\r\n c\r\n\r\n",
    "a trailer with LF": b"0\r\nA: b\nC: d\r\n\r\n",
    "trailers without end": b"0\r\n" + b"A: b\r\n" * 2000,
    "an extension without a name": b"5;\r\nhello\r\n",
    "two semicolons": b"5;;a\r\nhello\r\n",
    "an extension without its value": b"5;a=\r\nhello\r\n",
    "a quote that does not end": b'5;a="b\r\nhello\r\n',
    "a space in the extension": b"5;a b\r\nhello\r\n",
    "a trailer that routes": b"0\r\nHost: other\r\n\r\n",
    "a trailer that admits": b"0\r\nAuthorization: x\r\n\r\n",
    "a trailer that says who asks": b"0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
    "a trailer that says so to CGI": b"0\r\nX_Forwarded_For: 1.2.3.4\r\n\r\n",
    "LF for the end": b"0\r\n\n\n",
}


def feed(scanner: Body, pieces: list[bytes]) -> tuple[bytes, bytes]:
    """What is given out, and what is left when the body is done."""
    out = rest = b""
    for number, piece in enumerate(pieces):
        given_out, rest = scanner.feed(piece)
        out += given_out
        if scanner.done:
            return out, rest + b"".join(pieces[number + 1 :])
    return out, rest


def cuts(data: bytes) -> Iterator[list[bytes]]:
    for cut in range(len(data) + 1):
        yield [data[:cut], data[cut:]]
    yield [data[here : here + 1] for here in range(len(data))]


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_chunked_body_that_could_be_read_in_two_ways_is_refused_however_it_is_cut(bad: bytes) -> None:
    samples = cuts(bad) if len(bad) < 100 else [[bad], [bad[here : here + 50] for here in range(0, len(bad), 50)]]
    for pieces in samples:
        given_out = b""
        scanner = Chunked()
        with pytest.raises(Refused):  # noqa: PT012 - what was given out before is looked at
            for piece in pieces:
                given_out += scanner.feed(piece)[0]
        assert bad.startswith(given_out)


@pytest.mark.parametrize("strip", [False, True])
def test_short_chunks_end_where_long_ones_do_however_they_are_cut(strip: bool) -> None:
    payloads = [
        bytes([number % 251]) * number for number in (*range(1, 40), *range(240, 260), 1, 1, 15, 16, 0x1A, 0xAF)
    ]
    sizes = (b"%x", b"%X", b"0%x", b"000%X", b"%x;a")
    chunks = [sizes[turn % 5] % len(one) + b"\r\n" + one + b"\r\n" for turn, one in enumerate(payloads)]
    wire = b"".join(chunks) + b"0\r\n\r\n"
    expected = b"".join(payloads) if strip else wire
    for step in (1, 7, 64, 1000, len(wire)):
        pieces = [wire[here : here + step] for here in range(0, len(wire), step)]
        assert feed(Chunked(strip=strip), pieces) == (expected, b"")
    assert feed(Chunked(strip=strip), [wire + NEXT]) == (expected, NEXT)


def test_a_short_chunk_that_is_longer_than_its_size_is_refused_in_a_run() -> None:
    for bad in (b"3\r\nabcd\r\n", b"2\r\nabc\r\n", b"1\r\n\r\n\r\n\r\n", b"1\r\na\n1\r\na\r\n"):
        with pytest.raises(Refused):
            Chunked().feed(b"1\r\na\r\n" * 3 + bad + b"0\r\n\r\n")


def test_extensions_are_bounded_over_the_whole_body() -> None:
    Chunked().feed(b"1;a\r\na\r\n" * 8000)
    with pytest.raises(Refused):
        Chunked().feed(b"1;a\r\na\r\n" * 9000)


def test_a_line_is_not_given_out_before_it_is_complete() -> None:
    scanner = Chunked()
    assert scanner.feed(b"5;a") == (b"", b"")
    assert scanner.feed(b"b\r") == (b"", b"")
    assert scanner.feed(b"\nhel") == (b"5;ab\r\nhel", b"")


def test_a_chunked_body_ends_in_the_same_place_however_it_is_cut() -> None:
    for pieces in cuts(GOOD + NEXT):
        assert feed(Chunked(), pieces) == (GOOD, NEXT)
        assert feed(Chunked(strip=True), pieces) == (b"hello!", NEXT)


def test_a_length_ends_in_the_same_place_however_it_is_cut() -> None:
    for pieces in cuts(b"hello" + NEXT):
        assert feed(Length(5), pieces) == (b"hello", NEXT)


def test_each_length_has_its_scanner() -> None:
    assert body(0) is None
    assert isinstance(body(CHUNKED), Chunked)
    until_close = body(UNTIL_CLOSE)
    assert until_close is not None
    assert until_close.feed(b"abc") == (b"abc", b"")
    assert not until_close.done


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=5), st.lists(st.integers(1, 30), max_size=30))
def test_chunks_are_read_as_h11_reads_them(chunks: list[bytes], sizes: list[int]) -> None:
    wire = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nX-A: b\r\n\r\n"
    theirs = h11.Connection(h11.SERVER)
    theirs.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + wire)
    payload = b""
    while not isinstance(event := theirs.next_event(), h11.EndOfMessage):
        payload += bytes(event.data) if isinstance(event, h11.Data) else b""
    pieces, here = [], 0
    for size in [*sizes, len(wire)]:
        pieces.append(wire[here : here + size])
        here += size
    assert feed(Chunked(strip=True), pieces) == (payload, b"")
    assert feed(Chunked(), pieces) == (wire, b"")


@given(st.text("0123456789abcdefgABC;\r\n \t\0x+-", max_size=24).map(str.encode))
def test_what_h11_refuses_in_chunks_we_refuse(wire: bytes) -> None:
    scanner = Chunked()
    try:
        scanner.feed(wire)
    except Refused:
        return
    if not scanner.done:
        return
    theirs = h11.Connection(h11.SERVER)
    theirs.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + wire)
    while not isinstance(event := theirs.next_event(), h11.EndOfMessage):
        assert event is not h11.NEED_DATA
