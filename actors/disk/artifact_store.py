"""The controller's artifacts: a directory of archives, each named by its hash.

An archive comes in chunks, in order, into `HASH.partial`; when it is complete and its hash is right it is renamed to
`HASH`, so that what bears a hash has that content. An upload that broke off goes on where it stopped; two clients that
upload the same archive help each other.

Not for several threads at once: it belongs to one actor. Nothing here takes long: the hash is computed chunk by chunk.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Collection
from pathlib import Path

from tucano.actors.disk.artifact_tree import MAX_PACKED, ArtifactError, mib

MAX_CHUNK = 4 << 20
"""Bytes that one `read` gives at most."""

MAX_UPLOADS = 32
"""Uploads under way; one more takes the place of the one that has been idle for longest."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Upload:
    """An archive that is not complete yet."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.at = 0  # bytes written: the offset that is expected next
        self.hash = hashlib.sha256()


class Store:
    """A directory of archives.

    Args:
        root: where; it is made if it does not exist. Uploads that a predecessor left unfinished are removed.

    Raises:
        ArtifactError: the directory cannot be used.

    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._uploads: dict[str, _Upload] = {}  # the longest idle first
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for partial in root.glob("*.partial"):
                partial.unlink()
        except OSError as error:
            raise self._failed("use", error) from error

    def has(self, sha: str) -> bool:
        """Whether the archive is here, complete."""
        return self._path(sha).is_file()

    def size(self, sha: str) -> int:
        """Bytes of a complete archive.

        Raises:
            ArtifactError: it is not here.

        """
        try:
            return self._path(sha).stat().st_size
        except OSError as error:
            raise self._failed(f"find {sha} in", error) from error

    def begin(self, sha: str, size: int) -> int:
        """Begin an upload, or go on with it.

        Args:
            sha: the hash that the archive claims to have.
            size: its bytes.

        Returns:
            The offset of the chunk that is expected next; `size` when the archive is here already.

        Raises:
            ArtifactError: no such hash or size.

        """
        if not 0 < size <= MAX_PACKED:
            raise ArtifactError(f"an artifact has 1 to {MAX_PACKED} bytes ({mib(MAX_PACKED)}), not {size}")
        if self.has(sha):
            return size
        if sha in self._uploads and self._uploads[sha].size != size:
            self._drop(sha)  # one of the two is wrong, and the later must not be locked out by the earlier
        if sha not in self._uploads:
            while len(self._uploads) >= MAX_UPLOADS:
                self._drop(next(iter(self._uploads)))
            self._uploads[sha] = _Upload(size)
        return self._uploads[sha].at

    def write(self, sha: str, offset: int, chunk: bytes) -> int:
        """Add the chunk that begins at `offset`, if it is the next.

        Returns:
            The offset that is expected next. If `offset` was another than expected nothing is written, and this tells
            where to go on.

        Raises:
            ArtifactError: the upload was not begun, or is forgotten; the chunk is too long; the disk is full, in which
                case the whole upload is removed.

        """
        upload = self._begun(sha)
        if offset != upload.at:
            return upload.at
        if upload.at + len(chunk) > upload.size:
            raise ArtifactError(f"the artifact {sha} was to have {upload.size} bytes: this is more")
        try:
            # Not appended but put where it belongs: whatever a broken write left behind is overwritten.
            with self._partial(sha).open("r+b" if upload.at else "wb") as file:
                file.seek(upload.at)
                file.write(chunk)
        except OSError as error:
            self._drop(sha)
            raise self._failed("write to", error) from error
        upload.hash.update(chunk)
        upload.at += len(chunk)
        self._uploads[sha] = self._uploads.pop(sha)  # now the least idle
        return upload.at

    def finish(self, sha: str) -> None:
        """Take a complete upload into the store: afterwards it is here, whatever happens to the machine.

        Raises:
            ArtifactError: chunks are missing (the upload can go on); the hash is wrong or the disk fails (the upload is
                removed).

        """
        if sha not in self._uploads and self.has(sha):
            return  # said twice, by one client or two
        upload = self._begun(sha)
        if upload.at < upload.size:
            raise ArtifactError(f"the artifact {sha} is not complete: {upload.at} of {upload.size} bytes are here")
        if upload.hash.hexdigest() != sha:
            self._drop(sha)
            raise ArtifactError(
                f"the artifact {sha} arrived with another hash, {upload.hash.hexdigest()}: upload it again"
            )
        try:
            with self._partial(sha).open("rb") as file:
                os.fsync(file.fileno())
            self._partial(sha).replace(self._path(sha))
            self._sync_root()
        except OSError as error:
            self._drop(sha)
            raise self._failed("write to", error) from error
        del self._uploads[sha]

    def read(self, sha: str, offset: int, length: int) -> bytes:
        """Bytes of a complete archive from `offset` on: at most `length` and `MAX_CHUNK`; none at its end.

        Raises:
            ArtifactError: it is not here, or cannot be read; a negative number.

        """
        if offset < 0 or length < 0:
            raise ArtifactError(f"no such part of an artifact: {length} bytes from {offset}")
        try:
            with self._path(sha).open("rb") as file:
                file.seek(offset)
                return file.read(min(length, MAX_CHUNK))
        except (OSError, OverflowError) as error:
            raise self._failed(f"read {sha} from", error) from error

    def collect(self, keep: Collection[str]) -> list[str]:
        """Delete all complete archives but those to keep; uploads under way stay.

        Returns:
            The hashes of what was deleted.

        Raises:
            ArtifactError: something could not be deleted.

        """
        try:
            gone = sorted(path.name for path in self._root.iterdir() if _SHA256.fullmatch(path.name))
            gone = [sha for sha in gone if sha not in keep]
            for sha in gone:
                self._path(sha).unlink()
        except OSError as error:
            raise self._failed("clear", error) from error
        return gone

    def _path(self, sha: str) -> Path:
        """Where a complete archive lies; a hash from the wire must not lead elsewhere."""
        if not _SHA256.fullmatch(sha):
            raise ArtifactError(f"not a SHA-256 in hexadecimal: {sha[:80]!r}")
        return self._root / sha

    def _partial(self, sha: str) -> Path:
        path = self._path(sha)
        return path.with_name(f"{path.name}.partial")

    def _begun(self, sha: str) -> _Upload:
        self._path(sha)
        if sha not in self._uploads:
            raise ArtifactError(f"no upload of the artifact {sha} is under way: begin it again")
        return self._uploads[sha]

    def _drop(self, sha: str) -> None:
        """Forget an upload, with all that is on the disk."""
        del self._uploads[sha]
        self._partial(sha).unlink(missing_ok=True)

    def _sync_root(self) -> None:
        """Make the renaming as durable as the file."""
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _failed(self, what: str, error: Exception) -> ArtifactError:
        """An error of the disk, for a person."""
        reason = error.strerror if isinstance(error, OSError) else error
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason = f"{reason}: free some space and try again"
        return ArtifactError(f"cannot {what} the artifact store {self._root}: {reason}")
