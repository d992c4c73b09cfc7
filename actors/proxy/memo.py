"""Remember what was decided about bytes that were seen before; forget what is no longer seen."""

from typing import Generic, TypeVar

V = TypeVar("V")


class Memo(Generic[V]):
    """A bounded memory from bytes to decisions.

    Two generations: when the young one is full it becomes the old one, and what is asked for again moves back. So
    heads that never repeat push out neither much work nor what does repeat.

    Args:
        size: The most entries of one generation.
        longest: Keys of more bytes are not remembered.
    """

    __slots__ = ("_longest", "_old", "_size", "_young")

    def __init__(self, size: int, longest: int = 2048) -> None:
        self._size = size
        self._longest = longest
        self._young: dict[bytes, V] = {}
        self._old: dict[bytes, V] = {}

    def get(self, key: bytes) -> V | None:
        """What was put under `key`, or None."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: bytes, value: V) -> None:
        """Remember `value` under `key`, unless the key is too long."""
        if len(key) > self._longest:
            return
        if len(self._young) >= self._size:
            self._old = self._young
            self._young = {}
        self._young[key] = value

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
