"""Messages: typed values with a tag, and their way to bytes and back."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from tucano.actors.kernel.errors import NOT_UNDERSTOOD, Refused
from tucano.transport.link import CONTROL, Lane

_TYPES: dict[str, type[Message]] = {}
_TAGS: dict[type, str] = {}  # looked up for each message that travels: faster than `isinstance` and an attribute
_LANES: dict[type, Lane] = {}  # of those whose lane is not control


class Message(msgspec.Struct, frozen=True):
    """Base of all that may be said between components.

    A message's tag names its class with its module, so that both nodes must know it by the same names; of our own
    messages the last part of the module is enough: `deployer.Deploy/1`. A new field comes last and has a default; for
    any other change say `class Deploy(Message, frozen=True)` anew with `VERSION = 2`.

    Between nodes it travels on the lane that its class names, and its answer on the same one: `LANE = "bulk"` is for
    what is large. What one actor sends to another keeps its order on each lane, not between lanes.
    """

    VERSION: ClassVar[int] = 1
    LANE: ClassVar[Lane] = CONTROL
    TRAVELS: ClassVar[bool] = True
    TAG: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        ours = cls.__module__.startswith("tucano.actors.")
        module = cls.__module__.rpartition(".")[2] if ours else cls.__module__
        cls.TAG = _TAGS[cls] = f"{module}.{cls.__qualname__}/{cls.VERSION}"
        if cls.LANE != CONTROL:
            _LANES[cls] = cls.LANE
        if cls.TRAVELS:
            _TYPES[cls.TAG] = cls


class Note(Message, frozen=True):
    """Base of what is said within one node only, as notes to self are: no other node can say it."""

    TRAVELS = False


class Codec:
    """Encodes what actors say to each other and checks what comes in from other nodes.

    Args:
        to_wire: turns a field value that is no plain value (a `Ref`) into one.
        from_wire: the way back, `(type, plain value) -> value`.

    """

    def __init__(self, to_wire: Any = None, from_wire: Any = None) -> None:
        self._encoder = msgspec.msgpack.Encoder(enc_hook=to_wire)
        self._from_wire = from_wire
        self._decoders: dict[str, msgspec.msgpack.Decoder[Any]] = {"": msgspec.msgpack.Decoder()}

    def encode(self, value: Any) -> tuple[str, bytes]:
        """The tag (empty for a plain value: None, numbers, text, lists, maps) and the msgpack bytes.

        Raises:
            TypeError: it cannot travel, because of its cause.

        """
        try:
            return _TAGS.get(type(value), ""), self._encoder.encode(value)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            name = _TAGS.get(type(value), type(value).__name__)
            raise TypeError(f"{name} cannot travel to another node: {error}") from error

    def decode(self, tag: str, body: bytes | memoryview | msgspec.Raw) -> Any:
        """The value.

        Raises:
            Refused: the tag is not known, or a field is missing or of the wrong type.

        """
        decoder = self._decoders.get(tag)
        if decoder is None:
            kind = _TYPES.get(tag)
            if kind is None:
                raise Refused(NOT_UNDERSTOOD, _unknown(tag))
            decoder = self._decoders[tag] = msgspec.msgpack.Decoder(kind, dec_hook=self._from_wire)
        try:
            return decoder.decode(body)
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            raise Refused(NOT_UNDERSTOOD, f"{tag or 'a plain value'} is malformed: {error}") from error


def lane_of(message: Any) -> Lane:
    """The lane that a message travels on."""
    return _LANES.get(type(message), CONTROL)


def _unknown(tag: str) -> str:
    """What to say of a tag that is not known here."""
    name, _, said = tag[:80].rpartition("/")
    known = [kind.VERSION for kind in _TYPES.values() if kind.TAG.rpartition("/")[0] == name]
    if not known or not said.isdecimal():
        return f"no message is called {tag[:80]!r} here; are both nodes of one version?"
    late = "this node" if int(said) > max(known) else "the other node"
    return f"{name}/{said} is not understood here, where one knows version {max(known)} of it: upgrade {late}"
