"""The controller's store of archives."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tucano.actors.disk import artifact_store
from tucano.actors.disk.artifact_store import Store
from tucano.actors.disk.artifact_tree import MAX_PACKED, ArtifactError

CONTENT = bytes(range(256)) * 40
SHA = hashlib.sha256(CONTENT).hexdigest()
OTHER = "0" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def upload(store: Store, content: bytes = CONTENT, chunk: int = 1000) -> str:
    sha = hashlib.sha256(content).hexdigest()
    at = store.begin(sha, len(content))
    while at < len(content):
        at = store.write(sha, at, content[at : at + chunk])
    store.finish(sha)
    return sha


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "store").iterdir())


def test_what_was_uploaded_can_be_read_in_parts(store: Store, tmp_path: Path) -> None:
    assert not store.has(SHA)
    assert upload(store) == SHA
    assert store.has(SHA)
    assert store.size(SHA) == len(CONTENT)
    assert files(tmp_path) == [SHA]
    assert store.read(SHA, 0, 10) == CONTENT[:10]
    assert store.read(SHA, 5000, 1 << 60) == CONTENT[5000:]
    assert store.read(SHA, len(CONTENT), 10) == b""
    assert store.read(SHA, 1 << 40, 10) == b""


def test_a_read_gives_no_more_than_a_chunk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact_store, "MAX_CHUNK", 100)
    upload(store)
    assert store.read(SHA, 50, 1 << 40) == CONTENT[50:150]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12)), max_size=40))
def test_chunks_in_any_order_and_number_end_in_the_right_content_or_none(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[tuple[int, int]]
) -> None:
    content = bytes(range(30))
    sha = hashlib.sha256(content).hexdigest()
    store, at = Store(tmp_path_factory.mktemp("store")), 0
    assert store.begin(sha, len(content)) == 0
    for offset, length in chunks:
        found = store.write(sha, offset, content[offset : offset + length])
        assert found == (at + len(content[offset : offset + length]) if offset == at else at)
        assert store.begin(sha, len(content)) == found
        at = found
    if at < len(content):
        with pytest.raises(ArtifactError, match=f"not complete: {at} of 30"):
            store.finish(sha)
        store.write(sha, at, content[at:])
    store.finish(sha)
    assert store.read(sha, 0, 100) == content


def test_two_clients_help_each_other(store: Store) -> None:
    assert store.begin(SHA, len(CONTENT)) == store.begin(SHA, len(CONTENT)) == 0
    assert store.write(SHA, 0, CONTENT[:1000]) == 1000
    assert store.write(SHA, 0, CONTENT[:700]) == 1000
    assert store.write(SHA, 1000, CONTENT[1000:]) == len(CONTENT)
    store.finish(SHA)
    store.finish(SHA)
    assert store.begin(SHA, len(CONTENT)) == len(CONTENT)


def test_a_wrong_hash_removes_the_upload_and_it_can_begin_again(store: Store, tmp_path: Path) -> None:
    store.begin(SHA, len(CONTENT))
    store.write(SHA, 0, CONTENT[:-1] + b"!")
    with pytest.raises(ArtifactError, match=r"with another hash, [0-9a-f]{64}: upload it again"):
        store.finish(SHA)
    assert files(tmp_path) == []
    assert not store.has(SHA)
    with pytest.raises(ArtifactError, match="begin it again"):
        store.write(SHA, 0, b"x")
    upload(store)


def test_more_than_was_announced_is_refused_and_not_written(store: Store) -> None:
    store.begin(SHA, 10)
    store.write(SHA, 0, b"12345678")
    with pytest.raises(ArtifactError, match="was to have 10 bytes"):
        store.write(SHA, 8, b"abc")
    assert store.begin(SHA, 10) == 8


def test_who_announced_a_wrong_size_does_not_lock_out_the_others(store: Store) -> None:
    store.begin(SHA, 5)
    store.write(SHA, 0, b"wrong")
    upload(store)
    assert store.read(SHA, 0, 5) == CONTENT[:5]


@pytest.mark.parametrize("size", [0, -1, MAX_PACKED + 1])
def test_impossible_sizes_are_refused(store: Store, size: int) -> None:
    with pytest.raises(ArtifactError, match="an artifact has 1 to"):
        store.begin(SHA, size)


@pytest.mark.parametrize(
    "sha", ["", "..", "../" + "0" * 61, "/etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n", "0" * 65]
)
def test_what_is_no_hash_never_becomes_a_path(store: Store, sha: str) -> None:
    for call in (
        lambda: store.has(sha), lambda: store.size(sha), lambda: store.begin(sha, 1), lambda: store.write(sha, 0, b"x"),
        lambda: store.finish(sha), lambda: store.read(sha, 0, 1),
    ):  # fmt: skip
        with pytest.raises(ArtifactError, match="not a SHA-256"):
            call()


def test_what_is_not_here_or_not_complete_cannot_be_read(store: Store) -> None:
    store.begin(SHA, 10)
    store.write(SHA, 0, b"123")
    assert not store.has(SHA)
    for missing in (SHA, OTHER):
        with pytest.raises(ArtifactError, match=f"cannot read {missing}.*No such file"):
            store.read(missing, 0, 1)
        with pytest.raises(ArtifactError, match=f"cannot find {missing}"):
            store.size(missing)
    with pytest.raises(ArtifactError, match="no such part"):
        store.read(SHA, -1, 1)
    with pytest.raises(ArtifactError, match="no such part"):
        store.read(SHA, 0, -1)


def test_a_new_store_keeps_what_is_complete_and_removes_what_is_not(store: Store, tmp_path: Path) -> None:
    upload(store)
    store.begin(OTHER, 10)
    store.write(OTHER, 0, b"123")
    assert files(tmp_path) == sorted([SHA, f"{OTHER}.partial"])
    again = Store(tmp_path / "store")
    assert files(tmp_path) == [SHA]
    assert again.begin(OTHER, 10) == 0
    assert again.read(SHA, 0, len(CONTENT)) == CONTENT


def test_collect_deletes_what_nobody_needs_but_no_upload_and_no_stranger(store: Store, tmp_path: Path) -> None:
    needed, idle = upload(store, b"needed"), sorted([upload(store, b"1"), upload(store, b"2")])
    store.begin(OTHER, 10)
    store.write(OTHER, 0, b"123")
    (tmp_path / "store" / "README").touch()
    assert store.collect({needed, "f" * 64}) == idle
    assert files(tmp_path) == sorted([needed, f"{OTHER}.partial", "README"])
    assert store.write(OTHER, 3, b"4") == 4


def test_uploads_that_nobody_goes_on_with_make_room_for_new_ones(store: Store, tmp_path: Path) -> None:
    shas = [f"{number:064x}" for number in range(artifact_store.MAX_UPLOADS + 1)]
    for sha in shas[:-1]:
        store.begin(sha, 10)
        store.write(sha, 0, b"1")
    store.write(shas[0], 1, b"2")  # so the second is now the idlest
    store.begin(shas[-1], 10)
    assert len(files(tmp_path)) == artifact_store.MAX_UPLOADS - 1
    assert store.begin(shas[0], 10) == 2
    with pytest.raises(ArtifactError, match="begin it again"):
        store.write(shas[1], 1, b"2")


def test_a_disk_that_fails_at_the_end_is_told_and_leaves_nothing_half_done(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.begin(SHA, len(CONTENT))
    store.write(SHA, 0, CONTENT)

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(ArtifactError, match=r"cannot write to the artifact store .*: Input/output error"):
            store.finish(SHA)
    assert files(tmp_path) == []
    upload(store)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_the_error_of_a_real_full_device_is_understood(store: Store, tmp_path: Path) -> None:
    store.begin(SHA, len(CONTENT))
    store.write(SHA, 0, CONTENT[:1])
    (tmp_path / "store" / f"{SHA}.partial").unlink()
    (tmp_path / "store" / f"{SHA}.partial").symlink_to("/dev/full")
    with pytest.raises(ArtifactError, match="No space left on device: free some space and try again"):
        store.write(SHA, 1, CONTENT[1:])
    assert files(tmp_path) == []


def test_a_store_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match=r"cannot use the artifact store .*: "):
        Store(tmp_path / "file" / "store")
    with pytest.raises(ArtifactError, match=r"cannot use the artifact store .*: "):
        Store(tmp_path / "file")


def test_a_partial_that_somebody_deleted_ends_the_upload_not_the_store(store: Store, tmp_path: Path) -> None:
    store.begin(SHA, len(CONTENT))
    store.write(SHA, 0, CONTENT[:100])
    (tmp_path / "store" / f"{SHA}.partial").unlink()
    with pytest.raises(ArtifactError, match="No such file"):
        store.write(SHA, 100, CONTENT[100:])
    assert upload(store) == SHA


def test_a_finished_archive_is_durable_file_first_then_its_name(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def note_sync(descriptor: int) -> None:
        steps.append("sync " + Path(f"/proc/self/fd/{descriptor}").readlink().name.removeprefix(SHA))
        sync(descriptor)

    def note_replace(path: Path, target: Any) -> Path:
        steps.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_replace)
    upload(store)
    assert steps == ["sync .partial", "rename", "sync store"]
