"""What of a directory belongs into an artifact: ignore files, links, and what is neither file nor link."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.actors.test_artifact import grow, packed
from tucano.actors.disk import artifact_tree
from tucano.actors.disk.artifact import ArtifactError, pack


def test_what_never_belongs_is_left_out_at_any_depth(tmp_path: Path) -> None:
    files = {f"{where}{name}/inner": "" for name in artifact_tree.NEVER for where in ("", "deep/er/")}
    files |= {".git-is-fine": "", "my-venv/pyvenv.cfg": "", "my-venv/bin/python": "-> /usr/bin/python", "venv/kept": ""}
    assert packed(tmp_path, files) == [".git-is-fine", "venv/kept"]


def test_a_git_file_of_a_worktree_is_left_out_too(tmp_path: Path) -> None:
    assert packed(tmp_path, {".git": "gitdir: /x", "a": ""}) == ["a"]


IGNORED = {
    "names": ("*.log\nbuild/\n", ["a.log", "d/a.log", "a.txt", "build/x", "d/build/x", "d/e/build"]),
    "anchored": ("/top\nd/only\n", ["top", "d/top", "d/only", "e/d/only", "only"]),
    "all but": ("*\n!*/\n!*.py\n!.gitignore\n", ["a.py", "a.txt", "d/a.py", "d/e/a.py", "d/e/a.txt"]),
    "contents but": ("/d/*\n!/d/keep\n", ["d/keep", "d/x", "d/y/z", "keep"]),
    "stars": ("a/**/z\n**/t\nm/**\n", ["a/z", "a/b/z", "a/b/c/z", "t", "x/t", "x/y/t", "m/n/o", "n/m"]),
    "escapes": ("\\#x\n\\!y\n# comment\n\ntrail   \nspace\\ \n", ["#x", "!y", "# comment", "trail", "space ", "space"]),
    "classes": ("[ab].c\nx?z\n*.py[co]\n", ["a.c", "b.c", "c.c", "xyz", "x/z", "m.pyc", "m.py"]),
    "last wins": ("*.c\n!k.c\nk.c\n!k.c\n", ["k.c", "a.c", "d/k.c"]),
    "directories only": ("t/\n", ["t", "d/t/x", "e/t"]),
}


@pytest.mark.parametrize(("patterns", "files"), IGNORED.values(), ids=IGNORED)
@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git itself")
def test_ignore_files_are_read_as_git_reads_them(tmp_path: Path, patterns: str, files: list[str]) -> None:
    ours = packed(tmp_path, {".gitignore": patterns, **dict.fromkeys(files, "")})
    root = tmp_path / "tree"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "-q"], cwd=root, env=env, check=True, timeout=30)
    command = ["git", "ls-files", "-z", "--others", "--exclude-standard"]
    theirs = subprocess.run(command, cwd=root, env=env, check=True, timeout=30, capture_output=True).stdout
    assert ours == sorted(theirs.decode().split("\0")[:-1])
    assert 1 < len(ours) <= len(files)


def test_a_nested_ignore_file_speaks_for_its_directory_and_overrules_those_above(tmp_path: Path) -> None:
    assert packed(
        tmp_path,
        {
            ".gitignore": "*.log\n/x\n",
            "a.log": "",
            "x": "",
            "d/.gitignore": "!keep.log\n/y\n",
            "d/a.log": "",
            "d/keep.log": "",
            "d/x": "",
            "d/y": "",
            "d/e/y": "",
            "y": "",
        },
    ) == [".gitignore", "d/.gitignore", "d/e/y", "d/keep.log", "d/x", "y"]


def test_tucanoignore_adds_to_gitignore_and_has_the_last_word(tmp_path: Path) -> None:
    files = {".gitignore": "page.html\nold\n", ".tucanoignore": "!page.html\ntests\n"}
    files |= dict.fromkeys(["page.html", "old", "tests/t", "a"], "")
    assert packed(tmp_path, files) == [".gitignore", ".tucanoignore", "a", "page.html"]


def test_an_ignored_directory_is_not_entered_so_what_is_wrong_in_it_does_not_matter(tmp_path: Path) -> None:
    assert packed(tmp_path, {".gitignore": "bad/\n", "bad/link": "-> /etc/passwd"}) == [".gitignore"]


def test_a_pattern_that_makes_no_sense_is_told_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"\.gitignore in .*tree.*'!'"):
        packed(tmp_path, {".gitignore": "!\n", "a": ""})


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "../x", "../../x", "d/../x", "d/../../x", "./../x", "d/.."])
def test_links_that_lead_out_or_might_are_refused_by_name(tmp_path: Path, target: str) -> None:
    with pytest.raises(ArtifactError, match=r"'link' is a link to '.*': only relative links"):
        packed(tmp_path, {"link": f"-> {target}", "d/x": ""})


def test_sockets_and_fifos_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = grow(tmp_path / "tree", {"a": ""})
    os.mkfifo(root / "pipe")
    with pytest.raises(ArtifactError, match="'pipe' is a socket, FIFO or device"):
        pack(root, tmp_path / "a.tar.gz")
    (root / "pipe").unlink()
    monkeypatch.chdir(root)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as door:
        door.bind("door")
        with pytest.raises(ArtifactError, match="'door' is a socket, FIFO or device"):
            pack(root, tmp_path / "a.tar.gz")


def test_too_many_files_are_refused_with_the_directories_that_hold_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact_tree, "MAX_FILES", 10)
    files = {f"data/raw/{number}": "" for number in range(9)} | {"a": ""}
    with pytest.raises(
        ArtifactError, match=r"12 files and directories, at most 10; the largest: data/raw \(9 files\), \. "
    ):
        packed(tmp_path, files)
    del files["a"], files["data/raw/0"]
    assert len(packed(tmp_path / "less", files)) == 8
