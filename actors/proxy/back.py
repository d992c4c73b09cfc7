"""The side of the instances: one kept-alive connection (`Upstream`), and the pool of one instance (`Backend`)."""

import asyncio
import contextlib
import os
import select
import socket
from typing import Final, Protocol, cast

from . import framing
from .affinity import token
from .answer import Answer, Answers
from .log import escaped
from .policies import Candidate
from .reading import SLOW_CLIENT, Turns
from .rules import BARE_LF, MAX_HEAD, Refused
from .sending import Connection
from .tally import Tally

SHORT: Final = 8 * 1024  # bytes of a piece that is cheaper to copy behind its head than to send as a second buffer
_POOL: Final = 256  # idle connections kept per instance


class Asker(Protocol):
    """Whoever waits for an answer on an `Upstream`: the exchange."""

    http10: bool
    bodiless: bool

    @property
    def turns(self) -> Turns:
        """Where the connection waits while others are read."""

    def touch(self) -> None:
        """The first bytes of an answer came, not yet its whole head."""

    def interim(self, answer: Answer) -> None:
        """An answer of the 100s came; the final one follows."""

    def switched(self, answer: Answer, data: bytes) -> None:
        """The instance agreed to leave HTTP, and sent `data` already; `relay` follows."""

    def answered(self, answer: Answer, length: int, piece: bytes | memoryview, *, done: bool) -> None:
        """The head of the final answer came, and `piece` of its body of `length`; `done`: that is all."""

    def relay(self, piece: bytes) -> None:
        """More of the body came."""

    def ended(self) -> None:
        """The answer is complete."""

    def broken(self, why: str) -> None:
        """What came is not HTTP."""

    def instance_eof(self) -> None:
        """The instance sends no more into the tunnel."""

    def lost(self) -> None:
        """The connection is gone, and the answer is not complete."""

    def forsaken(self) -> None:
        """The instance has left the table."""

    def ease(self, *, full: bool) -> None:
        """The instance takes the request's body slower than it comes (`full`), or no longer."""


class Upstream(Connection):
    """A connection to an instance, which carries one exchange at a time.

    Attributes:
        asker: Whoever waits for the answer; None while idle.
        keep_alive: The instance takes another request after this answer.
        reused: It has carried an exchange before this one.
    """

    __slots__ = ("_backend", "_body", "_ended", "_head", "_spare", "_tunnel", "asker", "keep_alive", "reused")

    def __init__(self, backend: "Backend") -> None:
        super().__init__()
        self._backend = backend
        self._body: framing.Body | None = None  # of the answer that is coming
        self._head = b""  # the beginning of an answer's head
        self._tunnel = False
        self._ended = False  # the instance sends no more
        self._spare: socket.socket | None = None  # the same socket again: the loop's is closed when a write fails
        self.asker: Asker | None = None
        self.keep_alive = False
        self.reused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The instance accepted."""
        self.transport = cast(asyncio.Transport, transport)
        self._backend.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, by whomever."""
        super().connection_lost(exc)
        self._backend.forget(self)
        if self._spare is not None:
            self._read_out(self._spare)
        if self.asker is not None:
            self.asker.lost()

    def feed(self, piece: bytes) -> None:
        """Send a piece of the request's body.

        Who refuses a body and closes resets the connection; then a write fails before the answer that is there is read.
        """
        if self._spare is None and not self.transport.is_closing():
            with contextlib.suppress(OSError):  # no descriptor is left: it goes without
                self._spare = socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno()))
        self.write(piece)

    def _read_out(self, spare: socket.socket) -> None:
        with spare, contextlib.suppress(OSError):
            while self.asker is not None and (data := spare.recv(SHORT, socket.MSG_DONTWAIT)):
                self.data_received(data)

    def data_received(self, data: bytes) -> None:
        """A part of an answer came."""
        asker = self.asker
        if asker is None or self.unsent:
            self.transport.abort()  # bytes that nobody asked for must never become somebody's answer
            return
        try:
            if self._body is None:
                self._answer(asker, data)
            else:
                self._more(asker, self._body, data)
        except Refused as refused:
            asker.broken(refused.why)

    def _answer(self, asker: Asker, data: bytes) -> None:
        if self._head:
            data = self._head + data
            self._head = b""
        while True:  # interim answers come before the final one
            end = data.find(b"\r\n\r\n") + 4
            if end < 4:
                if len(data) > MAX_HEAD:
                    raise Refused("the head of the answer is too long")
                if BARE_LF.search(data):  # its end would never come
                    raise Refused("a line of the answer ends with LF alone")
                self._head = data
                asker.touch()
                return
            answer = self._backend.answers.parse(data[:end], http10=asker.http10)
            if answer.status >= 200:
                break
            data = data[end:]
            if answer.status == 101:
                self._body = framing.UntilClose()
                self._tunnel = True
                asker.switched(answer, data)
                return
            asker.interim(answer)
            if not data:
                return
        length = 0 if asker.bodiless or answer.status == 304 else answer.length
        self.keep_alive = answer.keep_alive
        if len(data) - end == length:
            piece = data[end:] if length < SHORT else memoryview(data)[end:]
            asker.answered(answer, length, piece, done=True)
            return
        body = framing.body(length, strip=asker.http10)
        if body is None:
            self.keep_alive = False  # more came than was announced
            asker.answered(answer, length, b"", done=True)
            return
        self._body = body
        out, rest = body.feed(data[end:])
        asker.answered(answer, length, out, done=self._over(body, rest))

    def _more(self, asker: Asker, body: framing.Body, data: bytes) -> None:
        turns = asker.turns
        began = turns.clock()
        piece, rest = body.feed(data)
        over = self._over(body, rest)
        if piece:
            asker.relay(piece)
        if over:
            asker.ended()
        else:
            turns.had(self, len(data), began)

    def _over(self, body: framing.Body, rest: bytes) -> bool:
        if not body.done:
            return False
        self._body = None
        if rest:
            self.keep_alive = False  # more came than was announced
        return True

    def eof_received(self) -> bool:
        """The instance sends no more: that ends some answers. True keeps our own direction open."""
        if self.asker is None:
            return False
        again, self._ended = self._ended, True  # it is told again when reading is resumed
        if self._tunnel:
            if not again:
                self.asker.instance_eof()
            return True
        if isinstance(self._body, framing.UntilClose):
            self._body = None
            self.keep_alive = False
            self.asker.ended()
        return False

    def pause_writing(self) -> None:
        """The instance reads slower than we write."""
        if self.asker is not None:
            self.asker.ease(full=True)

    def resume_writing(self) -> None:
        """The instance has caught up."""
        if self.asker is not None:
            self.asker.ease(full=False)

    def pause(self) -> None:
        """Read no more of the answer for now: the client is slow."""
        self.hold_back(SLOW_CLIENT)

    def resume(self) -> None:
        """Read on."""
        self.let_go(SLOW_CLIENT)

    @property
    def paused(self) -> bool:
        """It is not read, since the client is slow."""
        return bool(self._held_back & SLOW_CLIENT)

    def quiet(self) -> bool:
        """Nothing waits to be read: the instance has neither closed this idle connection nor spoken out of turn."""
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLRDHUP)
        return not poll.poll(0)


class Backend(Candidate):
    """One instance: its address, the connections to it, and how many requests it has open.

    Args:
        instance: The instance's id.
        host: Where it listens.
        port: Where it listens.

    Attributes:
        ready: It is in the rotation, and connections to it are kept.
    """

    __slots__ = ("_address", "_idle", "answers", "connections", "instance", "name", "ready", "tally", "token")

    def __init__(self, instance: str, host: str, port: int) -> None:
        super().__init__(instance)
        self.instance = instance
        self.name = escaped(instance.encode())
        self.token = token(instance)
        self.answers = Answers(instance)
        self.connections: set[Upstream] = set()
        self.tally = Tally()
        self._address = (host, port)
        self._idle: list[Upstream] = []
        self.ready = True

    def admit(self) -> None:
        """Keep connections: the instance is in the rotation."""
        self.ready = True

    def retire(self) -> None:
        """Keep no connections: the instance takes nothing new. Open exchanges go on to their end."""
        self.ready = False
        for upstream in self._idle:
            upstream.transport.close()
        self._idle.clear()

    def depart(self) -> None:
        """It has left the table: whoever waits for it may look for another."""
        for upstream in list(self.connections):
            if upstream.asker is not None:
                upstream.asker.forsaken()

    def take(self, *, checked: bool) -> Upstream | None:
        """An idle connection, the one used last; None if there is none.

        Args:
            checked: Look whether the instance has closed it just now: a system call, for what cannot be repeated.
        """
        while self._idle:
            upstream = self._idle.pop()
            if upstream.transport.is_closing():
                continue
            if checked and not upstream.quiet():
                upstream.transport.abort()
                continue
            return upstream
        return None

    def give(self, upstream: Upstream) -> None:
        """Keep a connection whose exchange has ended, if it may carry another."""
        if self.ready and len(self._idle) < _POOL and not upstream.transport.is_closing():
            if upstream._held_back:
                upstream.resume()
            upstream.reused = True
            self._idle.append(upstream)
        else:
            upstream.transport.close()

    def forget(self, upstream: Upstream) -> None:
        """The connection is gone."""
        self.connections.discard(upstream)
        if upstream in self._idle:
            self._idle.remove(upstream)

    async def connect(self, within: float) -> Upstream:
        """Open a new connection, within so many seconds.

        Raises:
            OSError: The instance cannot be reached (TimeoutError: in time).
        """
        loop, upstream = asyncio.get_running_loop(), Upstream(self)
        try:
            async with asyncio.timeout(within):
                await loop.create_connection(lambda: upstream, *self._address)
        except BaseException:
            self.forget(upstream)  # given up just when it was made: uvloop closes it and does not say so
            raise
        return upstream
