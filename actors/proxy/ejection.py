"""Who fails again and again is left alone for a while. Pure."""

from collections.abc import Collection, Hashable
from typing import Final, Generic, TypeVar

FIRST: Final = 1.0  # seconds that the first ejection takes; each further one twice as long
LONGEST: Final = 60.0  # seconds, at most

H = TypeVar("H", bound=Hashable)


class _Trouble:
    __slots__ = ("failures", "seconds")

    def __init__(self) -> None:
        self.failures = 0
        self.seconds = FIRST


class Ejection(Generic[H]):
    """Ejects members that fail `after` times in a row: never more than half of them, so never the last one.

    An ejected one comes back when its time is over. One more failure then ejects it for twice as long; a success
    forgives everything.

    Args:
        after: Failures in a row; 0 ejects nobody.

    Attributes:
        troubled: Who has failed and not succeeded since. Only for these a success has to be told.
        out: Who is ejected, and until when.
    """

    def __init__(self, after: int) -> None:
        self._after = after
        self._members: Collection[H] = ()
        self.troubled: dict[H, _Trouble] = {}
        self.out: dict[H, float] = {}

    def replace(self, members: Collection[H]) -> None:
        """Make these the members. Who left is forgotten; if too many are out for so few, the first to return do so."""
        self._members = members
        self.troubled = {one: trouble for one, trouble in self.troubled.items() if one in members}
        staying = sorted((one for one in self.out if one in members), key=lambda one: -self.out[one])
        self.out = {one: self.out[one] for one in staying[: len(members) // 2]}

    def failed(self, one: H, now: float) -> bool:
        """A request failed at `one`; True if that ejects it."""
        if not self._after or one in self.out or one not in self._members:
            return False
        trouble = self.troubled.setdefault(one, _Trouble())
        trouble.failures += 1
        if trouble.failures < self._after or len(self.out) >= len(self._members) // 2:
            return False
        self.out[one] = now + trouble.seconds
        trouble.seconds = min(LONGEST, trouble.seconds * 2)
        return True

    def succeeded(self, one: H) -> None:
        """`one` has answered; of one that is out it was an old request, which says nothing."""
        if one not in self.out:
            self.troubled.pop(one, None)

    def over(self, now: float) -> None:
        """Let those come back whose time is over."""
        self.out = {one: until for one, until in self.out.items() if until > now}
