"""That the benchmark of the bridge runs: small, so that its figures mean nothing."""

from __future__ import annotations

from tests.bench import bridge
from tests.bench.test_kernel_benches import sane


def test_the_bridge_is_measured_against_the_yardstick() -> None:
    rows = bridge.run(rounds=1, messages=2_000, mib=2, names=("ours", "raw pyzmq"))
    assert [row.target for row in rows if row.against == "raw pyzmq"] == [1.0, 1.0, 1.5]
    assert sane([row for row in rows if row.theirs is not None or not row.against])
    assert next(row for row in rows if "seemed silent" in row.what).tucano == 0
