"""Nearly right requests and answers, a few thousand of the same seeds; `python -m tests.outside.fuzz` runs millions."""

import re

import pytest

from tests.outside import oracles
from tests.outside.differential import Differs
from tests.outside.fuzz import pure, sockets
from tests.outside.oracles import Unread
from tucano.actors.proxy import framing, head

INNER = b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n"
TWO = b"POST / HTTP/1.1\r\nHost: hello\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n" % len(INNER) + INNER


@pytest.mark.parametrize("seed", range(4))
def test_what_other_parsers_refuse_we_refuse_and_what_we_send_on_all_read_alike(seed: int) -> None:
    count = pure(4_000, seed)
    assert count.requests > 1_000
    assert count.answers > 1_000


@pytest.mark.parametrize("seed", range(2))
def test_what_comes_out_of_the_proxy_is_what_its_parsers_say(seed: int) -> None:
    sockets(500, seed)


def test_the_readers_can_tell_what_must_not_pass() -> None:
    assert len(oracles.lenient_requests(TWO, "chunked")) == 2
    assert len(oracles.lenient_requests(TWO, "length")) == 1
    for reader in (oracles.h11_request, oracles.llhttp_request):
        with pytest.raises(Unread):
            reader(b"GET / HTTP/1.1\r\nHost: hello\r\nA : b\r\n\r\n")


@pytest.mark.parametrize(
    ("module", "name", "pattern"),
    [
        (head, "BLOCK", rb"(?:[!-9;-~]++ ?:[\t\x20-\x7e\x80-\xff]*+\r\n)*+"),
        (head, "BLOCK", rb"(?:[!-9;-~]++:[^\r\n]*+\r\n)*+"),
        (head, "BLOCK", rb"(?:[!-9;-~]++:[^\r]*+\r\n)*+"),
        (head, "LENGTH", rb"\+?[0-9]{1,18}"),
        (framing, "_SIZE", rb"(?:0x)?([0-9A-Fa-f]{1,15})"),
        (framing, "_SIZE", rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e]*+)?"),
    ],
    ids=["a space before a colon", "control characters", "a bare LF", "a signed length", "0x", "loose extensions"],
)
def test_a_rule_that_is_too_lenient_is_found_out(
    module: object, name: str, pattern: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, re.compile(pattern))
    with pytest.raises(Differs):
        pure(8_000, 1)
