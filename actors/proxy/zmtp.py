"""ZMTP, what ZeroMQ sockets speak: 37/ZMTP 3.1 with the mechanism NULL, and 15/ZMTP 2.0 (rfc.zeromq.org). Pure.

Bytes in, messages out. A message stays as it travels: frame after frame, each with its flags and its length. So what is
passed on is cut out and put together in one piece however many frames it has, and bounded while it comes.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

Frames = list[bytes]

MAX_MESSAGE: Final = 16 << 20
"""Bytes of one message, all its frames together, at most; who sends more is disconnected."""

_MAX_COMMAND: Final = 4096  # READY with its properties is the longest
_MORE, _LONG, _COMMAND = 1, 2, 4  # flags of a frame
_ALIKE: Final = 64  # bytes of a beginning that is remembered
_PING, _PONG = b"\x04PING", b"\x04PONG"
_READY, _ERROR = b"\x05READY", b"\x05ERROR"

_SIGNATURE: Final = b"\xff" + (1).to_bytes(8) + b"\x7f"
_VERSION: Final = 3
_REST: Final = b"\x01" + b"NULL".ljust(20, b"\0") + bytes(32)  # minor version, mechanism, who is the server, filler
_NUMBERS: Final = {3: b"REQ", 4: b"REP", 5: b"DEALER", 6: b"ROUTER"}  # as 2.0 says them
_PARTNERS: Final = {b"ROUTER": (b"REQ", b"DEALER", b"ROUTER"), b"DEALER": (b"REP", b"DEALER", b"ROUTER")}


class ProtocolError(Exception):
    """The other side does not speak ZMTP, not with a socket like ours, or says too much: to be disconnected."""


def pack(frames: Sequence[bytes], *, more: bool = False) -> bytes:
    """The message of these frames; `more`: its beginning, to which a further one is to be added."""
    last = len(frames) - 1
    return b"".join([_frame(frame, _MORE if more or at < last else 0) for at, frame in enumerate(frames)])


def _frame(body: bytes, flags: int) -> bytes:
    size = len(body)
    if size < 256:
        return bytes((flags, size)) + body
    return bytes((flags | _LONG,)) + size.to_bytes(8) + body


def unpack(message: bytes) -> Frames:
    """The frames of a message that is whole."""
    frames, at, end = [], 0, len(message)
    while at < end:
        after = _after(message, at, end)
        frames.append(message[at + (9 if message[at] & _LONG else 2) : after])
        at = after
    return frames


def _after(buffer: bytes | bytearray, at: int, end: int) -> int:
    """Where the frame ends that begins there; beyond `end` if its length is not there yet."""
    flags = buffer[at]
    if flags & ~(_MORE | _LONG | _COMMAND) or (flags & _COMMAND and flags & _MORE):
        raise ProtocolError("a frame with flags that there are not")
    head = 2
    if flags & _LONG:
        head = 9
        if at + head > end:
            return end + 1
    size = int.from_bytes(buffer[at + 1 : at + head])
    if flags & _COMMAND and size > _MAX_COMMAND:
        raise ProtocolError(f"a command of more than {_MAX_COMMAND} bytes")
    return at + head + size


class Met(NamedTuple):
    """What is known of a peer that has shaken hands: the name that it has given itself, what has come of a message."""

    name: bytes
    held: bytes


class Peer:
    """The other side of a connection.

    Args:
        kind: What we are: `ROUTER` or `DEALER`.
        send: Takes what the protocol itself has to say to it.
        alike: Its messages are likely to begin alike, frame by frame.
        met: It has shaken hands before.

    Attributes:
        up: It has shaken hands: messages may be sent to it.
        name: The identity that it has given itself; empty for none.
    """

    __slots__ = ("_alike", "_beginning", "_held", "_kind", "_seen", "_send", "_stage", "name", "up")

    def __init__(
        self, kind: bytes, send: Callable[[bytes], None], *, alike: bool = False, met: Met | None = None
    ) -> None:
        self._kind = kind
        self._send = send
        self._alike = alike
        self._beginning = b""  # the frames before the last one, of the message before
        self._held = bytearray(met.held if met else b"")  # what has come of a message, or of the handshake
        self._seen = 0  # bytes of it that are whole frames
        self._stage = self._signature
        self.up = met is not None
        self.name = met.name if met else b""
        if met is None:
            send(_SIGNATURE + bytes((_VERSION,)))

    @property
    def held(self) -> int:
        """Bytes that have come of a message that is not whole."""
        return len(self._held)

    def end(self) -> None:
        """Keep nothing: it is over."""
        self._held = bytearray()
        self._send = _unheard

    def met(self) -> Met:
        """For who goes on with a peer that is up, when all that it was told has been sent."""
        return Met(self.name, bytes(self._held))

    def feed(self, data: bytes) -> list[bytes]:
        """Messages that end with what has come.

        Raises:
            ProtocolError: See there.
        """
        if not self.up:
            data = self._shake_hands(data)
        return self._cut(data) if data else []

    def _cut(self, data: bytes) -> list[bytes]:
        buffer: bytes | bytearray = data
        beginning, start, at = self._beginning, 0, 0
        found: list[bytes] = []
        if self._held:
            self._held += data
            buffer, at = self._held, self._seen
        elif data.startswith(beginning):
            at = len(beginning)
        end = len(buffer)
        while at + 1 < end:  # flags, and a length if it is short
            flags = buffer[at]
            after = at + 2 + buffer[at + 1] if flags < _LONG else _after(buffer, at, end)
            if after - start > MAX_MESSAGE:
                raise ProtocolError(f"a message of more than {MAX_MESSAGE} bytes")
            if after > end:
                break
            if not flags & _MORE:
                if flags & _COMMAND:
                    self._obey(bytes(buffer[at:after]))
                    if at > start:  # libzmq's heartbeats come between the frames of a message, too
                        if buffer is data:
                            buffer = self._held = bytearray(data)
                        del self._held[at:after]
                        end -= after - at
                        continue
                else:
                    found.append(data[start:after] if buffer is data else bytes(buffer[start:after]))
                    if self._alike and at != start + len(beginning) and at - start <= _ALIKE:
                        self._beginning = beginning = bytes(buffer[start:at])
                start = after
                if buffer.startswith(beginning, start):
                    after += len(beginning)
            at = after
        self._seen = at - start
        if buffer is data:
            self._held += data[start:]
        elif start < end:
            del self._held[:start]
        else:
            self._held = bytearray()
        return found

    def _obey(self, command: bytes) -> None:
        body = _body(command)
        if body.startswith(_ERROR):
            raise ProtocolError("it says that there is an error")
        if body.startswith(_PING):
            self._send(_frame(_PONG + body[7:], _COMMAND))  # without the seconds that it would wait

    # --- the handshake, stage by stage: each says how many bytes were its own, 0 if it is not over --------------------

    def _shake_hands(self, data: bytes) -> bytes:
        """What has come after the handshake."""
        held = self._held
        held += data
        while not self.up:
            used = self._stage(held)
            if not used:
                return b""
            del held[:used]
        self._held = bytearray()
        return bytes(held)

    def _signature(self, held: bytearray) -> int:
        if any(len(held) > at and held[at] != _SIGNATURE[at] for at in (0, 9)):
            raise ProtocolError("it speaks no ZMTP, or one before 2.0")
        if len(held) < 11:
            return 0
        if held[10] >= _VERSION:
            self._send(_REST)
            self._stage = self._greeting
        else:
            number = next(number for number, kind in _NUMBERS.items() if kind == self._kind)
            self._send(bytes((number, 0, 0)))  # what we are, and a name, which is empty
            self._stage = self._greeting_2
        return 11

    def _greeting(self, held: bytearray) -> int:
        used = len(_REST)
        if len(held) < used:
            return 0
        if held[1:21].rstrip(b"\0") != b"NULL":
            raise ProtocolError("it wants a security mechanism, and there is none")
        kind = b"\x0bSocket-Type" + len(self._kind).to_bytes(4) + self._kind
        self._send(_frame(_READY + kind + b"\x08Identity" + bytes(4), _COMMAND))
        self._stage = self._ready
        return used

    def _ready(self, held: bytearray) -> int:
        used = _after(held, 0, len(held)) if len(held) > 1 else 2
        if used > len(held):
            if used > _MAX_COMMAND + 9:
                raise ProtocolError("it does not shake hands")
            return 0
        body = _body(bytes(held[:used]))
        if not held[0] & _COMMAND or not body.startswith(_READY):
            raise ProtocolError("it does not shake hands")
        properties = _properties(body[len(_READY) :])
        self._meet(properties.get(b"socket-type", b""), properties.get(b"identity", b""))
        return used

    def _greeting_2(self, held: bytearray) -> int:
        if len(held) < 3 or len(held) < 3 + held[2]:  # what it is; its name, as a frame
            return 0
        if held[1]:
            raise ProtocolError("its name is no short frame")
        used = 3 + held[2]
        self._meet(_NUMBERS.get(held[0], b""), bytes(held[3:used]))
        return used

    def _meet(self, kind: bytes, name: bytes) -> None:
        if kind not in _PARTNERS[self._kind]:
            self._send(_frame(_ERROR + b"\x13Invalid socket type", _COMMAND))
            raise ProtocolError("its socket is of a type that does not go with ours")
        if len(name) > 255:
            raise ProtocolError("its name is longer than 255 bytes")
        self.name = name
        self.up = True


def _unheard(_: bytes) -> None:
    """What is said to nobody."""


def _body(frame: bytes) -> bytes:
    return frame[9 if frame[0] & _LONG else 2 :]


def _properties(data: bytes) -> dict[bytes, bytes]:
    """Those of READY: to each name, in any case, its value."""
    found, at = {}, 0
    while at < len(data):
        name = data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]
        size = int.from_bytes(data[at : at + 4])
        value = data[at + 4 : at + 4 + size]
        if len(data) < at + 4 + size:
            raise ProtocolError("its properties are cut")
        found[name.lower()] = value
        at += 4 + size
    return found
