"""An artifact on its way to a builder: what to ask for, and what has come. The builder's; it sends nothing itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from tucano.actors.disk.download import BadArtifact, Download
from tucano.actors.kernel import Refused
from tucano.actors.messages import builder, gateway
from tucano.actors.pure.transfer import Transfer

PATIENCE: Final = 60.0
"""Seconds without a piece after which a fetch has failed; and for an artifact that the controller says it has not:"""

UNKNOWN_PATIENCE: Final = 5.0
"""because the controller may just be starting."""

TELL: Final = 1.0
"""Seconds between two words on how an artifact comes."""


class Fetch:
    """One artifact.

    Args:
        make: which, and of what size.
        path: where it is kept; what an earlier fetch has left there is not asked for again.
        now: monotonic seconds.

    Attributes:
        went_on: an earlier fetch had left something.

    Raises:
        OSError: the file cannot be read.

    """

    def __init__(self, make: builder.Make, path: Path, now: float) -> None:
        self._artifact = make.artifact
        self._download = Download(make.artifact, make.size, path)
        self._transfer = Transfer(make.size, self._download.at)
        self._last_piece = now
        self._tell_at = now + TELL
        self.went_on = self._download.at > 0

    @property
    def is_complete(self) -> bool:
        """Whether all is here; whether it is right, `check` says."""
        return self._transfer.is_complete

    def ask(self, now: float) -> list[gateway.ReadArtifact]:
        """What to ask the gateway for now."""
        return [gateway.ReadArtifact(self._artifact, *piece) for piece in self._transfer.ask(now)]

    def came(self, offset: int, data: Any, now: float) -> None:
        """Keep a piece.

        Raises:
            BadArtifact: it is none of this artifact.
            OSError: no room, for instance.

        """
        try:
            self._download.add(self._transfer.came(offset, data, now))
        except (ValueError, TypeError) as error:
            raise BadArtifact("the controller sent something that is not its artifact: deploy it again") from error
        self._last_piece = now

    def missed(self, offset: int, why: Refused, now: float) -> bool:
        """A piece did not come; whether it is worth while to ask again."""
        self._transfer.missed(offset)
        patience = UNKNOWN_PATIENCE if why.code == "not_found" else PATIENCE
        return now - self._last_piece <= patience

    def progress(self, now: float) -> int | None:
        """Bytes that are here, if it is time to tell somebody."""
        if now < self._tell_at:
            return None
        self._tell_at = now + TELL
        return self._transfer.done

    def check(self) -> None:
        """See `Download.check`; takes long."""
        self._download.check()
