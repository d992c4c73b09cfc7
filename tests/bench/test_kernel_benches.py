"""That the benchmarks of the kernel run: small, so that their figures mean nothing."""

from __future__ import annotations

import math

from tests.bench import kernel_growth, kernel_messages
from tests.bench.__main__ import as_text
from tests.bench.table import Row


def sane(rows: list[Row]) -> bool:
    return all(math.isfinite(row.tucano) and row.tucano >= 0 for row in rows) and all(
        row.what in as_text(rows) for row in rows
    )


def test_messages_are_measured() -> None:
    rows = kernel_messages.run(rounds=1, messages=2_000)
    assert [row.against for row in rows].count("stock Pykka") == 3
    assert sane(rows)


def test_a_stop_overtakes_all_that_waits() -> None:
    (handled_first,) = (row for row in kernel_messages.run(rounds=1, messages=2_000) if "before that stop" in row.what)
    assert handled_first.tucano == 0


def test_growth_is_measured() -> None:
    rows = kernel_growth.run(rounds=1, watches=(10, 20), timers=(10, 20), made=100)
    assert [row.target for row in rows if row.against] == [2.0, 2.0, 3.0, 3.0]
    assert sane(rows)
