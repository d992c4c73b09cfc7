"""The README's programs do what it says."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

from tests.helpers import eventually
from tucano.local import local_cluster
from tucano.render.sequence import sequence

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text().partition("## Actors of your own")[2].partition("\n## ")[0]
FILES = {found[2]: found[1] for found in re.finditer(r"```python\n(# ([a-z_]+\.py).*?)```", SECTION, re.DOTALL)}


def test_the_two_programs_of_the_readme_count_together(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    for name, text in FILES.items():
        (tmp_path / name).write_text(text.replace("4711", port))
    command = [sys.executable, "right.py"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdin=pipe, stdout=pipe, text=True) as right:
        assert right.stdout is not None
        assert right.stdout.readline() == "<Ref right/counter> listens\n"
        done = subprocess.run(
            [sys.executable, "left.py"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.stdout, done.stderr) == ("42\n", "")
        right.communicate("\n", timeout=60)
    assert right.returncode == 0


def test_the_simulation_of_the_readme_passes(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [*command, "test_counting.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120,
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
