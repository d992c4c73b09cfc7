from __future__ import annotations

import logging

import pytest

from tucano.transport.repeats import KINDS, Repeats


def test_what_happens_a_million_times_is_said_twenty_times(caplog: pytest.LogCaptureFixture) -> None:
    repeats = Repeats(logging.getLogger("tucano.transport"))
    with caplog.at_level(logging.WARNING, "tucano.transport"):
        for _ in range(1_000_000):
            repeats.warn("frame", "refused")
    assert len(caplog.messages) == 20
    assert caplog.messages[:2] == ["refused", "refused (2 times such)"]


def test_reasons_that_strangers_make_up_are_counted_together(caplog: pytest.LogCaptureFixture) -> None:
    repeats = Repeats(logging.getLogger("tucano.transport"))
    with caplog.at_level(logging.WARNING, "tucano.transport"):
        for number in range(100_000):
            repeats.warn(str(number), f"refused {number}")
    assert KINDS < len(caplog.messages) < KINDS + 20
