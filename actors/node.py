"""What every node tells about itself: its actors."""

from __future__ import annotations

import os
from typing import assert_never

from tucano.actors.kernel import Actor
from tucano.actors.messages.node import Actors, Snapshot


class Node(Actor):
    """Answers for its process."""

    Inbox = Snapshot

    def receive(self, message: Snapshot) -> Actors:
        """Handle one message."""
        match message:
            case Snapshot():
                return Actors(self.ref.node, os.getpid(), tuple(self._cell.system.snapshot()))
            case _:
                assert_never(message)
