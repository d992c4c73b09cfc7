"""What a worker must remember of its instances, whatever becomes of its own process: a file for each.

The supervisor writes an instance's first record and deletes the last; in between its runner writes. Each write
replaces the file as a whole.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from tucano.actors.kernel import Refused
from tucano.actors.messages import supervisor
from tucano.actors.messages.model import Instance
from tucano.actors.proc.process import Process, is_at

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")


class Record(msgspec.Struct, frozen=True):
    """One instance.

    Attributes:
        order: as it was commanded.
        directory: where it is built, or will be.
        instance: as last reported.
        process: what runs; None if nothing does, or if it was just being started.

    """

    order: supervisor.Run
    directory: str
    instance: Instance
    process: Process | None = None

    def is_of(self, home: Path) -> bool:
        """Whether it was written in this worker's directory; one that came with a copy tells of another's processes."""
        written_here = Path(self.directory).resolve().is_relative_to(home.resolve())
        return written_here or (self.process is not None and is_at(self.process.pid, home))


class Records:
    """The records of one worker.

    Args:
        home: the worker's directory.

    """

    def __init__(self, home: Path) -> None:
        self._root = home / "instances"
        self._logs = home / "logs"
        for directory in (self._root, self._logs):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def log(self, identifier: str) -> Path:
        """The file with an instance's output."""
        return self._logs / f"{identifier}.log"

    def read(self, identifier: str) -> Record | None:
        """The record of an instance; None if there is none.

        Raises:
            msgspec.DecodeError: it is damaged.

        """
        try:
            return msgspec.json.decode(self._path(identifier).read_bytes(), type=Record)
        except FileNotFoundError:
            return None

    def write(self, record: Record, *, durable: bool = False) -> None:
        """Replace a record.

        Args:
            record: what to remember.
            durable: even through a power failure.

        Raises:
            OSError: it could not be written; the old one is still there.

        """
        path = self._path(record.order.id)
        partial = path.with_suffix(".partial")
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(record))
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)  # the instance may be placed elsewhere, and never be written here again
            raise
        if durable:
            sync_directory(self._root)

    def remove(self, identifier: str) -> None:
        """Forget an instance."""
        self._path(identifier).unlink(missing_ok=True)

    def load(self) -> tuple[list[Record], list[tuple[str, str]]]:
        """All records; damaged ones are set aside, as `ID.corrupt`, those that came with a copy of a home are removed.

        Returns:
            The records, and for each damaged one the instance's id and what is wrong.

        """
        good, bad = [], []
        for path in sorted(self._root.glob("*.json")):
            try:
                record = msgspec.json.decode(path.read_bytes(), type=Record)
                if record.order.id != path.stem or record.instance.id != path.stem:
                    raise msgspec.DecodeError(f"it is the record of {record.order.id}")
            except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
                path.replace(path.with_suffix(".corrupt"))
                bad.append((path.stem, str(error)))
            else:
                if record.is_of(self._root.parent):
                    good.append(record)
                else:
                    path.unlink()
        return good, bad

    def _path(self, identifier: str) -> Path:
        if not _ID.fullmatch(identifier):
            raise Refused("bad_id", f"no instance can be called {identifier[:100]!r}")
        return self._root / f"{identifier}.json"


def sync_directory(directory: Path) -> None:
    """Make names in a directory survive a power failure."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
