"""That the soak runs: small and short, so that only what must always hold is looked at."""

from __future__ import annotations

from tests.bench import soak


def test_actors_that_crash_at_random_leave_no_thread_and_no_ask_open() -> None:
    rows = {row.what: row for row in soak.run(seconds=0.3, trees=2, patience=0.5)}
    assert rows["crashes"].tucano > 0
    assert rows["asks answered"].tucano > 0
    for what in ("asks that came back in one of these ways", "threads after the first run", "threads after the second"):
        assert rows[what].met, rows[what]
