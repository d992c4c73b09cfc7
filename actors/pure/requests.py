"""The clients' wire, as the README has it: their frames read and checked, answers made into frames. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgpack
import msgspec

from tucano.actors.kernel import Refused
from tucano.actors.messages import operations


class Read(NamedTuple):
    """A client's request.

    Attributes:
        id: its number for the answer; 0 if the frame has none.
        wanted: the operation, or why the frame is none.

    """

    id: int
    wanted: operations.Operation | Refused


def read(frame: bytes) -> Read:
    """What a client's frame means; anything may be in it."""
    identifier = 0
    try:
        plain = msgpack.unpackb(frame)
        if isinstance(plain, dict) and type(plain.get("id")) is int:
            identifier = plain["id"]
        request = msgspec.convert(plain, operations.Request)
        return Read(identifier, operations.parse(request.op, request.args))
    except operations.BadRequest as error:
        return Read(identifier, Refused(error.code, str(error)))
    except (msgspec.ValidationError, msgpack.UnpackException, ValueError, RecursionError) as error:
        why = str(error) or type(error).__name__
        text = f"not a request: {why}; it must be a msgpack map {{v: 1, id: number, op: text, args: map}}"
        return Read(identifier, Refused("bad_request", text))


def answer(identifier: int, result: Any) -> bytes:
    """The frame that answers a request: `result`, or why not if it is a `Refused`."""
    if isinstance(result, Refused):
        return msgpack.packb({"id": identifier, "error": {"code": result.code, "message": str(result)}})
    return msgpack.packb({"id": identifier, "ok": msgspec.to_builtins(result, builtin_types=(bytes,))})


def item(identifier: int, value: Any) -> bytes:
    """The frame of one item of a stream."""
    return msgpack.packb({"id": identifier, "item": msgspec.to_builtins(value)})
