"""`tucano demo`, from a terminal's point of view: it holds, says so, and leaves nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.tucano.cluster_kit import assert_nothing_runs_in

DEMO = [sys.executable, "-c", "import sys; sys.argv = ['tucano', 'demo']; from tucano.cli import main; main()"]


def test_the_demo_holds_all_that_it_promises_and_leaves_nothing(tmp_path: Path) -> None:
    env = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(DEMO, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "\033" not in done.stdout
    for said in (
        "controller, balancer, worker-1, worker-2 are up",
        "ready",
        "balanced over 3 instances",
        "all replicas ready again",
        "none failed",
        "no process and no file left",
        "tucano deploy DIR",
    ):
        assert said in done.stdout
    sent = re.search(r"(\d+) requests were sent meanwhile, 0 failed", done.stdout)
    assert sent
    assert int(sent[1]) > 200
    assert list(tmp_path.iterdir()) == []
    assert_nothing_runs_in(tmp_path)
