"""Values of a type, made from a seed: what a legitimate sender might say, at the edges of what it may."""

from __future__ import annotations

import random
import re
from typing import Any

import msgspec
from msgspec import inspect

from tucano.actors.messages import model

NUMBERS = (0, 1, -1, 2, 127, 255, 1000, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -(2**63))
FLOATS = (0.0, -0.0, 1.5, 1e-300, 1e300, float("inf"), float("-inf"), float("nan"))
TEXTS = ("", "a", "hello", "target/echo", "\0", "/", "\n" * 3, "\u202e\U0001f600", "x" * 300, "__class__")
BY_PATTERN = {
    model.NAME_PATTERN: ("hello", "a", "worker-1"),
    model.SHA256_PATTERN: ("0" * 64, "ab" * 32),
    model.TRACE_PATTERN: ("0" * 16, "a005e6bd906d3300"),
    model.PATH_PATTERN: ("", "/", "/healthz"),
}


class Shape:
    """Makes values.

    Args:
        chance: of which all is drawn.

    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._types: dict[Any, inspect.Type] = {}

    def of(self, kind: Any) -> Any:
        """A plain value that `msgspec.convert` takes for this type, most of the time."""
        if kind not in self._types:
            self._types[kind] = inspect.type_info(kind)
        return self._of(self._types[kind])

    def any(self, depth: int = 3) -> Any:
        """Any plain value."""
        chance = self._chance
        match chance.randrange(9 if depth else 6):
            case 0:
                return None
            case 1:
                return chance.random() < 0.5
            case 2:
                return chance.choice(NUMBERS)
            case 3:
                return chance.choice(FLOATS)
            case 4:
                return chance.choice(TEXTS)
            case 5:
                return chance.randbytes(chance.choice((0, 1, 8, 100)))
            case 6:
                return [self.any(depth - 1) for _ in range(chance.randrange(4))]
            case 7:
                return {chance.choice(TEXTS): self.any(depth - 1) for _ in range(chance.randrange(4))}
            case _:
                return msgspec.msgpack.Ext(chance.randrange(-128, 128), chance.randbytes(chance.randrange(9)))

    def _of(self, kind: inspect.Type) -> Any:
        chance = self._chance
        match kind:
            case inspect.StructType(fields=fields):
                return {f.encode_name: self._of(f.type) for f in fields if f.required or chance.random() < 0.8}
            case inspect.UnionType(types=types):
                return self._of(chance.choice(types))
            case inspect.StrType(pattern=pattern):
                fitting = BY_PATTERN.get(pattern or "") or [text for text in TEXTS if re.search(pattern or "", text)]
                return chance.choice(fitting or TEXTS)
            case inspect.LiteralType(values=values):
                return chance.choice(values)
            case inspect.BoolType():
                return chance.random() < 0.5
            case inspect.IntType(ge=low, gt=above, le=high):
                least = low if low is not None else above
                fit = [n for n in NUMBERS if (least is None or n >= least) and (high is None or n <= high)]
                return chance.choice(fit or [least or 0])
            case inspect.FloatType():
                return chance.choice(FLOATS)
            case inspect.BytesType():
                return chance.randbytes(chance.choice((0, 1, 100)))
            case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
                return [self._of(item) for _ in range(chance.randrange(3))]
            case inspect.TupleType(item_types=items):
                return [self._of(item) for item in items]
            case inspect.DictType(key_type=key, value_type=value):
                return {self._of(key): self._of(value) for _ in range(chance.randrange(3))}
            case inspect.NoneType():
                return None
            case inspect.CustomType():  # a ref: an address
                return "target/echo"
            case _:
                return self.any()
