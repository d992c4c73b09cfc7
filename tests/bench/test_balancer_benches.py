"""That the benchmarks of the balancer run: short, so that what takes time means nothing."""

from __future__ import annotations

import shutil

import pytest

from tests.bench import balancer, churn, failures


def test_users_see_no_instance_die() -> None:
    calls = failures._play("GET", failures._killed, 1.0)
    assert calls.answered > 100
    assert not calls.failed


def test_churn_gives_no_wrong_answer() -> None:
    rows = churn.run(seconds=4)
    assert all(row.tucano == 0 for row in rows if row.unit in ("answers", "failed") and row.against)
    assert all(row.tucano > 0 for row in rows if row.unit in ("instances", "MiB", "ms"))


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_the_balancer_is_measured() -> None:
    rows = balancer.run(rounds=1, seconds=1, loads=balancer.LOADS[:1], names=("Tucano",))
    assert rows
    assert all(row.tucano > 0 for row in rows)
