from __future__ import annotations

from typing import get_args

import pytest

from tests.actors.builders import instance
from tucano.actors.messages.model import State
from tucano.actors.pure.instance import FOLLOWS, REPORTED, reported


@pytest.mark.parametrize("known", get_args(State))
@pytest.mark.parametrize("report", sorted(REPORTED))
def test_every_report_has_an_answer_in_every_state(known: State, report: State) -> None:
    after = reported(instance(state=known), instance(state=report, pid=7))
    assert after.state == (report if report in FOLLOWS[known] else known)
    assert after.pid == 7


def test_a_draining_instance_stays_so_though_its_worker_says_ready() -> None:
    assert reported(instance(state="draining"), instance(state="ready")).state == "draining"


def test_a_stopped_instance_does_not_come_back() -> None:
    for report in REPORTED:
        assert reported(instance(state="stopped"), instance(state=report)).state == "stopped"


def test_that_it_has_served_is_never_forgotten() -> None:
    assert reported(instance(state="ready"), instance(state="starting")).served


def test_every_state_is_known_to_the_table() -> None:
    assert set(FOLLOWS) == set(get_args(State))
