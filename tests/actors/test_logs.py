from __future__ import annotations

from pathlib import Path

from tucano.actors.disk import logs


def test_a_large_output_gives_back_its_room_and_keeps_its_end_and_its_offsets(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    lines = b"".join(b"line %09d\n" % number for number in range(200_000))
    path.write_bytes(lines)
    limit = 256 * 1024
    assert logs.bound(path, limit)
    status = path.stat()
    assert status.st_blocks * 512 <= limit + 8192
    assert status.st_size == len(lines)
    data, following = logs.read(path, -limit, limit)
    assert data == lines[-limit:]
    assert following == len(lines)
    data, following = logs.read(path, 0, 100)  # what is gone is skipped
    assert data == lines[following - 100 : following]
    assert len(data) == 100
    with path.open("ab") as writer:
        writer.write(b"more\n")
    assert logs.read(path, len(lines), 100) == (b"more\n", len(lines) + 5)
    assert logs.tail(path).endswith("more")
    assert not logs.bound(path, limit)


def test_a_small_output_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"short\n")
    assert not logs.bound(path)
    assert not logs.bound(tmp_path / "nobody.log")
    assert logs.read(tmp_path / "nobody.log", 0, 10) == (b"", 0)
    assert logs.read(path, 99, 10) == (b"short\n", 6)
