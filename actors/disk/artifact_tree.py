"""What of a directory belongs into an artifact, and which names and links are allowed in one."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pathspec

MAX_PACKED = 256 << 20
"""Bytes of an archive."""

MAX_UNPACKED = 1 << 30
"""Bytes of all files of an archive together."""

MAX_FILES = 50_000
"""Files, links and directories of an archive."""

MAX_NAME = 1024
"""Bytes of a path within an archive, and of a link's target; well below PATH_MAX, 4096."""

MAX_PART = 255
"""Bytes of one part of a path: NAME_MAX of Linux."""

IGNORE_FILES = (".gitignore", ".tucanoignore")
"""Read in every directory; the later has the last word."""

NEVER = frozenset(
    (".git", ".hg", ".svn", ".tox", ".venv", "__pycache__", "node_modules", ".mypy_cache", ".pytest_cache")
)
"""Left out wherever they lie; so is each directory that holds a `pyvenv.cfg`."""

Specs = tuple[tuple[str, pathspec.GitIgnoreSpec], ...]
"""The ignore files that apply to a directory, nearest first: where each lies, and what it says."""


class ArtifactError(Exception):
    """An artifact that cannot be packed, unpacked, stored or read; the text is for a person."""


class Entry(NamedTuple):
    """A file or link to be packed."""

    name: str  # relative, with slashes
    path: Path
    seen: os.stat_result


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Tell a person what could not be read."""
    try:
        yield
    except FileNotFoundError as error:
        raise changed(name) from error
    except OSError as error:
        raise ArtifactError(f"cannot read {name!r}: {error.strerror or error}") from error


def changed(name: str) -> ArtifactError:
    """The complaint about what is not any more what it was."""
    return ArtifactError(f"{name!r} changed while it was packed: try again when nothing writes into the directory")


def entries(directory: Path, leave_out: Collection[Path]) -> list[Entry]:
    """Everything in a directory that is to be packed, by name.

    Args:
        directory: where to look; resolved.
        leave_out: resolved paths that do not belong to it, such as the archive itself.

    Raises:
        ArtifactError: something that cannot be packed or read, or too much of it.

    """
    found = sorted(_walk(directory, leave_out))
    if not found:
        raise ArtifactError(f"nothing to pack in {directory}: it is empty, or all of it is ignored")
    count = len(found) + len({parent for entry in found for parent in parents(entry.name)})
    if count > MAX_FILES:
        raise too_large(found, f"{count:,} files and directories, at most {MAX_FILES:,}", (1 for _ in found))
    total = sum(entry.seen.st_size for entry in found)
    if total > MAX_UNPACKED:
        raise too_large(found, f"{mib(total)} of files, at most {mib(MAX_UNPACKED)}")
    return found


def _walk(directory: Path, leave_out: Collection[Path]) -> Iterator[Entry]:
    """Everything to be packed, in no order."""
    waiting: list[tuple[str, Specs]] = [("", ())]
    while waiting:
        prefix, specs = waiting.pop()
        with readable(prefix or str(directory)), os.scandir(directory / prefix) as scan:
            items = {item.name: item for item in scan}
        if prefix and "pyvenv.cfg" in items:
            continue
        if own := [name for name in IGNORE_FILES if name in items and items[name].is_file(follow_symlinks=False)]:
            specs = ((prefix, _spec(directory / prefix, own)), *specs)
        # An ignored directory is not entered, unless something in it may be brought back.
        negated = any(pattern.include is False for _, spec in specs for pattern in spec.patterns)
        for item in items.values():
            name, path = prefix + item.name, directory / prefix / item.name
            if item.name in NEVER:
                continue
            if item.is_dir(follow_symlinks=False):
                if negated or not _ignored(specs, name + "/"):
                    waiting.append((name + "/", specs))
            elif not _ignored(specs, name) and path not in leave_out:
                with readable(name):
                    seen = path.lstat()
                    target = str(path.readlink()) if stat.S_ISLNK(seen.st_mode) else None
                _check(name, seen, target)
                yield Entry(name, path, seen)


def _spec(directory: Path, names: Iterable[str]) -> pathspec.GitIgnoreSpec:
    """What the ignore files of one directory say."""
    lines: list[str] = []
    for path in (directory / name for name in names):
        with readable(str(path)):
            lines += path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    try:
        return pathspec.GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise ArtifactError(f"{' or '.join(names)} in {directory}: {error}") from error


def _ignored(specs: Specs, name: str) -> bool:
    """Whether the nearest ignore file that has an opinion says so."""
    opinions = (spec.check_file(name.removeprefix(prefix)).include for prefix, spec in specs)
    return next((opinion for opinion in opinions if opinion is not None), False)


def _check(name: str, seen: os.stat_result, target: str | None) -> None:
    """Raise if this cannot be packed."""
    if complaint := bad_name(name):
        raise ArtifactError(f"{name!r}: {complaint}")
    if target is not None:
        if not stays(name, target):
            raise ArtifactError(
                f"{name!r} is a link to {target!r}: only relative links that stay within the directory can be packed,"
                " with '..' at their beginning only; ignore it, or make it a file"
            )
    elif not stat.S_ISREG(seen.st_mode):
        raise ArtifactError(f"{name!r} is a socket, FIFO or device: ignore it, or take it away")


def bad_name(name: str) -> str | None:
    """Why a path is not allowed in an artifact, or None."""
    parts = name.split("/")
    if "\0" in name or any(part in ("", ".", "..") for part in parts):
        return "not a plain path below the directory"
    if len(os.fsencode(name)) > MAX_NAME or any(len(os.fsencode(part)) > MAX_PART for part in parts):
        return f"too long a name: at most {MAX_NAME} bytes, {MAX_PART} between slashes"
    return None


def stays(name: str, target: str) -> bool:
    """Whether the link `name` to `target` cannot lead out of the directory.

    A '..' after a name would climb from wherever *that* name leads, if it is a link. So they may stand at the beginning
    only, where they climb from the link's own directory; and no directory of an artifact is reached through a link.
    """
    parts = target.split("/")
    climbs = next((index for index, part in enumerate(parts) if part not in (".", "..")), len(parts))
    if not target or target.startswith("/") or "\0" in target or len(os.fsencode(target)) > MAX_NAME:
        return False
    return ".." not in parts[climbs:] and parts[:climbs].count("..") <= name.count("/")


def parents(name: str) -> Iterator[str]:
    """The directories above a path within an artifact, nearest first."""
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def too_large(found: Iterable[Entry], complaint: str, weights: Iterable[int] | None = None) -> ArtifactError:
    """The complaint about too much, with the directories, and files at the top, to look at.

    Args:
        found: all that was to be packed.
        complaint: what is too much.
        weights: how much each counts; without, its bytes.

    """
    found = list(found)
    load: Counter[str] = Counter()
    for entry, weight in zip(found, weights or (entry.seen.st_size for entry in found), strict=True):
        folder = "/".join(entry.name.split("/")[:-1][:2])
        load[folder or ("." if weights else entry.name)] += weight  # a file at the top is worth its name, its count not
    unit = (lambda weight: f"{weight:,} files") if weights else mib
    largest = ", ".join(f"{name} ({unit(weight)})" for name, weight in load.most_common(3))
    return ArtifactError(f"too large: {complaint}; the largest: {largest}; name what is not needed in .tucanoignore")


def mib(size: int) -> str:
    """Bytes for a person."""
    return f"{size / (1 << 20):,.1f} MiB"
