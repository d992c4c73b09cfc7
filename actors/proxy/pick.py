"""Who may be chosen: not who has just refused, keeps failing, is full or has no weight; and what share each has.

Of these a policy chooses. All that changes with time is looked at only when it is due.
"""

import random
from collections.abc import Collection, Iterable
from math import inf
from typing import Final, Generic

from tucano.actors.messages import model

from .ejection import Ejection
from .policies import C, Candidate, Policy, make

__all__ = ["Candidate", "Rota"]

_COLD: Final = 0.1  # the share of an instance that has just joined others, of its weight
_STEPS: Final = 50  # in which that grows


class Rota(Generic[C]):
    """The ready candidates of one service.

    Args:
        chance: Where lots are drawn from.
        balance: How to choose.

    Attributes:
        members: All of them.
        ejection: Who fails.
    """

    __slots__ = (
        "_avoided",
        "_cap",
        "_choose",
        "_cold",
        "_due",
        "_fit",
        "_policy",
        "_shares",
        "_slow",
        "_takers",
        "_weights",
        "ejection",
        "members",
    )

    def __init__(self, chance: random.Random, balance: model.Balance | None = None) -> None:
        balance = balance or model.Balance()
        self.members: list[C] = []
        self.ejection: Ejection[C] = Ejection(balance.eject_after)
        self._policy: Policy[C] = make(balance.policy, chance)
        self._choose = self._policy.choose
        self._cap = balance.max_in_flight or inf
        self._slow = balance.slow_start
        self._cold: dict[C, float] = {}  # who is being started slowly, and since when
        self._avoided: dict[C, float] = {}  # until when
        self._takers: list[C] = []  # the members that have a weight
        self._fit: list[C] = []  # of these, who is neither avoided nor ejected
        self._weights: list[float] = []
        self._shares: list[tuple[C, float]] = []  # as the policy knows them
        self._due = inf  # when to look at all this again

    def replace(self, members: Iterable[C], now: float = 0.0) -> None:
        """Make these the members. One that left and came back is no longer avoided."""
        before, self.members = self.members, list(members)
        weights = [one.weight for one in self.members]
        if before == self.members and weights == self._weights:
            return
        self._weights = weights
        self._cold = {one: since for one, since in self._cold.items() if one in self.members}
        if before and self._slow:
            self._cold |= {one: now for one in self.members if one not in before}
        for one in self.members:
            one.passed = 0.0
        self._avoided = {one: until for one, until in self._avoided.items() if one in self.members}
        self.ejection.replace(self.members)
        self._look(now)

    def avoid(self, one: C, until: float) -> None:
        """Do not choose `one` before `until` if there is another."""
        if one in self.members:
            self._avoided[one] = until
            self._due = -inf

    def failed(self, one: C, now: float) -> bool:
        """A request failed at `one`; True if that ejects it."""
        ejected = self.ejection.failed(one, now)
        if ejected:
            self._due = -inf
        return ejected

    def pick(self, now: float, tried: Collection[C] = (), key: bytes | None = None) -> C | None:
        """Choose a member that is not in `tried`; None if there is none.

        Args:
            now: Seconds.
            tried: Who has had this request already.
            key: What to hash; None if there is nothing.
        """
        if now >= self._due:
            self._look(now)
        fit = self._fit
        if tried:
            fit = [one for one in fit if one not in tried] or [one for one in self._takers if one not in tried]
        if self._cap is not inf:
            fit = [one for one in fit if one.open < self._cap]
        return self._choose(fit, now, key) if fit else None

    def keeps(self, one: C, now: float) -> bool:
        """Whether `one` can be chosen, as far as it is not full."""
        if now >= self._due:
            self._look(now)
        return one in self._fit

    def full(self, one: C) -> bool:
        """Whether `one` has as many requests as it may."""
        return one.open >= self._cap

    def has_room(self, now: float) -> bool:
        """Whether somebody could be chosen."""
        if now >= self._due:
            self._look(now)
        return any(one.open < self._cap for one in self._fit)

    def crowded(self, tried: Collection[C]) -> bool:
        """Whether somebody who was not tried would take a request, were there fewer."""
        return self._cap is not inf and any(one not in tried for one in self._takers)

    def _look(self, now: float) -> None:
        self._avoided = {one: until for one, until in self._avoided.items() if until > now}
        self._cold = {one: since for one, since in self._cold.items() if now - since < self._slow}
        self.ejection.over(now)
        self._takers = [one for one in self.members if one.weight > 0]
        for one in self._takers:
            one.stride = 1 / (one.weight * self._warmth(one, now))
        sound = [one for one in self._takers if one not in self.ejection.out] or self._takers
        before, self._fit = set(self._fit), [one for one in sound if one not in self._avoided] or sound
        most = max((one.passed for one in self._fit if one in before), default=0.0)
        for one in self._fit:
            if one not in before and one.passed < most:
                one.passed = most  # what it missed meanwhile is not made up for: it has just been in trouble
        step = [now + max(0.1, self._slow / _STEPS)] if self._cold else []
        self._due = min([*self._avoided.values(), *self.ejection.out.values(), *step], default=inf)
        shares = [(one, one.stride) for one in self._takers]
        if shares != self._shares:
            self._shares = shares
            self._policy.arrange(self._takers)

    def _warmth(self, one: C, now: float) -> float:
        since = self._cold.get(one)
        return 1.0 if since is None else _COLD + (1 - _COLD) * (now - since) / self._slow
