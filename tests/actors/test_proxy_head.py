"""Request and answer heads: what is refused, what is sent on, and that h11 never reads it another way."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tucano.actors.proxy.answer import Answers, parse_answer
from tucano.actors.proxy.head import CHUNKED, UNTIL_CLOSE, Heads, Request
from tucano.actors.proxy.memo import Memo
from tucano.actors.proxy.rules import Refused, check_partial

FORWARDED = b'Forwarded: host="hello";'  # `Client.forwarded` goes on with it


def parse(head: bytes) -> Request:
    return Heads().parse(head, head.index(b"\r\n\r\n"))


def get(*lines: bytes, version: bytes = b"1.1", host: bytes = b"Host: hello\r\n") -> bytes:
    return b"GET / HTTP/" + version + b"\r\n" + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


# What two parsers could read differently, and what is no HTTP at all.
SMUGGLING = {
    "length and chunked": get(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "chunked and length": get(b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "two lengths": get(b"Content-Length: 5", b"Content-Length: 6"),
    "the same length twice": get(b"Content-Length: 5", b"content-length: 5"),
    "a list of lengths": get(b"Content-Length: 5, 5"),
    "a signed length": get(b"Content-Length: +5"),
    "a negative length": get(b"Content-Length: -5"),
    "a length in hex": get(b"Content-Length: 0x5"),
    "a length with an underscore": get(b"Content-Length: 1_0"),
    "an empty length": get(b"Content-Length: "),
    "a length too long": get(b"Content-Length: " + b"1" * 19),
    "a length in other digits": get("Content-Length: \uff15".encode()),
    "two codings": get(b"Transfer-Encoding: gzip, chunked"),
    "chunked twice": get(b"Transfer-Encoding: chunked, chunked"),
    "chunked on two lines": get(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "identity": get(b"Transfer-Encoding: identity"),
    "an unknown coding": get(b"Transfer-Encoding: xchunked"),
    "a quoted coding": get(b'Transfer-Encoding: "chunked"'),
    "a coding with a parameter": get(b"Transfer-Encoding: chunked;q=1"),
    "a coding with a vertical tab": get(b"Transfer-Encoding: \x0bchunked"),
    "an empty coding": get(b"Transfer-Encoding:"),
    "chunked in HTTP/1.0": get(b"Transfer-Encoding: chunked", version=b"1.0"),
    "a space before the colon": get(b"Transfer-Encoding : chunked"),
    "a tab before the colon": get(b"Content-Length\t: 5"),
    "a folded line": get(b"X: a", b" b"),
    "a folded coding": get(b"Transfer-Encoding:", b" chunked"),
    "a folded first line": get(b"X: a", host=b" Host: hello\r\n"),
    "a bare LF": get(b"X: a\nY: b"),
    "a bare LF behind the request line": b"GET / HTTP/1.1\nHost: hello\r\n\r\n",
    "a bare CR": get(b"X: a\rY: b"),
    "CR CR LF": get(b"X: a\r"),
    "a NUL": get(b"X: a\0b"),
    "a control character": get(b"X: a\x01"),
    "a delete character": get(b"X: a\x7f"),
    "an empty name": get(b": a"),
    "no colon": get(b"abc"),
    "a name with a space": get(b"a b: c"),
    "a name with a bracket": get(b"a(b): c"),
    "a name beyond ASCII": get("né: c".encode()),
    "no Host": get(host=b""),
    "two Hosts": get(b"Host: hello"),
    "an empty Host": get(host=b"Host: \r\n"),
    "a Host with a path": get(host=b"Host: hello/x\r\n"),
    "a Host with a user": get(host=b"Host: a@hello\r\n"),
    "a Host with a list": get(host=b"Host: hello, other\r\n"),
    "a Host with an odd port": get(host=b"Host: hello:80x\r\n"),
    "a Host with a space": get(host=b"Host: hel lo\r\n"),
    "no version": b"GET /\r\nHost: hello\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\nHost: hello\r\n\r\n",
    "a space behind": b"GET / HTTP/1.1 \r\nHost: hello\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: hello\r\n\r\n",
    "a tab for a space": b"GET\t/ HTTP/1.1\r\nHost: hello\r\n\r\n",
    "a target beyond ASCII": "GET /é HTTP/1.1\r\nHost: hello\r\n\r\n".encode(),
    "a fragment": b"GET /#a HTTP/1.1\r\nHost: hello\r\n\r\n",
    "a target without a slash": b"GET a HTTP/1.1\r\nHost: hello\r\n\r\n",
    "an asterisk for GET": b"GET * HTTP/1.1\r\nHost: hello\r\n\r\n",
    "a method that is no token": b"G(T / HTTP/1.1\r\nHost: hello\r\n\r\n",
    "a lower-case http": b"GET / http/1.1\r\nHost: hello\r\n\r\n",
    "another host in the target": b"GET http://other/ HTTP/1.1\r\nHost: hello\r\n\r\n",
    "a user in the target": b"GET http://a@hello/ HTTP/1.1\r\nHost: hello\r\n\r\n",
    "another scheme": b"GET https://hello/ HTTP/1.1\r\nHost: hello\r\n\r\n",
}


@pytest.mark.parametrize("head", SMUGGLING.values(), ids=SMUGGLING.keys())
def test_what_could_be_read_in_two_ways_is_refused(head: bytes) -> None:
    with pytest.raises(Refused) as refused:
        parse(head)
    assert refused.value.status == 400
    assert refused.value.why


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"a" * 8200 + b" HTTP/1.1\r\nHost: hello\r\n\r\n", 414),
        (get(b"X: " + b"a" * 33000), 431),
        (get(*[b"X: a"] * 100), 431),
        (get(version=b"2.0"), 505),
        (get(version=b"1.2"), 505),
        (get(version=b"0.9"), 505),
        (b"CONNECT hello:80 HTTP/1.1\r\nHost: hello\r\n\r\n", 501),
    ],
)
def test_each_limit_has_its_status(head: bytes, status: int) -> None:
    with pytest.raises(Refused) as refused:
        parse(head)
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"a" * 8193, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 33000, 431),
        (b"GET / HTTP/1.1\nHost: hello\n\n", 400),
        (b"GET / HTTP/1.1\rHost", 400),
        (b"\x16\x03\x01\x02\x00", 400),
        (b"\r\n", 400),
    ],
)
def test_a_beginning_that_nothing_can_mend_is_refused_at_once(data: bytes, status: int) -> None:
    with pytest.raises(Refused) as refused:
        check_partial(data)
    assert refused.value.status == status


def test_every_beginning_of_a_good_head_is_waited_for() -> None:
    head = get(b"X: a")
    for cut in range(1, len(head)):
        check_partial(head[:cut])
    check_partial(b"\r")  # of an empty line, which is ignored


def test_a_beginning_is_refused_at_the_byte_that_breaks_it() -> None:
    for good, bad in ((b"GET / HTTP/1.1", b"\n"), (b"GET / HTTP/1.1\r", b"H"), (b"GET / HTTP/1.1\r\nA: ", b"\0")):
        for end in range(1, len(good) + 1):
            check_partial(good[:end], end - 1)
        with pytest.raises(Refused):
            check_partial(good + bad, len(good))


@pytest.mark.parametrize(
    ("host", "service"),
    [
        (b"hello", "hello"),
        (b"HELLO", "hello"),
        (b"hello:8080", "hello"),
        (b"Hello.any.domain:8080", "hello"),
        (b"hello.", "hello"),
        (b"number-fact.localhost", "number-fact"),
        (b"127.0.0.1:80", "127"),
    ],
)
def test_the_first_label_of_the_host_names_the_service(host: bytes, service: str) -> None:
    assert parse(get(host=b"Host: %b\r\n" % host)).fields.service == service


def test_lines_of_one_hop_are_not_sent_on() -> None:
    fields = parse(
        get(
            b"Connection: close, X-Mine",
            b"X-Mine: 1",
            b"Keep-Alive: 5",
            b"Proxy-Authorization: secret",
            b"Proxy: http://evil",
            b"TE: gzip, trailers",
            b"Upgrade: websocket",
            b"X-Forwarded-For: 1.2.3.4",
            b"X_Forwarded_For: 1.2.3.4",
            b"X.Forwarded.For: 1.2.3.4",
            b"X-Forwarded-Port: 443",
            b"X-Real-IP: 1.2.3.4",
            b"Transfer_Encoding: chunked",
            b"X-Forwarded-Host: evil",
            b"X-Forwarded-Proto: https",
            b"Forwarded: for=1.2.3.4",
            b"X-Theirs:  two  words \t",
        )
    ).fields
    assert fields.lines == (
        b"Host: hello\r\nX-Forwarded-Host: hello\r\nX-Theirs: two  words\r\nConnection: TE\r\nTE: trailers\r\n"
        + FORWARDED
    )
    assert not fields.keep_alive
    assert not fields.upgrade


def test_connection_cannot_take_away_what_frames_or_routes() -> None:
    fields = parse(get(b"Connection: host, content-length, x-forwarded-host", b"Content-Length: 5")).fields
    assert fields.lines == (b"Host: hello\r\nX-Forwarded-Host: hello\r\nContent-Length: 5\r\n" + FORWARDED)


def test_an_upgrade_is_asked_for_only_when_it_may_be() -> None:
    asked = (b"Connection: Upgrade", b"Upgrade: websocket")
    assert parse(get(*asked)).fields.upgrade
    assert parse(get(*asked)).fields.lines.endswith(b"Upgrade: websocket\r\n" + FORWARDED)
    assert not parse(get(*asked, version=b"1.0")).fields.upgrade
    assert not parse(get(*asked, b"Content-Length: 5")).fields.upgrade
    for other in (b"h2c", b"websocket, H2C", b"h2c-14", b"HTTP/2.0"):
        assert not parse(get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + other)).fields.upgrade


@pytest.mark.parametrize(
    ("line", "onward"),
    [
        (b"GET /a?b HTTP/1.1", b"GET /a?b HTTP/1.1"),
        (b"GET /a HTTP/1.0", b"GET /a HTTP/1.1"),
        (b"GET http://hello/a HTTP/1.1", b"GET /a HTTP/1.1"),
        (b"GET HTTP://HELLO HTTP/1.1", b"GET / HTTP/1.1"),
        (b"GET http://hello?a HTTP/1.1", b"GET /?a HTTP/1.1"),
        (b"OPTIONS * HTTP/1.1", b"OPTIONS * HTTP/1.1"),
        (b"OPTIONS http://hello HTTP/1.1", b"OPTIONS * HTTP/1.1"),
        (b"OPTIONS http://hello/ HTTP/1.1", b"OPTIONS / HTTP/1.1"),
        (b"GET //other/a HTTP/1.1", b"GET //other/a HTTP/1.1"),
    ],
)
def test_targets_go_on_in_origin_form(line: bytes, onward: bytes) -> None:
    request = parse(line + b"\r\nHost: hello\r\n\r\n")
    assert (request.line, request.onward) == (line, onward)


def test_a_head_that_came_before_is_remembered_and_one_that_differs_is_read_anew() -> None:
    heads = Heads()
    first = get(b"X: a")
    heads.parse(first, len(first) - 4)  # what comes once is not remembered
    request = heads.parse(first, len(first) - 4)
    fields = request.fields
    assert heads.parse(first + b"GET / HTT", len(first) - 4) is request
    elsewhere = heads.parse(first.replace(b"/", b"/x", 1), len(first) - 3)
    assert (elsewhere.fields, elsewhere.onward) == (fields, b"GET /x HTTP/1.1")
    other = get(b"X: b")
    assert heads.parse(other, len(other) - 4).fields.lines != fields.lines
    old = get(b"X: a", version=b"1.0")
    assert not heads.parse(old, len(old) - 4).fields.keep_alive


def test_the_memo_is_bounded_and_keeps_what_is_asked_for() -> None:
    memo: Memo[int] = Memo(4, longest=8)
    memo.put(b"kept", 1)
    assert memo.get(b"kept") is None
    memo.put(b"kept", 1)
    for number in range(1000):
        memo.put(b"%d" % number, number)
        memo.put(b"%d" % number, number)
        assert memo.get(b"kept") == 1
        assert len(memo) <= 8
    memo.put(b"much too long", 1)
    memo.put(b"much too long", 1)
    assert memo.get(b"much too long") is None


# --- h11 as the oracle -----------------------------------------------------------------------------------------------

_names = st.sampled_from(
    [b"Content-Length", b"Transfer-Encoding", b"Connection", b"X-A", b"Host", b"TE", b"Expect", b"A b"]
)
_values = st.one_of(
    st.sampled_from([b"5", b"chunked", b"close", b"keep-alive", b"hello", b"", b"5,5", b"x, chunked", b"100-continue"]),
    st.binary(max_size=6),
)
_separators = st.sampled_from([b": ", b":", b" :", b":\t ", b" "])
_lines = st.lists(st.builds(lambda *parts: b"".join(parts), _names, _separators, _values), max_size=5)
_first = st.one_of(
    st.sampled_from([b"GET / HTTP/1.1", b"POST /a?b=c HTTP/1.1", b"GET / HTTP/1.0", b"GET http://hello/ HTTP/1.1"]),
    st.binary(max_size=12).map(lambda target: b"GET /" + target + b" HTTP/1.1"),
)


@given(_first, _lines)
def test_what_h11_refuses_we_refuse_and_what_we_send_on_h11_reads_the_same_way(
    first: bytes, lines: list[bytes]
) -> None:
    head = b"\r\n".join([first, b"Host: hello", *lines]) + b"\r\n\r\n"
    try:
        request = Heads().parse(head, head.index(b"\r\n\r\n"))
    except Refused:
        return  # stricter than h11 is fine
    theirs = h11.Connection(h11.SERVER)
    theirs.receive_data(head)
    event = theirs.next_event()  # raises what would fail this test
    assert isinstance(event, h11.Request)
    assert event.method == request.method

    behind = h11.Connection(h11.SERVER)
    behind.receive_data(request.onward + b"\r\n" + request.fields.lines + b"for=a\r\n\r\n")
    onward = behind.next_event()
    assert isinstance(onward, h11.Request)
    assert onward.http_version == b"1.1"
    for name in (b"content-length", b"transfer-encoding", b"host"):
        assert [v.lower() for n, v in onward.headers if n == name] == [v.lower() for n, v in event.headers if n == name]
    plain = {(n, v) for n, v in onward.headers if n == b"x-a"}
    assert plain <= set(event.headers)
    length = request.fields.length
    expected = [b"chunked"] if length == CHUNKED else []
    assert [v for n, v in onward.headers if n == b"transfer-encoding"] == expected


@given(st.binary(max_size=60))
def test_no_bytes_can_make_the_parser_fail_otherwise_than_by_refusing(noise: bytes) -> None:
    for head in (noise + b"\r\n\r\n", b"GET / HTTP/1.1\r\n" + noise + b"\r\n\r\n"):
        try:
            parse(head)
        except Refused:
            continue


# --- answers ---------------------------------------------------------------------------------------------------------


def answer(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([status, *lines]) + b"\r\n\r\n"


def test_an_answer_names_the_protocols_that_it_wants_instead() -> None:
    asked = answer(b"Upgrade: websocket", b"Content-Length: 0", status=b"HTTP/1.1 426 Upgrade Required")
    assert b"\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" in parse_answer(asked, b"", http10=False).head
    offered = answer(b"Upgrade: h2c", b"Content-Length: 0")
    assert b"Upgrade" not in parse_answer(offered, b"", http10=False).head


def test_an_answer_says_its_instance_and_keeps_its_lines() -> None:
    read = Answers("hello-1").parse(
        answer(b"Content-Length: 5", b"Connection: X-Mine", b"X-Mine: 1", b"Keep-Alive: 5", b"X-Tucano-Instance: evil"),
        http10=False,
    )
    assert read.head == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Tucano-Instance: hello-1\r\nX-Request-Id: "
    assert (read.status, read.length, read.keep_alive) == (200, 5, True)


@pytest.mark.parametrize(
    ("head", "length", "keep_alive"),
    [
        (answer(b"Transfer-Encoding: chunked"), CHUNKED, True),
        (answer(), UNTIL_CLOSE, True),
        (answer(b"Content-Length: 0", b"Connection: close"), 0, False),
        (answer(b"Content-Length: 0", status=b"HTTP/1.0 200 OK"), 0, False),
        (answer(b"Content-Length: 0", b"Connection: keep-alive", status=b"HTTP/1.0 200 OK"), 0, True),
        (answer(status=b"HTTP/1.1 204 No Content"), 0, True),
        (answer(b"Content-Length: 5", status=b"HTTP/1.1 204 No Content"), 0, True),
        (answer(b"Content-Length: 7", status=b"HTTP/1.1 304"), 7, True),
    ],
)
def test_an_answer_is_framed_as_it_says(head: bytes, length: int, keep_alive: bool) -> None:
    read = parse_answer(head, b"", http10=False)
    assert (read.length, read.keep_alive) == (length, keep_alive)


@pytest.mark.parametrize(
    "head",
    [
        answer(status=b"HTTP/2 200 OK"),
        answer(status=b"HTTP/1.1 20 OK"),
        answer(status=b"HTTP/1.1 2000 OK"),
        answer(status=b"HTTP/1.1 600 OK"),
        answer(status=b"HTTP/1.1  200 OK"),
        answer(status=b"HTTP/1.1 200 O\0K"),
        answer(status=b"nonsense"),
        answer(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        answer(b"Content-Length: 5", b"Content-Length: 5"),
        answer(b"Content-Length: five"),
        answer(b"Transfer-Encoding: gzip"),
        answer(b"Transfer-Encoding: chunked", status=b"HTTP/1.0 200 OK"),
        answer(b"X: a\nSet-Cookie: b"),
        answer(b" folded"),
        answer(b"X : a"),
    ],
)
def test_an_answer_that_is_nonsense_is_refused(head: bytes) -> None:
    with pytest.raises(Refused):
        parse_answer(head, b"", http10=False)


_answer_names = st.sampled_from([b"Content-Length", b"Transfer-Encoding", b"Connection", b"X-A", b"Date", b"a b"])
_answer_lines = st.lists(st.builds(lambda *parts: b"".join(parts), _answer_names, _separators, _values), max_size=4)
_statuses = st.one_of(
    st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 204 None", b"HTTP/1.1 404", b"HTTP/1.1 304 "]),
    st.binary(max_size=6).map(lambda reason: b"HTTP/1.1 200 " + reason),
)


@given(_statuses, _answer_lines)
def test_an_answer_that_h11_refuses_we_refuse_and_what_we_send_on_it_frames_the_same_way(
    first: bytes, lines: list[bytes]
) -> None:
    head = b"\r\n".join([first, *lines]) + b"\r\n\r\n"
    try:
        ours = parse_answer(head, b"", http10=False)
    except Refused:
        return  # stricter than h11 is fine

    def read(data: bytes) -> h11.Response:
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
        client.send(h11.EndOfMessage())
        client.receive_data(data)
        event = client.next_event()  # raises what would fail this test
        assert isinstance(event, h11.Response)
        return event

    theirs, onward = read(head), read(ours.head + b"an-id\r\n\r\n")
    assert theirs.status_code == onward.status_code == ours.status
    if ours.status != 204:
        for name in (b"content-length", b"transfer-encoding"):
            values = [value.lower() for key, value in theirs.headers if key == name]
            assert [value.lower() for key, value in onward.headers if key == name] == values
