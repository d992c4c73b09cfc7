"""The README's programs do what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text().partition("## Actors of your own")[2].partition("\n## ")[0]
PROGRAM, TEST = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)


def test_the_actor_of_the_readme_counts() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("42\n", "")


def test_the_simulation_of_the_readme_passes(tmp_path: Path) -> None:
    needs = "from tucano.actors.kernel import Down\n"
    (tmp_path / "test_it.py").write_text(needs + PROGRAM.partition("with tucano")[0] + TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [*command, str(tmp_path / "test_it.py")], cwd=tmp_path, capture_output=True, text=True, timeout=120,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, check=False,
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout
