"""Artifacts: a directory as one content-addressed file, and back.

`pack` makes the same bytes of the same content: names sorted, times and owners zero, modes 0644 or 0755, only files and
links (like git: a directory is there because something is in it). Another build of zlib may compress to other bytes;
that costs one upload more and nothing else.

`unpack` trusts nobody: an archive may come from anyone who may deploy. It allows less than `tarfile`'s "data" filter,
which stands behind it as the second wall: files, directories, and links that stay within; each name once; nothing
through a link; everything bounded.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import IO, BinaryIO, cast

import msgspec

from tucano.actors.disk import artifact_tree as tree
from tucano.actors.disk.artifact_tree import MAX_FILES, MAX_PACKED, MAX_UNPACKED, ArtifactError
from tucano.actors.messages import model

__all__ = ["MAX_FILES", "MAX_PACKED", "MAX_UNPACKED", "Artifact", "ArtifactError", "pack", "sha256_of", "unpack"]

_MAX_HEADER = 64 << 10  # bytes; tarfile reads an extended header in one piece, as long as the archive says it is
_MAX_STREAM = MAX_UNPACKED + MAX_FILES * 4096  # bytes of tar: the files and, for each, generous headers


class Artifact(msgspec.Struct, frozen=True):
    """What `pack` made.

    Attributes:
        sha256: of the archive, in hexadecimal: its address.
        size: of the archive, in bytes.
        files: how many files and links are in it.

    """

    sha256: model.Sha256
    size: int
    files: int


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: it cannot be read.

    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pack(directory: Path, target: Path, *, without: str = "") -> Artifact:
    """Pack a directory into the archive `target`, which appears only when it is complete.

    Left out is what the ignore files say, as git reads them (but here a pattern with `!` brings back a file even from
    an ignored directory, and ignore files above `directory` are not read), and what `artifact_tree.NEVER` names.

    Args:
        directory: what to pack.
        target: where to.
        without: name of a file in it that is left out, too, unless there is nothing else.

    Raises:
        ArtifactError: nothing to pack, or too much; something that is neither file nor link; a link that leads out; a
            file that cannot be read or changed meanwhile; no room for the archive.

    """
    if not directory.is_dir():
        raise ArtifactError(f"no directory {directory}")
    partial = target.with_name(f"{target.name}.partial")
    root = directory.resolve()
    found = tree.entries(root, {target.resolve(), partial.resolve()})
    entries = [entry for entry in found if entry.name != without] or found
    try:
        try:
            with partial.open("wb") as raw:
                _write(raw, entries)
                size = raw.tell()
            artifact = Artifact(sha256_of(partial), size, len(entries))
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise ArtifactError(f"cannot write {target}: {error.strerror or error}") from error
    return artifact


def unpack(archive: Path, into: Path) -> None:
    """Unpack an archive; `into` appears, complete, or nothing does.

    Times are those of unpacking: build tools take offence at files from 1970.

    Args:
        archive: what `pack` made, or somebody else.
        into: a directory that does not exist, in one that does, or that is empty.

    Raises:
        ArtifactError: the archive is damaged, hostile or too large; `into` is taken; no room.

    """
    try:
        if into.is_symlink() or (into.exists() and not (into.is_dir() and not any(into.iterdir()))):
            raise ArtifactError(f"{into} is there already: unpacked is only into an empty place")
        place = Path(tempfile.mkdtemp(prefix=f".{into.name}-", dir=into.parent))
        try:
            place.chmod(0o755)  # services may run as another user
            with gzip.open(archive) as packed:
                _extract(_Bounded(packed), place)
            place.replace(into)
        except BaseException:
            shutil.rmtree(place)
            raise
    # What a damaged or hostile archive makes zlib, gzip and tarfile raise: ValueError for a number or a header's text,
    # RecursionError for headers upon headers. Any other OSError is the disk's.
    except (tarfile.TarError, zlib.error, EOFError, ValueError, RecursionError, gzip.BadGzipFile) as error:
        raise ArtifactError(f"{archive} is damaged: {error}") from error
    except OSError as error:
        raise ArtifactError(f"cannot unpack {archive} into {into}: {error.strerror or error}") from error


# Packing


def _write(raw: BinaryIO, entries: list[tree.Entry]) -> None:
    """The archive of all entries."""
    # Neither name nor time stands in the gzip header: nothing but the content decides.
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for entry in entries:
            _add(tar, entry)
            _check_packed(raw, entries)
    _check_packed(raw, entries)


def _check_packed(raw: BinaryIO, entries: list[tree.Entry]) -> None:
    """Stop as soon as the archive is too large."""
    if raw.tell() > MAX_PACKED:
        raise tree.too_large(entries, f"more than {tree.mib(MAX_PACKED)} when packed")


def _add(tar: tarfile.TarFile, entry: tree.Entry) -> None:
    """Put one entry into the archive, as it was seen."""
    member = tarfile.TarInfo(entry.name)  # time, owner and group are zero and nameless
    if stat.S_ISLNK(entry.seen.st_mode):
        with tree.readable(entry.name):
            member.type, member.mode, member.linkname = tarfile.SYMTYPE, 0o777, str(entry.path.readlink())
        if not tree.stays(entry.name, member.linkname):
            raise tree.changed(entry.name)
        tar.addfile(member)
        return
    member.size = entry.seen.st_size
    member.mode = 0o755 if entry.seen.st_mode & stat.S_IXUSR else 0o644
    with tree.readable(entry.name):
        # What has become a link meanwhile is not followed, what has become a FIFO is not waited for.
        descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        source = _Source(file, entry)
        source.check()
        tar.addfile(member, cast("IO[bytes]", source))
        source.check()


class _Source:
    """A file that is packed: whole and unchanged, or an `ArtifactError` that names it."""

    def __init__(self, file: BinaryIO, entry: tree.Entry) -> None:
        self._file = file
        self._entry = entry

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes: tarfile asks for no more than it was told there are."""
        with tree.readable(self._entry.name):
            content = self._file.read(size)
        if len(content) < size:
            raise tree.changed(self._entry.name)
        return content

    def check(self) -> None:
        """Compare the file with what the walk saw."""
        now, seen = os.fstat(self._file.fileno()), self._entry.seen
        for field in ("st_dev", "st_ino", "st_mode", "st_size", "st_mtime_ns"):
            if getattr(now, field) != getattr(seen, field):
                raise tree.changed(self._entry.name)


# Unpacking


class _Bounded:
    """The tar within the gzip, as far as tarfile needs it: forward only, and never much at once.

    tarfile believes what headers say: it reads an extended header of any size into memory, and seeks backwards for a
    negative one (CVE-2025-8194).
    """

    def __init__(self, packed: gzip.GzipFile) -> None:
        self._packed = packed
        self._at = 0
        self.last = b""

    def tell(self) -> int:
        """Bytes so far."""
        return self._at

    def read(self, size: int) -> bytes:
        """The next bytes."""
        if not 0 <= size <= _MAX_HEADER or self._at + size > _MAX_STREAM:
            raise ArtifactError("the archive is damaged or hostile: more than it may hold, or backwards")
        self.last = self._packed.read(size)
        self._at += len(self.last)
        return self.last

    def seek(self, position: int) -> None:
        """Go forward."""
        if position < self._at:
            raise ArtifactError("the archive is damaged or hostile: it leads backwards")
        while self._at < position:
            if not self.read(min(position - self._at, _MAX_HEADER)):
                raise EOFError("it ends too early")


def _extract(packed: _Bounded, place: Path) -> None:
    """All members of a tar, each checked before anything of it is written."""
    kinds: dict[str, bytes] = {}  # what lies where; a directory may be said twice, nothing else
    count = total = 0
    with tarfile.open(fileobj=cast("IO[bytes]", packed), mode="r:") as tar:
        while (member := tar.next()) is not None:
            count += 1
            total += member.size
            if member.size < 0 or total > MAX_UNPACKED or max(count, len(kinds)) > MAX_FILES:
                raise ArtifactError(f"more than {MAX_FILES:,} files and directories, or {tree.mib(MAX_UNPACKED)}")
            member.name = member.name.removeprefix("./").rstrip("/")
            if member.isdir() and member.name in ("", "."):
                continue
            _admit(member, kinds)
            tar.extract(member.replace(mtime=cast("float", None), deep=False), place, filter="data")
    # tarfile takes a broken header for the end, and gzip compares its checksum only there.
    if packed.last != bytes(tarfile.BLOCKSIZE):
        raise EOFError("it ends too early, or in nonsense")
    while rest := packed.read(_MAX_HEADER):
        if rest.strip(b"\0"):
            raise ArtifactError("the archive is damaged or hostile: something follows its end")


def _admit(member: tarfile.TarInfo, kinds: dict[str, bytes]) -> None:
    """Take note of a member, or refuse it."""
    name = member.name
    kind = member.type
    if member.isreg():
        kind = tarfile.GNUTYPE_SPARSE if member.issparse() else tarfile.REGTYPE
    if complaint := tree.bad_name(name):
        raise ArtifactError(f"{name[:200]!r}: {complaint}")
    if kind not in (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE):
        raise ArtifactError(f"{name!r} is neither file, directory nor link (type {kind!r}): not allowed in an archive")
    if kind == tarfile.SYMTYPE and not tree.stays(name, member.linkname):
        raise ArtifactError(f"{name!r} is a link that may lead out of the directory, to {member.linkname[:200]!r}")
    for parent in tree.parents(name):
        if kinds.setdefault(parent, tarfile.DIRTYPE) != tarfile.DIRTYPE:
            raise ArtifactError(f"{name!r} lies below {parent!r}, which is no directory")
    if name in kinds and not kinds[name] == kind == tarfile.DIRTYPE:
        raise ArtifactError(f"{name!r} is in the archive twice")
    kinds[name] = kind
