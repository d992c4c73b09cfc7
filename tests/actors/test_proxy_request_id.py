"""Ids of requests: passed on if sane, else made; told to the instance, to the user and in our own answers."""

import json
import re
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.actors.test_proxy_kit import Stage, answers, staged
from tucano.actors.proxy.head import Heads
from tucano.actors.proxy.request_id import cut, make, taken

MADE = re.compile(rb"[0-9a-f]{28}")


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([b"GET / HTTP/1.1", b"Host: hello", *lines, b"", b""])


def exchanged(stage: Stage, *lines: bytes) -> tuple[bytes | None, bytes | None]:
    """The id that the instance saw, and the one that the user got."""
    reply = stage.ask(head(*lines))
    return stage.instances[0].heads[-1].value(b"x-request-id"), reply.head.value(b"x-request-id")


@pytest.mark.parametrize("name", [b"X-Request-Id", b"x-request-id", b"X-Request-ID", b"X-REQUEST-ID"])
def test_a_sane_id_goes_through_to_the_instance_and_back(name: bytes) -> None:
    with staged() as stage:
        stage.serve()
        assert exchanged(stage, name + b": 7f.A_~+/=-") == (b"7f.A_~+/=-", b"7f.A_~+/=-")
        assert exchanged(stage, name + b": another", b"Accept: */*") == (b"another", b"another")


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (b"X-Request-Id:",),
        (b"X-Request-Id: two words",),
        (b"X-Request-Id: " + b"a" * 129,),
        (b"X-Request-Id: caf\xe9",),
        (b'X-Request-Id: "><script>',),
        (b"X-Request-Id: one", b"X-Request-Id: two"),
        (b"X_Request_Id: one",),
    ],
)
def test_any_other_is_replaced_by_one_of_ours(lines: tuple[bytes, ...]) -> None:
    with staged() as stage:
        stage.serve()
        at_instance, at_user = exchanged(stage, *lines)
        assert at_instance is not None
        assert MADE.fullmatch(at_instance)
        assert at_user == at_instance
        assert exchanged(stage, *lines) != (at_instance, at_user)
        assert stage.instances[0].heads[-1].value(b"x_request_id") is None


def test_an_instance_that_says_an_id_of_its_own_is_passed_on() -> None:
    with staged() as stage:
        stage.serve(answers(b"HTTP/1.1 200 OK\r\nX-Request-Id: its own\r\nContent-Length: 2\r\n\r\nok"))
        for _ in range(3):
            assert exchanged(stage)[1] == b"its own"


def test_our_own_errors_say_it_in_their_head_and_json() -> None:
    with staged() as stage:
        reply = stage.ask(b"GET / HTTP/1.1\r\nHost: nobody\r\nAccept: application/json\r\nX-Request-Id: abc\r\n\r\n")
        assert (reply.head.value(b"x-request-id"), json.loads(reply.body)["request_id"]) == (b"abc", "abc")
        reply = stage.ask(b"nonsense\r\n\r\n")
        assert MADE.fullmatch(reply.head.value(b"x-request-id") or b"")


def test_ids_of_two_data_paths_never_meet() -> None:
    one, other = (list(islice(make(), 1000)) for _ in range(2))
    assert len({*one, *other}) == 2000
    assert all(MADE.fullmatch(each) for each in one)


def test_heads_that_differ_by_their_ids_alone_are_remembered_as_one() -> None:
    heads = Heads()
    requests = [head(b"X-Request-Id: %d" % number, b"Accept: */*") for number in range(4)]
    parsed = [heads.parse(request, len(request) - 4) for request in requests]
    assert [request.id for request in parsed] == [b"0", b"1", b"2", b"3"]
    assert parsed[2].fields is parsed[3].fields


LINES = st.lists(
    st.sampled_from(
        [
            b"X-Request-Id: a1",
            b"x-request-id:b",
            b"Upgrade-Insecure-Requests: 1",
            b"X-My-Request-Id: no",
            b"A: equest-Id",
        ]
    ),
    max_size=5,
)


@given(LINES)
def test_cutting_the_line_out_decides_nothing_else(lines: list[bytes]) -> None:
    block = b"".join(line + b"\r\n" for line in lines)
    rest, name = cut(block)
    ids = [line for line in lines if line.lower().startswith(b"x-request-id:")]
    assert name == (ids[0].partition(b":")[2].strip() if ids else b"")
    if ids:
        lines.remove(ids[0])
    assert rest == b"".join(line + b"\r\n" for line in lines)


def test_what_lines_of_that_name_say_together() -> None:
    assert taken(None) is None
    assert taken([b"a"]) == b"a"
    assert taken([b"a", b"b"]) == b""
    assert taken([b"a b"]) == b""
