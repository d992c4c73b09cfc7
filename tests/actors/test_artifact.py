"""Packing: the same bytes of the same content, and nothing that does not belong."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tucano.actors.disk import artifact, artifact_tree
from tucano.actors.disk.artifact import ArtifactError, pack, sha256_of, unpack

Files = dict[str, str]


def grow(root: Path, files: Files) -> Path:
    """Writes a tree: name -> content, or `-> target` for a link, or `x content` for something executable."""
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content.startswith("-> "):
            path.symlink_to(content[3:])
        else:
            path.write_text(content)
            path.chmod(0o700 if content.startswith("x ") else 0o600)
    return root


def shape(root: Path) -> Files:
    """The tree that `grow` would have to be given."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_text()
            assert path.stat().st_mode & 0o7777 == (0o755 if found[name].startswith("x ") else 0o644)
    return found


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return tar.getnames()


def packed(tmp_path: Path, files: Files) -> list[str]:
    """The names in the archive of a tree."""
    pack(grow(tmp_path / "tree", files), tmp_path / "a.tar.gz")
    return names(tmp_path / "a.tar.gz")


PARTS = st.text("ab.é\udc80 -", min_size=1, max_size=4).filter(lambda part: part not in (".", ".."))
TREES = st.dictionaries(
    st.lists(PARTS, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", "x run", "text\n" * 50]),
    min_size=1,
    max_size=8,
).filter(lambda files: not any(one.startswith(f"{other}/") for one in files for other in files))


@given(TREES)
def test_what_is_packed_comes_back_and_has_the_same_hash_in_any_order_of_writing(
    tmp_path_factory: pytest.TempPathFactory, files: Files
) -> None:
    place = tmp_path_factory.mktemp("pack")
    one = pack(grow(place / "one", files), place / "1.tar.gz")
    two = pack(grow(place / "two", dict(reversed(files.items()))), place / "2.tar.gz")
    assert one == two
    assert (one.sha256, one.size) == (sha256_of(place / "1.tar.gz"), (place / "1.tar.gz").stat().st_size)
    assert one.files == len(files)
    unpack(place / "1.tar.gz", place / "out")
    assert shape(place / "out") == files
    shutil.rmtree(place)


def test_times_owners_and_the_rest_of_the_mode_change_nothing(tmp_path: Path) -> None:
    root = grow(tmp_path / "tree", {"a": "text", "b/c": "x run"})
    before = pack(root, tmp_path / "1.tar.gz")
    os.utime(root / "a", (1, 1))
    (root / "a").chmod(0o666)
    (root / "b/c").chmod(0o4711)
    (root / "empty").mkdir()
    assert pack(root, tmp_path / "2.tar.gz") == before
    with tarfile.open(tmp_path / "2.tar.gz") as tar:
        for member in tar:
            assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")


def test_content_names_and_the_executable_bit_change_the_hash(tmp_path: Path) -> None:
    trees: list[Files] = [{"a": "1"}, {"a": "2"}, {"b": "1"}, {"a": "1", "b": ""}, {"a": "-> b"}]
    roots = [grow(tmp_path / str(number), tree) for number, tree in enumerate(trees)]
    roots.append(grow(tmp_path / "x", {"a": "1"}))
    (roots[-1] / "a").chmod(0o755)
    assert len({pack(root, tmp_path / "a.tar.gz").sha256 for root in roots}) == len(roots)


def test_the_gzip_header_tells_neither_name_nor_time(tmp_path: Path) -> None:
    pack(grow(tmp_path / "tree", {"a": "1"}), tmp_path / "secret-name.tar.gz")
    assert (tmp_path / "secret-name.tar.gz").read_bytes()[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


@pytest.mark.parametrize("files", [{}, {".gitignore": "*\n"}])
def test_nothing_to_pack_is_told(tmp_path: Path, files: Files) -> None:
    with pytest.raises(ArtifactError, match=r"nothing to pack in .*tree"):
        packed(tmp_path, files)


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no directory"):
        pack(tmp_path / "nowhere", tmp_path / "a.tar.gz")


def test_the_archive_itself_is_not_packed(tmp_path: Path) -> None:
    root = grow(tmp_path / "tree", {"a": ""})
    (tmp_path / "alias").symlink_to(root)
    first = pack(root, root / "out.tar.gz")
    assert pack(tmp_path / "alias", root / "out.tar.gz") == first
    assert names(root / "out.tar.gz") == ["a"]


def test_a_file_that_is_told_otherwise_is_left_out_unless_there_is_nothing_else(tmp_path: Path) -> None:
    both, one, other = (
        pack(grow(tmp_path / name, files), tmp_path / "a.tar.gz", without="told")
        for name, files in {"both": {"a": "1", "told": "x"}, "one": {"a": "1"}, "other": {"told": "x"}}.items()
    )
    assert both == one
    assert (both.files, other.files) == (1, 1)
    assert both != other


def test_links_within_the_tree_stay_links(tmp_path: Path) -> None:
    files = {
        "d/e/f": "text",
        "d/up": "-> ../a",
        "a": "-> d/e/f",
        "dir": "-> d",
        "dangling": "-> nowhere",
    }
    pack(grow(tmp_path / "tree", files), tmp_path / "a.tar.gz")
    unpack(tmp_path / "a.tar.gz", tmp_path / "out")
    assert shape(tmp_path / "out") == files


def test_too_much_is_refused_before_and_while_packing_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = grow(tmp_path / "tree", {"a": "", "b": ""})
    (root / "a").write_bytes(os.urandom(300_000))
    monkeypatch.setattr(artifact, "MAX_PACKED", 200_000)
    with pytest.raises(ArtifactError, match=r"too large: more than .* when packed; the largest: a \(0\.3 MiB\), "):
        pack(root, tmp_path / "a.tar.gz")
    monkeypatch.setattr(artifact_tree, "MAX_UNPACKED", 200_000)
    with pytest.raises(ArtifactError, match=r"too large: 0\.3 MiB of files"):
        pack(root, tmp_path / "a.tar.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def grown(path: Path) -> None:
    path.write_text("longer than before")


def shrunk(path: Path) -> None:
    path.write_text("")


def rewritten(path: Path) -> None:
    path.write_text("TEXT")
    os.utime(path, (1, 1))


def linked(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("happens", [Path.unlink, grown, shrunk, rewritten, linked, piped])
def test_what_vanishes_or_changes_meanwhile_is_told_by_name_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, happens: Callable[[Path], None]
) -> None:
    root, look = grow(tmp_path / "tree", {"a": "", "b": "text"}), artifact_tree.entries

    def look_then(*args: object) -> list[artifact_tree.Entry]:
        found = look(*args)  # type: ignore[arg-type]
        happens(root / "b")
        return found

    monkeypatch.setattr(artifact_tree, "entries", look_then)
    with pytest.raises(ArtifactError, match=r"'b' changed while it was packed|cannot read 'b'"):
        pack(root, tmp_path / "a.tar.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_a_file_that_shrinks_in_the_middle_of_its_reading_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = grow(tmp_path / "tree", {"big": "x" * 200_000})
    read = artifact._Source.read

    def read_then(source: artifact._Source, size: int) -> bytes:
        content = read(source, size)
        os.truncate(root / "big", 20_000)
        return content

    monkeypatch.setattr(artifact._Source, "read", read_then)
    with pytest.raises(ArtifactError, match="'big' changed while it was packed"):
        pack(root, tmp_path / "a.tar.gz")


def test_no_room_for_the_archive_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(gzip.GzipFile, "write", full)
    with pytest.raises(ArtifactError, match=r"cannot write .*: No space left on device"):
        packed(tmp_path, {"a": ""})
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_a_place_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"cannot write .*: No such file or directory"):
        pack(grow(tmp_path / "tree", {"a": ""}), tmp_path / "nowhere" / "a.tar.gz")
    with pytest.raises(ArtifactError, match=r"cannot write .*: Not a directory"):
        pack(tmp_path / "tree", tmp_path / "tree" / "a" / "a.tar.gz")
