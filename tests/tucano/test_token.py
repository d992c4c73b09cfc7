"""Tokens: whole ones are read, others are told apart, and none is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tucano.token import PREFIX, BadToken, Token, parse

TOKEN = Token(
    "edge", "node", "0123456789abcdef", "tcp://192.0.2.1:7", "tcp://192.0.2.1:8", "c" * 40, "p" * 40, "S3CRET--" * 5
)
TEXT = TOKEN.text()


def test_a_token_is_one_line_and_says_all() -> None:
    assert parse(TEXT) == TOKEN
    assert len(TEXT.split()) == 1


def test_white_space_of_a_terminal_does_not_matter() -> None:
    assert parse(f"  {TEXT[:80]}\n   {TEXT[80:]}\r\n") == TOKEN


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"), (" \n", "empty"), ("hello", "no token"), (TEXT[1:], "no token"),
        (PREFIX, "cut"), (TEXT[:40], "cut"), (TEXT[:-1], "cut"), (TEXT[:-9], "cut"),
        (TEXT[:30] + "x" + TEXT[30:], "damaged"), (TEXT + "0", "damaged"), (TEXT[:20] + TEXT[21:], "damaged"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_without_showing_it(text: str, why: str) -> None:
    with pytest.raises(BadToken, match=why) as caught:
        parse(text)
    assert TEXT[20:40] not in str(caught.value)


@given(st.integers(0, len(TEXT) - 1), st.characters(categories=["L", "N", "P"]))
def test_one_wrong_character_is_always_noticed(at: int, character: str) -> None:
    changed = TEXT[:at] + character + TEXT[at + 1 :]
    if changed != TEXT:
        with pytest.raises(BadToken):
            parse(changed)


@given(st.text())
def test_no_text_does_more_than_be_refused(text: str) -> None:
    for given_ in (text, PREFIX + text):
        with pytest.raises(BadToken):
            parse(given_)


def test_a_token_does_not_show_its_secret() -> None:
    assert "S3CRET" not in f"{TOKEN} {TOKEN!r} {[TOKEN]}"
