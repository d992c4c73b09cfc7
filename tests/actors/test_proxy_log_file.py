"""The access log's file: rotated by whoever likes, bounded, and no reason to wait when the disk is slow or full."""

import logging
import os
import threading
from pathlib import Path

import pytest

from tests.actors.test_proxy_kit import until
from tucano.actors.proxy.log_file import LogFile

LINE = b"a line of some length, as lines are\n"


def test_batches_are_written_whole_and_in_order(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "log")
    for number in range(100):
        file.write(b"%d\n" % number)
    file.close()
    assert (tmp_path / "log").read_bytes().split() == [b"%d" % number for number in range(100)]


def test_a_file_that_is_moved_away_is_followed_by_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "log"
    file = LogFile(path)
    file.write(b"one\n")
    until(lambda: path.read_bytes() == b"one\n")
    path.rename(tmp_path / "log.1")
    file.write(b"two\n")
    until(lambda: path.exists() and path.read_bytes() == b"two\n")
    path.unlink()
    file.write(b"three\n")
    file.close()
    assert ((tmp_path / "log.1").read_bytes(), path.read_bytes()) == (b"one\n", b"three\n")


def test_a_log_is_bounded_on_the_disk(tmp_path: Path) -> None:
    path, kept = tmp_path / "log", 256 * 1024
    file = LogFile(path, kept=kept)
    batch = LINE * 1000
    for _ in range(100):
        file.write(batch)
    file.close()
    assert path.read_bytes().endswith(LINE)
    assert path.stat().st_blocks * 512 <= 2 * kept + 2 * len(batch) + kept
    assert file.lost == 0


def test_a_full_disk_loses_lines_counts_them_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    file = LogFile(Path("/dev/full"))
    for _ in range(3):
        file.write(LINE * 2)
    file.close()
    assert file.lost == 6
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "No space left" in caplog.text


def test_a_disk_that_has_room_again_is_written_to_and_no_line_is_torn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "log"
    file = LogFile(path)
    path.unlink()
    path.symlink_to("/dev/full")  # followed as any other file that took its place
    file.write(LINE * 5)
    until(lambda: file.lost == 5)
    path.unlink()
    file.write(LINE)
    file.close()
    assert path.read_bytes() == LINE
    assert "5 lines are missing" in caplog.text


def test_a_disk_that_does_not_take_anything_bounds_what_waits(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    file = LogFile(path, waiting=1 << 20)
    try:
        for _ in range(400):  # 4 MiB: more than the pipe takes (64 KiB), and than may wait
            file.write(b"x" * 10_239 + b"\n")
        assert file.lost > 200
    finally:
        os.set_blocking(reader, True)
        drain = threading.Thread(target=_read_all, args=(reader,))
        drain.start()
        file.close()
        drain.join()
        os.close(reader)
    assert file.lost < 400


def _read_all(descriptor: int) -> None:
    while os.read(descriptor, 1 << 16):
        pass


def test_a_path_that_cannot_be_opened_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LogFile(tmp_path / "absent" / "log")
