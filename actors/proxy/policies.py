"""How one of several instances is chosen. A policy has two verbs: `arrange` what there is, `choose` of it. Pure."""

import random
from bisect import bisect
from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate
from math import exp
from typing import Final, Generic, Protocol, TypeVar

_POINTS: Final = 128  # of an instance on the ring: shares differ by about a tenth
_MANY: Final = 128  # members, above which each has fewer points: a ring must be built in milliseconds
_FEW_POINTS: Final = 32
_FADE: Final = 10.0  # seconds after which a measured latency counts for a third
_REDRAWS: Final = 8  # lots for a second candidate that is not the first one, when shares are unequal


class Candidate:
    """Something that can be chosen.

    Args:
        identity: Says which one it is, the same at each balancer and for as long as it lives.

    Attributes:
        open: Its requests that have begun and not ended.
        weight: What it is given of the requests, relative to the others; 0 for nothing.
        stride: One divided by its share, which is the weight as far as it has been started.
        passed: The sum of its strides: who is chosen less than its share is behind the others.
        latency: Seconds until its answers begin, recent ones counting more; 0 while nothing is known.
        measured: When the latency was measured.
    """

    __slots__ = ("identity", "latency", "measured", "open", "passed", "stride", "weight")

    def __init__(self, identity: str = "") -> None:
        self.identity = identity
        self.open = 0
        self.weight = 1.0
        self.stride = 1.0
        self.passed = 0.0
        self.latency = 0.0
        self.measured = 0.0

    def answered(self, seconds: float, now: float) -> None:
        """An answer took so long to begin. What is slower than thought is believed at once, what is faster slowly."""
        if seconds > self.latency:
            self.latency = seconds
        else:
            kept = exp((self.measured - now) / _FADE)
            self.latency = self.latency * kept + seconds * (1 - kept)
        self.measured = now


C = TypeVar("C", bound=Candidate)


class Policy(Protocol[C]):
    """A way to choose."""

    def arrange(self, members: Sequence[C]) -> None:
        """These there are from now on; or their shares have changed."""

    def choose(self, among: Sequence[C], now: float, key: bytes | None) -> C:
        """One of `among`, which are members and at least one; `key` says what belongs together."""


class _Lots(Generic[C]):
    """Draws lots, each candidate as likely as its share says."""

    def __init__(self, chance: random.Random) -> None:
        self._random = chance.random
        self.level = True  # all shares are equal
        self._of: Sequence[C] = ()
        self._sums: list[float] = []

    def arrange(self, members: Sequence[C]) -> None:
        """See `Policy`."""
        self.level = len({one.stride for one in members}) < 2
        self._of = ()

    def two(self, among: Sequence[C]) -> tuple[C, C]:
        """Two candidates of at least two; different ones, unless one has nearly all of the share."""
        if self.level:
            count = len(among)
            if count == 2:
                return among[0], among[1]
            first = int(self._random() * count)
            return among[first], among[(first + 1 + int(self._random() * (count - 1))) % count]
        one = other = self._one(among)
        for _ in range(_REDRAWS):
            other = self._one(among)
            if other is not one:
                break
        return one, other

    def _one(self, among: Sequence[C]) -> C:
        if among is not self._of:
            self._of, self._sums = among, list(accumulate(1 / one.stride for one in among))
        return among[min(bisect(self._sums, self._random() * self._sums[-1]), len(among) - 1)]


class TwoChoices(Generic[C]):
    """The less busy of two drawn by lot; of equals the one that is behind, so that a lone user, too, meets all."""

    def __init__(self, chance: random.Random) -> None:
        lots: _Lots[C] = _Lots(chance)
        self.arrange = lots.arrange
        self._two = lots.two

    def choose(self, among: Sequence[C], now: float, key: bytes | None) -> C:  # noqa: ARG002 - as `Policy` says
        """See `Policy`."""
        if len(among) < 2:
            return among[0]
        one, other = self._two(among)
        if one.stride == other.stride:
            load: float = one.open - other.open
        else:
            load = one.open * one.stride - other.open * other.stride
        if load > 0 or (load == 0 and other.passed < one.passed):
            one = other
        one.passed += one.stride
        return one


class LeastLatency(Generic[C]):
    """Of two drawn by lot the one where an answer is likely to begin sooner: by latency and the requests before it."""

    def __init__(self, chance: random.Random) -> None:
        self._lots: _Lots[C] = _Lots(chance)
        self.arrange = self._lots.arrange

    def choose(self, among: Sequence[C], now: float, key: bytes | None) -> C:  # noqa: ARG002 - as `Policy` says
        """See `Policy`."""
        if len(among) < 2:
            return among[0]
        one, other = self._lots.two(among)
        cost = _cost(one, now) - _cost(other, now)
        if cost > 0 or (cost == 0 and other.passed < one.passed):
            one = other
        one.passed += one.stride
        return one


def _cost(one: Candidate, now: float) -> float:
    if not one.latency:
        return float("inf") if one.open else 0.0  # who is not known yet gets one request to show itself
    return one.latency * exp((one.measured - now) / _FADE) * (one.open + 1)


class RoundRobin(Generic[C]):
    """One after the other, each as often as its share says."""

    def __init__(self) -> None:
        self._level = True
        self._turn = 0

    def arrange(self, members: Sequence[C]) -> None:
        """See `Policy`."""
        self._level = len({one.stride for one in members}) < 2

    def choose(self, among: Sequence[C], now: float, key: bytes | None) -> C:  # noqa: ARG002 - as `Policy` says
        """See `Policy`."""
        if self._level:
            self._turn = (self._turn + 1) % len(among)
            return among[self._turn]
        one = min(among, key=_next_turn)
        one.passed += one.stride
        return one


def _next_turn(one: Candidate) -> float:
    return one.passed + one.stride


class Hash(Generic[C]):
    """The same one for the same key, by consistent hashing: members have points on a ring, the next one takes the key.

    When a member comes or goes, only the keys that it takes or leaves move. A key whose member cannot be chosen goes to
    the next one on the ring, and comes back later. What has no key is chosen otherwise.
    """

    def __init__(self, otherwise: Policy[C]) -> None:
        self._otherwise = otherwise
        self._members = 0
        self._points: list[int] = []
        self._ring: list[C] = []

    def arrange(self, members: Sequence[C]) -> None:
        """See `Policy`."""
        self._otherwise.arrange(members)
        self._members = len(members)
        points = _POINTS if len(members) <= _MANY else _FEW_POINTS
        least = min((one.stride for one in members), default=1.0)
        ring = [
            (point, one.identity, one)
            for one in members
            for point in _points(one.identity, max(1, round(points * least / one.stride)))
        ]
        ring.sort(key=lambda spot: spot[:2])
        self._points = [point for point, _, _ in ring]
        self._ring = [one for _, _, one in ring]

    def choose(self, among: Sequence[C], now: float, key: bytes | None) -> C:
        """See `Policy`."""
        if key is None:
            return self._otherwise.choose(among, now, key)
        spot = bisect(self._points, int.from_bytes(blake2b(key, digest_size=8).digest()))
        can = set(among) if len(among) < self._members else None
        for step in range(len(self._ring)):
            one = self._ring[(spot + step) % len(self._ring)]
            if can is None or one in can:
                return one
        return among[0]  # not reached while `among` are members


def _points(identity: str, count: int) -> list[int]:
    """The first points of a member on the ring: 64-bit numbers."""
    found: list[int] = []
    while len(found) < count:
        digest = blake2b(b"%d/%b" % (len(found), identity.encode())).digest()
        found += (int.from_bytes(digest[at : at + 8]) for at in range(0, 64, 8))
    return found[:count]


def make(policy: str, chance: random.Random) -> Policy[C]:
    """The policy of that name, as `model.Balance` has them."""
    match policy:
        case "round_robin":
            return RoundRobin()
        case "least_latency":
            return LeastLatency(chance)
        case "hash":
            return Hash(TwoChoices(chance))
        case _:
            return TwoChoices(chance)
