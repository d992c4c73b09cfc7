"""Takes an artifact as a worker's builder does: pieces by credit, written as they come."""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import Any

from tucano.actors.disk.download import Download
from tucano.actors.kernel import Actor
from tucano.actors.messages.builder import Fetched
from tucano.actors.messages.gateway import ReadArtifact
from tucano.actors.pure.transfer import Transfer


class Taker(Actor):
    """Takes one artifact from the server's shelf."""

    Inbox = Fetched

    def __init__(self, source: Path, target: Path, size: int, ended: threading.Event) -> None:
        super().__init__()
        self._source = str(source)
        self._download = Download("", size, target)
        self._transfer = Transfer(size)
        self._ended = ended

    def on_start(self) -> None:
        """Begin."""
        self._fetch()

    def receive(self, message: Fetched) -> None:
        """Take a piece."""
        result: Any = message.result
        if not isinstance(result, bytes):
            raise result
        self._download.add(self._transfer.came(message.offset, result, self.now()))
        if self._transfer.is_complete:
            self._ended.set()
        self._fetch()

    def _fetch(self) -> None:
        for offset, length in self._transfer.ask(self.now()):
            into = functools.partial(Fetched, "", offset)
            self.pipe(self.address("server/shelf"), ReadArtifact(self._source, offset, length), 10.0, into)
