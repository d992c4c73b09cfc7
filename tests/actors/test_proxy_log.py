"""The access log: no injected lines, nothing lost, reopened."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tucano.actors.proxy.log import AccessLog, escaped

LINE = re.compile(rb'127\.0\.0\.1 - - \[01/Jan/1970:00:00:05 \+0000\] "([^"]*)" 200 3 "-" "-" hello-1 1\.5\n')


def write(log: AccessLog, request: bytes = b"GET / HTTP/1.1") -> None:
    log.line(b"127.0.0.1", request, 200, 3, b'"-" "-"', b"hello-1", 0.0015)


def test_a_line_says_who_asked_what_and_who_answered(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "log", lambda: 5.0)
    write(log)
    log.close()
    assert LINE.fullmatch((tmp_path / "log").read_bytes())


@given(st.binary(max_size=50))
def test_nothing_can_be_injected(value: bytes) -> None:
    safe = escaped(value)
    assert re.fullmatch(rb"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\x[0-9a-f]{2})*", safe)
    assert safe.decode("unicode_escape").encode("latin-1") == value


def test_a_request_line_is_escaped(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "log", lambda: 5.0)
    write(log, b'GET /"\n HTTP/1.1')
    log.close()
    match = LINE.fullmatch((tmp_path / "log").read_bytes())
    assert match
    assert match[1] == rb"GET /\x22\x0a HTTP/1.1"


def test_lines_wait_for_the_timer_or_for_64_kib(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "log", lambda: 5.0)
    write(log)
    assert (tmp_path / "log").stat().st_size == 0
    log.flush()
    assert (tmp_path / "log").stat().st_size > 0
    for _ in range(1000):
        write(log)
    assert (tmp_path / "log").stat().st_size > 60_000
    log.close()
    assert len((tmp_path / "log").read_bytes().splitlines()) == 1001


def test_after_rotation_lines_go_to_the_new_file(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "log", lambda: 5.0)
    write(log)
    (tmp_path / "log").rename(tmp_path / "old")
    write(log)
    log.reopen()
    write(log)
    log.close()
    assert len((tmp_path / "old").read_bytes().splitlines()) == 2
    assert len((tmp_path / "log").read_bytes().splitlines()) == 1


def test_a_full_disk_is_counted_and_stops_nothing() -> None:
    log = AccessLog(Path("/dev/full"), lambda: 5.0)
    write(log)
    log.flush()
    assert log.lost == 1
    write(log)
    log.close()
    assert log.lost == 2


def test_a_path_that_cannot_be_opened_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        AccessLog(tmp_path / "absent" / "log", lambda: 5.0)


def test_without_a_path_nothing_is_written() -> None:
    log = AccessLog(None, lambda: 5.0)
    write(log)
    log.close()
