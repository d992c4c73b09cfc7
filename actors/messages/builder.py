"""The worker's builder: makes an artifact runnable."""

from __future__ import annotations

from typing import Any

from tucano.actors.kernel import Message, Note, Ref
from tucano.actors.messages.model import Build


class Make(Message, frozen=True):
    """Build; answered with `Made`, or refused with `build_failed` and the tail of the log as its detail.

    What was built before from the same artifact with the same script is not built again; asks for the same that come
    while it is being built wait for that one.

    Attributes:
        service: name, for logs.
        artifact: hash of the packed directory.
        size: its bytes.
        build: script and limits.
        progress: who is told how the artifact comes (`Fetching`), if that takes long.
        about: what that is to be told with.

    """

    service: str
    artifact: str
    size: int
    build: Build
    progress: Ref | None = None
    about: str = ""


class Fetching(Message, frozen=True):
    """So many bytes of the artifact are here, of `size`; `about` is what `Make` had."""

    about: str
    done: int
    size: int


class Made(Message, frozen=True):
    """Attributes: directory: where it was built; log: file with the build's output; cached: nothing had to be done."""

    directory: str
    log: str
    cached: bool


class Abandon(Message, frozen=True):
    """Nobody waits for this directory's build any more: kill it; those who asked are refused with `abandoned`."""

    directory: str


class Collect(Message, frozen=True):
    """Delete builds that none of these directories is; told by the supervisor when an instance is gone."""

    keep: tuple[str, ...]


class Fetched(Note, frozen=True):
    """Note to self: the piece of an artifact that begins at `offset` has come, or a refusal."""

    key: str
    offset: int
    result: Any


class FetchDue(Note, frozen=True):
    """Note to self: ask for pieces again."""

    key: str


class Unpacked(Note, frozen=True):
    """Note to self: the artifact is unpacked, or what was wrong with it; `damaged`: its hash was."""

    key: str
    error: str = ""
    damaged: bool = False


class BuildEnded(Note, frozen=True):
    """Note to self: the script of a build and all that it started has ended."""

    key: str
    status: int | None


class LimitsDue(Note, frozen=True):
    """Note to self: look at the time and the output that a build has used."""

    key: str
