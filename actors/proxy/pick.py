"""Choosing an instance: the less busy of two ready ones, of equals the one chosen less; avoiding those that refused."""

import random
from collections.abc import Collection, Iterable
from typing import Generic, TypeVar


class Candidate:
    """Something that can be chosen.

    Attributes:
        open: Its requests that have begun and not ended.
        picks: How often it was chosen since the members changed last.
    """

    __slots__ = ("open", "picks")

    def __init__(self) -> None:
        self.open = 0
        self.picks = 0


C = TypeVar("C", bound=Candidate)


class Rota(Generic[C]):
    """The ready candidates of one service.

    Args:
        chance: Where lots are drawn from.
    """

    __slots__ = ("_avoided", "_fit", "_random", "members")

    def __init__(self, chance: random.Random) -> None:
        self.members: list[C] = []
        self._random = chance.random
        self._avoided: dict[C, float] = {}  # until when
        self._fit: list[C] = []  # the members that are not avoided; all, if all are

    def replace(self, members: Iterable[C]) -> None:
        """Make these the members. One that left and came back is no longer avoided."""
        self.members = list(members)
        for one in self.members:
            one.picks = 0
        self._avoided = {one: until for one, until in self._avoided.items() if one in self.members}
        self._sort_out()

    def avoid(self, one: C, until: float) -> None:
        """Do not choose `one` before `until` if there is another."""
        if one in self.members:
            self._avoided[one] = until
            self._sort_out()

    def pick(self, now: float, tried: Collection[C] = ()) -> C | None:
        """Choose a member that is not in `tried`; None if there is none."""
        if self._avoided:
            self._forgive(now)
        fit = self._fit
        if tried:
            fit = [one for one in fit if one not in tried] or [one for one in self.members if one not in tried]
        count = len(fit)
        if count > 1:
            first = int(self._random() * count)
            second = (first + 1 + int(self._random() * (count - 1))) % count
            one, other = fit[first], fit[second]
            # of two that are equally busy the one chosen less often: a lone user, too, meets all of them
            if other.open < one.open or (other.open == one.open and other.picks < one.picks):
                one = other
            one.picks += 1
            return one
        return fit[0] if fit else None

    def _forgive(self, now: float) -> None:
        over = [one for one, until in self._avoided.items() if until <= now]
        if over:
            for one in over:
                del self._avoided[one]
            self._sort_out()

    def _sort_out(self) -> None:
        self._fit = [one for one in self.members if one not in self._avoided] or self.members
