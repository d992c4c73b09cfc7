"""The README's programs do what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.helpers import eventually
from tucano.local import local_cluster
from tucano.render.sequence import sequence

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


def arrows(diagram: str) -> set[tuple[str, ...]]:
    """Who says what to whom, without the instance's own name."""
    names = dict(re.findall(r"(?:participant|actor) (p\d+) as (\S+)", diagram))
    found = re.findall(r"^\s*(p\d+)(-->>|->>)[+-]?(p\d+): (\S+)", diagram, re.MULTILINE)
    return {(plain(names[one]), arrow, plain(names[other]), what) for one, arrow, other, what in found}


def plain(name: str) -> str:
    return re.sub(r"runner\..*", "runner", name)


def test_the_deployment_of_the_readme_is_what_a_deployment_is() -> None:
    drawn = re.search(r"```mermaid\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert drawn is not None
    with local_cluster(1) as cluster:
        cluster.deploy(ROOT / "examples" / "hello", replicas=1)
        trace = cluster.client.traces()[-1].trace
        eventually(
            lambda: arrows(sequence(cluster.client.trace(trace))) == arrows(drawn[1]), "the diagram of the README"
        )
