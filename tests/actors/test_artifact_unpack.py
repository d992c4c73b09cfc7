"""Unpacking: archives of friends, of enemies, and broken ones."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tucano.actors.disk import artifact
from tucano.actors.disk.artifact import ArtifactError, unpack

FILE, DIR, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def member(
    name: str, kind: bytes = FILE, target: str = "", content: bytes = b"", mode: int = 0o644
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode = kind, target, len(content), mode
    return info, content


Members = list[tuple[tarfile.TarInfo, bytes]]


def tar_of(members: Iterable[tuple[tarfile.TarInfo, bytes]], format_: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format_) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def written(place: Path, tar: bytes) -> Path:
    (place / "a.tar.gz").write_bytes(gzip.compress(tar, 1))
    return place / "a.tar.gz"


def refused(place: Path, tar: bytes) -> str:
    """Why an archive is refused; nothing may be left of it, here or anywhere near."""
    archive = written(place, tar)
    before = sorted(place.iterdir())
    with pytest.raises(ArtifactError) as caught:
        unpack(archive, place / "out")
    assert sorted(place.iterdir()) == before
    return str(caught.value)


HOSTILE: dict[str, tuple[Members, str]] = {
    "absolute": ([member("/tmp/evil")], "not a plain path"),
    "parent": ([member("../evil")], "not a plain path"),
    "parent inside": ([member("a/../../evil")], "not a plain path"),
    "harmless parent": ([member("a/../b")], "not a plain path"),
    "dot inside": ([member("a/./b")], "not a plain path"),
    "double slash": ([member("a//b")], "not a plain path"),
    "only dots": ([member("..", DIR)], "not a plain path"),
    "nameless file": ([member("")], "not a plain path"),
    "link absolute": ([member("l", LINK, "/etc/passwd")], "may lead out"),
    "link parent": ([member("l", LINK, "../x")], "may lead out"),
    "link to parent of deep": ([member("a/b/l", LINK, "../../../x")], "may lead out"),
    "link empty": ([member("l", LINK, "")], "may lead out"),
    "link climbs through link": ([member("d/l", LINK, ".."), member("m", LINK, "d/l/..")], "may lead out"),
    "link too long": ([member("l", LINK, "x/" * 600 + "y")], "may lead out"),
    "through a link": ([member("l", LINK, "."), member("l/x")], "below 'l', which is no directory"),
    "through a link, deep": ([member("d/l", LINK, ".."), member("d/l/a/x")], "below 'd/l', which is no directory"),
    "below a file": ([member("f"), member("f/x")], "below 'f', which is no directory"),
    "link over directory": ([member("d/x"), member("d", LINK, ".")], "twice"),
    "file over link": ([member("l", LINK, "x"), member("l")], "twice"),
    "file over directory": ([member("d/x"), member("d")], "twice"),
    "directory over file": ([member("d"), member("d", DIR)], "twice"),
    "twice": ([member("f"), member("f")], "twice"),
    "twice in other words": ([member("f"), member("./f")], "twice"),
    "hard link": ([member("f"), member("h", HARD, "f")], "neither file"),
    "hard link out": ([member("h", HARD, "/etc/passwd")], "neither file"),
    "device": ([member("dev", tarfile.CHRTYPE)], "neither file"),
    "block device": ([member("dev", tarfile.BLKTYPE)], "neither file"),
    "fifo": ([member("pipe", tarfile.FIFOTYPE)], "neither file"),
    "unknown kind": ([member("odd", b"Z")], "neither file"),
    "long part": ([member("x" * 256)], "too long a name"),
    "long name": ([member("/".join(["x" * 200] * 6))], "too long a name"),
}


@pytest.mark.parametrize(("members", "why"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_members_are_refused_and_nothing_is_left(tmp_path: Path, members: Members, why: str) -> None:
    assert why in refused(tmp_path, tar_of([member("good", content=b"x"), *members]))


@pytest.mark.parametrize("format_", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_archives_of_other_tools_are_welcome(tmp_path: Path, format_: int) -> None:
    long = "d/" + "n" * 90 + "/x"
    tree = [
        member(".", DIR),
        member("./d", DIR),
        member("d/", DIR),
        member(f"./{long}", content=b"1"),
        member("l", LINK, "d"),
    ]
    unpack(written(tmp_path, tar_of(tree, format_)), tmp_path / "out")
    assert (tmp_path / "out" / long).read_bytes() == b"1"
    assert (tmp_path / "out" / "l").readlink() == Path("d")


def test_no_special_bits_owners_or_times_are_taken_over(tmp_path: Path) -> None:
    before = time.time() - 5
    unpack(
        written(tmp_path, tar_of([member("s", mode=0o7777), member("t", mode=0), member("d", DIR, mode=0)])),
        tmp_path / "out",
    )
    found = {path.name: path.stat() for path in (tmp_path / "out").iterdir()}
    assert found["s"].st_mode & 0o7777 == 0o755
    assert found["t"].st_mode & 0o7777 == 0o600
    assert found["d"].st_mode & 0o6700 == 0o700
    assert all(item.st_mtime >= before and item.st_uid == os.geteuid() for item in found.values())
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755


def test_an_empty_directory_may_be_there_and_nothing_else(tmp_path: Path) -> None:
    archive = written(tmp_path, tar_of([member("x")]))
    (tmp_path / "empty").mkdir()
    unpack(archive, tmp_path / "empty")
    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["x"]
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for taken in ("empty", "file", "link"):
        with pytest.raises(ArtifactError, match="is there already"):
            unpack(archive, tmp_path / taken)
    with pytest.raises(ArtifactError, match="No such file or directory"):
        unpack(archive, tmp_path / "no" / "where")
    with pytest.raises(ArtifactError, match="No such file or directory"):
        unpack(tmp_path / "no.tar.gz", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz", "empty", "file", "link"]


def test_too_many_members_are_refused_even_if_they_are_one_directory_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact, "MAX_FILES", 20)
    for members in (
        [member(f"f{number}") for number in range(21)],
        [member("d", DIR)] * 21,
        [member(".", DIR)] * 21,
        [member("/".join("abcdefghijk"[:10]) + f"/{number}/x") for number in range(10)],
    ):
        assert "more than 20 files and directories" in refused(tmp_path, tar_of(members))
    unpack(written(tmp_path, tar_of([member(f"f{number}") for number in range(20)])), tmp_path / "out")


def test_a_bomb_is_refused_by_what_it_claims_before_a_byte_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact, "MAX_UNPACKED", 100_000)
    assert "or 0.1 MiB" in refused(tmp_path, tar_of([member(f"f{n}", content=bytes(30_000)) for n in range(4)]))
    info, _ = member("huge")
    info.size = 1 << 40
    assert "or 0.1 MiB" in refused(tmp_path, info.tobuf() + bytes(1024))


def test_a_stream_of_headers_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "_MAX_STREAM", 1 << 20)
    tail = tar_of([member("x")]) + bytes(4 << 20)
    assert "more than it may hold" in refused(tmp_path, tail)


def test_an_extended_header_that_claims_a_gigabyte_is_not_read_into_memory(tmp_path: Path) -> None:
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
        info = tarfile.TarInfo("h")
        info.type, info.size = kind, 1 << 30
        assert "more than it may hold" in refused(tmp_path, info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 16))


def with_pax(info: tarfile.TarInfo, **headers: str) -> bytes:
    info.pax_headers = headers
    return info.tobuf(tarfile.PAX_FORMAT)


def test_a_negative_size_does_not_turn_the_reader_round_and_round(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.size = -(1 << 20)
    assert refused(tmp_path, info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 16))
    assert refused(tmp_path, with_pax(tarfile.TarInfo("x"), size="-512") + bytes(1 << 16))


def test_headers_upon_headers_are_refused(tmp_path: Path) -> None:
    one = with_pax(tarfile.TarInfo("x"), comment="y")[:1024]  # the extended header without what it extends
    assert "damaged" in refused(tmp_path, one * 5000 + bytes(1024))


def test_sparse_files_are_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("sparse")
    info.size = 512
    tar = with_pax(info, **{"GNU.sparse.map": "0,1", "GNU.sparse.size": "9000", "GNU.sparse.name": "s"})
    assert "'s' is neither file" in refused(tmp_path, tar + bytes(1536))


GOOD = tar_of([member("a", content=b"1" * 700), member("d/b", content=b"2" * 5000)])


def test_an_archive_that_is_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(GOOD)
    for length in (0, 1, 9, 10, len(whole) // 2, len(whole) - 9, len(whole) - 4, len(whole) - 1):
        (tmp_path / "cut.tar.gz").write_bytes(whole[:length])
        with pytest.raises(ArtifactError):
            unpack(tmp_path / "cut.tar.gz", tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == ["cut.tar.gz"]
    end = len(GOOD.rstrip(b"\0"))
    for length in (0, 1, 511, 512, 600, 1535, 1536, end):
        refused(tmp_path, GOOD[:length])


def test_nonsense_for_a_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    second = 512 + 1024
    assert "damaged" in refused(tmp_path, GOOD[:second] + b"\xff" * 512 + bytes(10240))


def test_what_follows_the_end_is_refused(tmp_path: Path) -> None:
    assert "something follows" in refused(tmp_path, GOOD + GOOD)


def test_a_wrong_checksum_at_the_very_end_is_noticed(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(GOOD))
    whole[-8] ^= 1
    (tmp_path / "a.tar.gz").write_bytes(whole)
    with pytest.raises(ArtifactError, match=r"damaged: CRC check failed"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_no_change_of_bytes_makes_anything_but_a_tree_or_an_artifact_error(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    tar = bytearray(GOOD)
    for where, byte in changes:
        tar[where] = byte
    place = tmp_path_factory.mktemp("fuzz")
    archive = written(place, bytes(tar))
    try:
        unpack(archive, place / "out")
    except ArtifactError:
        assert [path.name for path in place.iterdir()] == ["a.tar.gz"]
    else:
        assert sorted(path.name for path in place.iterdir()) == ["a.tar.gz", "out"]


NAMES = st.lists(st.sampled_from(["a", "b", "..", ".", "l"]), min_size=1, max_size=4).map("/".join)
MEMBERS = st.builds(member, NAMES, st.sampled_from([FILE, DIR, LINK, LINK, HARD]), NAMES, st.just(b"x"))


@given(st.lists(MEMBERS, min_size=1, max_size=6))
def test_nothing_ever_lands_or_leads_outside(tmp_path_factory: pytest.TempPathFactory, members: Members) -> None:
    place = tmp_path_factory.mktemp("in") / "deep" / "er"
    place.mkdir(parents=True)
    for info, _ in members:
        info.size = 1 if info.isreg() else 0
    archive = written(place, tar_of(members))
    try:
        unpack(archive, place / "out")
    except ArtifactError:
        assert [path.name for path in place.iterdir()] == ["a.tar.gz"]
        return
    assert sorted(path.name for path in place.iterdir()) == ["a.tar.gz", "out"]
    assert [path.name for path in place.parent.iterdir()] == ["er"]
    out = os.path.realpath(place / "out")
    for path in (place / "out").rglob("*"):
        assert (os.path.realpath(path) + "/").startswith(out + "/")
