"""What the house promises of itself."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP = {"pyproject.toml", "tucano", "actors", "transport", "tests", "README.md", "LICENSE", "CHANGELOG.md", "examples"}


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return listed.stdout.split()


def modules() -> set[str]:
    """Import names of all modules in the tree."""
    found = set()
    for wing, prefix in (("tucano", ""), ("actors", "tucano/"), ("transport", "tucano/")):
        for path in (ROOT / wing).rglob("*.py"):
            relative = path.relative_to(ROOT).as_posix()
            if not relative.startswith(("tucano/actors/", "tucano/transport/", "tucano/samples/")):
                found.add(prefix + relative)
    return found


def test_nothing_lies_at_the_top_that_the_design_does_not_name() -> None:
    assert {path.partition("/")[0] for path in tracked() if not path.startswith(".")} <= TOP


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy: setuptools builds in the tree, and would take up what an older build left
    leave_out = shutil.ignore_patterns("build", "*.egg-info", ".*", "tests")
    shutil.copytree(ROOT, source, symlinks=True, ignore=leave_out)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(source)],
        check=True, capture_output=True, timeout=170,
    )  # fmt: skip
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_every_module_and_no_other_name(wheel: set[str]) -> None:
    code = {name for name in wheel if name.endswith(".py") and "/samples/" not in name}
    assert code == modules()
    assert {name.partition("/")[0] for name in wheel} == {
        "tucano",
        *(n.partition("/")[0] for n in wheel if ".dist-" in n),
    }


def test_the_wheel_holds_the_sample_service_and_says_that_it_is_typed(wheel: set[str]) -> None:
    assert {"tucano/samples/hello/tucano.toml", "tucano/samples/hello/app.py", "tucano/py.typed"} <= wheel


@pytest.mark.parametrize("wing", ["actors", "transport"])
def test_a_wing_refuses_its_bare_name(wing: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", f"import {wing}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 1
    assert f"import this package as 'tucano.{wing}'" in found.stderr


def test_importing_tucano_costs_nothing() -> None:
    script = "import sys, tucano; print([m for m in ('zmq', 'pykka', 'typer', 'rich', 'uvloop') if m in sys.modules])"
    printed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert printed.strip() == "[]"


def test_ci_runs_the_readmes_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    script = (ROOT / ".ci" / "run").read_text()
    for command in ("-m pytest", "-m tests.house.check", "pip install"):
        assert command in script
    assert "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest" in readme
    assert "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/tucano demo" in readme


def test_only_the_kernel_knows_pykka_and_only_nodes_know_sockets() -> None:
    for path in (ROOT / "actors").rglob("*.py"):
        text = path.read_text()
        if "kernel" not in path.parts:
            assert not re.search(r"^\s*(import|from) pykka", text, re.MULTILINE), path
        assert not re.search(r"^\s*(import zmq|from zmq|from tucano\.transport\.zmq_)", text, re.MULTILINE), path
    for path in (ROOT / "transport").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) (pykka|tucano\.actors)", path.read_text(), re.MULTILINE), path


def test_components_never_import_each_other() -> None:
    components = ["gateway", "deployer", "worker_mgr", "discovery", "balancer", "notifier", "collector", "scheduler",
                  "builder", "supervisor"]  # fmt: skip
    for name in components:
        text = (ROOT / "actors" / f"{name}.py").read_text()
        imported = set(
            re.findall(r"^from tucano\.actors\.(\w+) import|^from tucano\.actors import (\w+)", text, re.MULTILINE)
        )
        assert not {part for pair in imported for part in pair} & set(components), name
