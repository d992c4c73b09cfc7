"""The restart law: may what crashed be started again, and after how long?

Pure: it takes the crashes of the past and the present moment, and says what to do. The actor trees and the supervisor
of the services' processes obey the same law.

The rule is that of Erlang's supervisor (erlang/otp, `lib/stdlib/src/supervisor.erl`, "Maximum Restart Intensity"): the
moments of the crashes are kept, pruned to the period; more than `intensity` of them within `period` seconds, and it
gives up. To this we add what OTP leaves out: a delay that grows with the crashes in the period, with jitter, so that a
thousand instances that die of one cause do not come back in one instant.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import msgspec


class Law(msgspec.Struct, frozen=True, kw_only=True):
    """How much crashing is borne.

    Attributes:
        intensity: restarts allowed within `period`; 0 allows none.
        period: seconds after which a crash is forgotten.
        first: seconds before the restart that follows the first crash of the period.
        base: seconds before the second restart of the period.
        factor: by which each further crash of the period lengthens the delay.
        ceiling: seconds that no delay exceeds, jitter included.
        jitter: fraction by which chance lengthens or shortens each delay, in [0, 1).

    Raises:
        ValueError: a number has no meaning (negative, not finite, a factor below 1).

    """

    intensity: int = 5
    period: float = 60.0
    first: float = 0.0
    base: float = 0.1
    factor: float = 2.0
    ceiling: float = 30.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        # Written as what must hold, so that NaN, for which nothing holds, is refused too.
        sane = {
            "intensity": self.intensity >= 0,
            "period": 0 < self.period < math.inf,
            "first": 0 <= self.first < math.inf,
            "base": 0 < self.base < math.inf,
            "factor": 1 <= self.factor < math.inf,
            "ceiling": 0 <= self.ceiling < math.inf,
            "jitter": 0 <= self.jitter < 1,
        }
        wrong = [f"{name}={getattr(self, name)!r}" for name, holds in sane.items() if not holds]
        if wrong:
            raise ValueError(f"a restart law cannot have {', '.join(wrong)}")


class History(msgspec.Struct, frozen=True):
    """The crashes that still count.

    Attributes:
        crashes: their moments, in monotonic seconds, oldest first; never more than the law's intensity.

    """

    crashes: tuple[float, ...] = ()


class Restart(NamedTuple):
    """Start it again `after` seconds, and remember `history`."""

    after: float
    history: History


class GiveUp(NamedTuple):
    """Start it no more: it crashed `crashes` times `within` seconds."""

    crashes: int
    within: float


def crashed(law: Law, history: History, now: float, chance: Callable[[], float]) -> Restart | GiveUp:
    """Judge a crash that happened `now`.

    Args:
        law: how much is borne.
        history: what the last `Restart` gave, or `History()`.
        now: monotonic seconds, not before the last crash.
        chance: gives a number in [0, 1), such as `random.random`; called once if the delay has jitter.

    Returns:
        `Restart` with the delay and the history to hand in at the next crash, or `GiveUp`.

    """
    # A crash exactly one period old still counts, as in OTP: the window is closed at both ends.
    crashes = (*(then for then in history.crashes if now - then <= law.period), now)
    if len(crashes) > law.intensity:
        return GiveUp(len(crashes), now - crashes[0])
    return Restart(_delay(law, len(crashes), chance), History(crashes))


def _delay(law: Law, crashes: int, chance: Callable[[], float]) -> float:
    """Seconds before the restart after the `crashes`-th crash of the period."""
    if crashes == 1:
        plain = law.first
    else:
        try:
            plain = law.base * law.factor ** (crashes - 2)
        except OverflowError:  # a float ends at 1e308; the ceiling is far below
            plain = math.inf
    # Room for the jitter is left under the ceiling: cut off above it, half of all delays would be one and the same.
    plain = min(plain, law.ceiling / (1 + law.jitter))
    if plain == 0 or law.jitter == 0:
        return plain
    return min(law.ceiling, plain * (1 + law.jitter * (2 * chance() - 1)))
