"""An artifact on its way to a worker: written as it comes, and believed only when its hash is right."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


class BadArtifact(Exception):
    """What came is not what was asked for; the text is for a person."""


class Download:
    """A file that grows; one that is there already goes on growing.

    Args:
        sha256: what it must hash to.
        size: how many bytes it must have.
        path: where it is written.

    Attributes:
        at: bytes that were there when it began.

    Raises:
        OSError: the file cannot be read.

    """

    def __init__(self, sha256: str, size: int, path: Path) -> None:
        self._sha256 = sha256
        self._path = path
        self.at = path.stat().st_size if path.exists() else 0
        if self.at > size:
            path.unlink()
            self.at = 0

    def add(self, pieces: Iterable[bytes]) -> None:
        """Append what has come.

        Raises:
            OSError: no room, for instance.

        """
        with self._path.open("ab") as file:
            file.writelines(pieces)

    def check(self) -> None:
        """Read it all again: it may have been begun by another process, or another machine's life ago.

        Raises:
            BadArtifact: it has another hash; then it is deleted.
            OSError: it cannot be read.

        """
        with self._path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self._sha256:
            self._path.unlink()
            raise BadArtifact("its artifact arrived damaged: deploy it again")
