"""A large thing on its way in pieces, taken by who receives it: which pieces to ask for, and which have come. Pure.

Each ask is a credit: nothing comes that was not asked for, so that what is on its way, what waits at the sender and
what is held here are together never more than `WINDOW` bytes.

How many pieces are asked for ahead follows the way there: more while they come as fast as ever, so that a long way is
filled; fewer when they come late, because then they only wait somewhere, before what others want to send; half as many
when one does not come. (The idea is that of TCP Vegas: L. Brakmo, L. Peterson, IEEE JSAC 13, 1995.)
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

PIECE: Final = 128 << 10
"""Bytes that are asked for at once: small, so that a piece delays others by next to nothing."""

WINDOW: Final = 16 * PIECE
"""Bytes that may have been asked for and not have come, or have come before their turn."""

LATE: Final = 1.5
"""Times the shortest way there and back after which a piece is late."""

FORGET: Final = 1.01
"""By this, with each piece, the shortest way is taken to be longer: it may have become so."""


class Piece(NamedTuple):
    """A part of the whole."""

    offset: int
    length: int


class Transfer:
    """One thing on its way.

    Args:
        size: its bytes.
        at: bytes that are here already, from an earlier attempt.

    Attributes:
        done: bytes that are here, without a gap.

    Raises:
        ValueError: more is here than there is.

    """

    def __init__(self, size: int, at: int = 0) -> None:
        if not 0 <= at <= size:
            raise ValueError(f"{at} of {size} bytes cannot be here")
        self.size = size
        self.done = at
        self._credit = 1  # pieces
        self._next = at  # what has never been asked for begins here
        self._again: list[Piece] = []  # asked for in vain
        self._asked: dict[int, tuple[int, float]] = {}  # offset: length, when
        self._shortest = math.inf  # seconds from an ask to its piece
        self._early: dict[int, bytes] = {}  # came before their turn

    @property
    def is_complete(self) -> bool:
        """Whether all is here."""
        return self.done == self.size

    def ask(self, now: float) -> list[Piece]:
        """The pieces to ask for now (monotonic seconds); they count as asked for."""
        wanted: list[Piece] = []
        while len(self._asked) < self._credit:
            if self._again:
                piece = self._again.pop(0)
            else:
                end = min(self.size, self._next + PIECE, self.done + WINDOW)
                if end <= self._next:
                    break
                piece = Piece(self._next, end - self._next)
                self._next = end
            self._asked[piece.offset] = piece.length, now
            wanted.append(piece)
        return wanted

    def came(self, offset: int, data: bytes, now: float) -> list[bytes]:
        """Take a piece.

        Returns:
            What is to be written now, in order: nothing if an earlier piece is still missing.

        Raises:
            ValueError: it has another length than was asked for.

        """
        asked = self._asked.pop(offset, None)
        if asked is None:
            return []  # it was given up, and has been asked for again
        length, since = asked
        if len(data) != length:
            raise ValueError(f"{len(data)} bytes came instead of {length}")
        took = now - since
        self._shortest = min(self._shortest * FORGET, took)
        if took > LATE * self._shortest:
            self._credit = max(self._credit - 1, 1)
        else:
            self._credit = min(self._credit + 1, WINDOW // PIECE)
        self._early[offset] = data
        ready = []
        while (data_here := self._early.pop(self.done, None)) is not None:
            self.done += len(data_here)
            ready.append(data_here)
        return ready

    def missed(self, offset: int) -> None:
        """A piece did not come: it is to be asked for again."""
        asked = self._asked.pop(offset, None)
        if asked is not None:
            self._again.append(Piece(offset, asked[0]))
            self._again.sort()
            self._credit = max(1, self._credit // 2)
