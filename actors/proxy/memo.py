"""Remember what was decided about bytes that were seen before; forget what is no longer seen."""

from typing import Generic, TypeVar

V = TypeVar("V")


class Memo(Generic[V]):
    """A bounded memory from bytes to decisions.

    A key is remembered when it comes for the second time, so that what never repeats costs a number in a set and not
    its bytes. Two generations: when the young one is full it becomes the old one, and what is asked for moves back.

    Args:
        size: The most entries of one generation.
        longest: Keys of more bytes are not remembered.

    Attributes:
        longest: See above.
        young: The younger generation. To look there before `get` is quick.
    """

    __slots__ = ("_old", "_once", "_size", "longest", "young")

    def __init__(self, size: int, longest: int = 2048) -> None:
        self._size = size
        self.longest = longest
        self.young: dict[bytes, V] = {}
        self._old: dict[bytes, V] = {}
        self._once: set[int] = set()  # hashes of keys that came once: one that collides is remembered a turn early

    def get(self, key: bytes) -> V | None:
        """What was put under `key`, or None."""
        value = self.young.get(key)
        if value is None and self._old:
            value = self._old.get(key)
            if value is not None:
                self._keep(key, value)
        return value

    def put(self, key: bytes, value: V) -> None:
        """Remember `value` under `key` if this is the second time, and the key not too long."""
        if len(key) > self.longest:
            return
        number = hash(key)
        if number in self._once:
            self._keep(key, value)
        else:
            if len(self._once) >= self._size:
                self._once.clear()
            self._once.add(number)

    def _keep(self, key: bytes, value: V) -> None:
        if len(self.young) >= self._size:
            self._old = self.young
            self.young = {}
        self.young[key] = value

    def __len__(self) -> int:
        return len(self.young) + len(self._old)
