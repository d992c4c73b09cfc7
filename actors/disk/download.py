"""An artifact on its way to a worker: written chunk by chunk, and believed only when its hash is right."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any


class BadArtifact(Exception):
    """What came is not what was asked for; the text is for a person."""


class Download:
    """A file that grows.

    Args:
        sha256: what it must hash to.
        size: how many bytes it must have.
        path: where it is written; nothing is there yet.

    Attributes:
        offset: bytes so far.

    """

    def __init__(self, sha256: str, size: int, path: Path) -> None:
        self.offset = 0
        self._sha256 = sha256
        self._size = size
        self._path = path
        self._digest = hashlib.sha256()

    def add(self, chunk: Any) -> bool:
        """Append what the controller answered.

        Returns:
            Whether it is complete, and right.

        Raises:
            BadArtifact: it is no chunk of this artifact, or the whole has another hash.
            OSError: no room, for instance.

        """
        if not isinstance(chunk, bytes) or not chunk or self.offset + len(chunk) > self._size:
            raise BadArtifact("the controller sent something that is not its artifact: deploy it again")
        with self._path.open("ab") as file:
            file.write(chunk)
        self._digest.update(chunk)
        self.offset += len(chunk)
        if self.offset < self._size:
            return False
        if self._digest.hexdigest() != self._sha256:
            raise BadArtifact("its artifact arrived damaged: deploy it again")
        return True
