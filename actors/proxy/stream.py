"""One user's TCP connection and the one to an instance: bytes both ways, with backpressure and half close."""

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Final, cast

from .pick import Candidate
from .reading import SLOW_OTHER, Reading, Turns
from .tally import Tally

if TYPE_CHECKING:
    from .shared import Shared
    from .tcp import Port

_KEEPALIVE: Final = {socket.TCP_KEEPIDLE: 30, socket.TCP_KEEPINTVL: 10, socket.TCP_KEEPCNT: 3}
"""Seconds, seconds, probes (tcp(7)): the other end's machine is gone if it has said nothing for a minute."""

_NO_LINGER: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of no seconds (socket(7)): to close is to reset."""


class Place(Candidate):
    """One instance of a tcp service.

    Args:
        instance: Its id.
        host: Where it listens.
        port: Where it listens.

    Attributes:
        tally: What is counted of its connections.
    """

    __slots__ = ("address", "instance", "tally")

    def __init__(self, instance: str, host: str, port: int) -> None:
        super().__init__(instance)
        self.instance = instance
        self.address = (host, port)
        self.tally = Tally()


class End(Reading):
    """One of a stream's two connections: what comes in here goes out at the other end."""

    __slots__ = ("_other", "_stream", "ended")

    def __init__(self, stream: "Stream", other: "End | None" = None) -> None:
        super().__init__()
        self._stream = stream
        self._other = other
        self.ended = False  # its side has sent all that it will

    def join(self, other: "End | None") -> None:
        """From now on `other` is the other end."""
        self._other = other

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self.transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE.items():
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        if self._other is None:
            self._stream.begin()
        else:
            self._stream.join(self)

    def data_received(self, data: bytes) -> None:
        """Pass it on, or keep it until there is an instance."""
        stream = self._stream
        stream.still = 0.0
        if self._other is None:
            stream.early += data
            self.hold_back(SLOW_OTHER)
            return
        turns = stream.turns
        began = turns.clock()
        self._other.send(data)
        turns.had(self, len(data), began)

    def eof_received(self) -> bool:
        """It sends no more: tell the other side, which may go on. True keeps our own direction open."""
        if not self.ended:
            self.ended = True
            if self._other is not None:
                self._other.finish()
                if self._other.ended:
                    self._stream.over()
        return True

    def send(self, data: bytes) -> None:
        """Bytes for this side; it may have gone."""
        if not self.transport.is_closing():
            self._stream.count(self, len(data))
            self.transport.write(data)

    def abort(self) -> None:
        """End it at once, by a reset: what came is not all, and must not look so."""
        if not self.transport.is_closing():
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()

    def finish(self) -> None:
        """Nothing more is to be sent here."""
        if not self.transport.is_closing() and self.transport.can_write_eof():
            self.transport.write_eof()

    def pause_writing(self) -> None:
        """It reads slower than the other sends."""
        if self._other is not None:
            self._other.hold_back(SLOW_OTHER)

    def resume_writing(self) -> None:
        """It has caught up."""
        if self._other is not None:
            self._other.let_go(SLOW_OTHER)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, by whomever."""
        self._stream.lost(self, reset=exc is not None)


class Stream:
    """One user's connection to a tcp service, on its way to an instance or joined with one.

    Args:
        shared: The data path.
        port: The service.

    Attributes:
        early: What the user sent before there was an instance.
        still: Seconds since anything came, as far as `Port.sweep` has counted.
        hold_until: See `Held`.
    """

    __slots__ = ("_far", "_fresh", "_near", "_place", "_port", "_shared", "_tried", "early", "hold_until", "still")

    def __init__(self, shared: "Shared", port: "Port") -> None:
        self._shared = shared
        self._port = port
        self._near = End(self)
        self._far: End | None = None
        self._place: Place | None = None
        self._tried: tuple[Place, ...] = ()
        self._fresh = True  # no byte has passed, either way
        self.early = b""
        self.still = 0.0
        self.hold_until = 0.0

    @property
    def turns(self) -> Turns:
        """Where an end waits while others are read."""
        return self._shared.turns

    @property
    def near(self) -> End:
        """The user's end."""
        return self._near

    def begin(self) -> None:
        """A user has connected."""
        self._port.opened(self)
        self._attempt()

    def _attempt(self) -> None:
        key = None
        if self._port.balance.policy == "hash":
            key = str(self._near.transport.get_extra_info("peername")[0]).encode()
        place = self._port.rota.pick(self._shared.clock(), self._tried, key)
        if place is None:
            self._hold()
            return
        place.open += 1
        self._place = place
        dial = self._shared.loop.create_task(self._dial(place))
        self._port.dials.add(dial)
        dial.add_done_callback(self._port.dials.discard)

    async def _dial(self, place: Place) -> None:
        try:
            async with asyncio.timeout(self._port.timeouts.connect):
                await self._shared.loop.create_connection(lambda: End(self, self._near), *place.address)
        except BaseException as error:
            self._unjoin()  # given up just when it was made: uvloop closes it and does not say so
            if not isinstance(error, OSError):
                raise
            if self._fresh:
                self._elsewhere(place)
            else:
                self._near.abort()
            return
        if len(self._port.waiting):
            self._port.waiting.wake()

    def _elsewhere(self, place: Place) -> None:
        """Nothing was sent: another instance may have it."""
        self._release()
        self._port.failed(place)
        if not self.is_over:
            self._tried += (place,)
            self._attempt()

    def join(self, far: End) -> None:
        """An instance accepted."""
        if self.is_over:
            far.abort()  # the user left meanwhile
            return
        self._far = far
        if self._place is not None:
            self._port.rota.ejection.succeeded(self._place)
        self._near.join(far)
        if self.early:
            far.send(self.early)
            self.early = b""
        if self._near.ended:
            far.finish()
        else:
            self._near.let_go(SLOW_OTHER)

    def _unjoin(self) -> None:
        self._far = None
        self._near.join(None)

    def count(self, end: End, size: int) -> None:
        """So many bytes go to this end."""
        self._fresh = False
        if end is self._near:
            self._port.sent += size
        else:
            self._port.received += size
        if self._place is None:
            return
        if end is self._near:
            self._place.tally.sent += size
        else:
            self._place.tally.received += size

    # --- without an instance -----------------------------------------------------------------------------------------

    def _hold(self) -> None:
        now = self._shared.clock()
        port = self._port
        crowded = port.line is not None and port.rota.crowded(self._tried)
        if not self.hold_until:
            if not (crowded or port.expected or self._tried):
                self.give_up()
                return
            self.hold_until = now + (port.balance.queue_wait if crowded else self._shared.timeouts.hold)
        queue = port.line if crowded and port.line is not None else port.waiting
        self._tried = ()
        if now >= self.hold_until or not queue.add(self):
            self.give_up()

    def again(self) -> None:
        """Look for an instance again."""
        if not self.is_over:
            self._attempt()

    def give_up(self) -> None:
        """No instance took the connection: a reset says so."""
        self._port.errors += 1
        self._near.abort()

    # --- the end -----------------------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """The user's connection is closed, or being closed."""
        return self._near.transport.is_closing()

    def over(self) -> None:
        """Both sides have sent all: what is on its way still arrives."""
        for end in (self._near, self._far):
            if end is not None:
                end.transport.close()

    def cut(self) -> None:
        """End it at once."""
        for end in (self._near, self._far):
            if end is not None:
                end.abort()

    def lost(self, end: End, *, reset: bool) -> None:
        """One connection is gone: the other one ends as it did, or goes on with another instance if it can."""
        if reset and self._fresh and end is self._far and self._place is not None and not self.is_over:
            self._unjoin()  # the process died before it looked at us
            self._elsewhere(self._place)
            return
        if reset:
            self.cut()
        else:
            self.over()
        if self._near.transport.is_closing() and (self._far is None or self._far.transport.is_closing()):
            self._release()
            self._port.closed(self)

    def _release(self) -> None:
        if self._place is not None:
            self._place.open -= 1
            self._place = None
            self._port.flow()
