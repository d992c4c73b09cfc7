"""The side of the clients: one connection, its requests in order, its timeouts."""

import asyncio
import socket
import struct
from functools import lru_cache
from http import HTTPStatus
from math import inf
from typing import Final, cast

from . import own
from .answer import CLOSES
from .exchange import Exchange
from .head import Request
from .log import escaped
from .reading import MANY_REQUESTS, SLOW_INSTANCE
from .rules import EMPTY_LINES, Refused, check_partial
from .sending import Connection
from .shared import Shared

_PIPELINE: Final = 64 * 1024  # bytes of further requests that are read while one is open
_DISCARD: Final = 1024 * 1024  # bytes that are read and dropped so that a client may read our last words
_TLS: Final = b"\x16\x03"  # what TLS begins with
NO_AGENT: Final = b'"-" "-"'


@lru_cache(1024)  # who comes often is asked about once
def _introduced(host: str, secure: bool) -> tuple[bytes, bytes]:
    """Of a client at that address: `Client.peer` and `Client.forwarded`."""
    peer, proto = host.encode("ascii"), b"https" if secure else b"http"
    lines = b"for=%b;proto=%b\r\nX-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Request-Id: "
    return peer, lines % (b'"[%b]"' % peer if b":" in peer else peer, proto, peer, proto)


class Client(Connection):
    """A client's connection.

    Attributes:
        closing: The request that is open, or the first one, is the last.
        deadline: When `expire` is due; `inf` while there is nothing to wait for.
        forwarded: What the head of each request that is sent on ends with, but for its id: the rest of its Forwarded
            line, further lines, and the name of the last one.
        inside: It came to the front for this machine's own programs.

    Args:
        shared: The data path.
        secure: The connection is TLS.
        inside: See above.
    """

    __slots__ = (
        "_backlog", "_buffer", "_choked", "_discarded", "_ended", "_lingering", "_seen", "_served", "_shut",
        "closing", "deadline", "exchange", "forwarded", "inside", "peer", "secure", "shared",
    )  # fmt: skip

    def __init__(self, shared: Shared, *, secure: bool = False, inside: bool = False) -> None:
        super().__init__()
        self.shared = shared
        self.secure = secure
        self.inside = inside
        self.exchange: Exchange | None = None
        self.closing = False
        self._buffer = b""  # what came and was not read yet: the beginning of a head, or further requests
        self._seen = 0  # bytes of it that were looked through and are a good beginning
        self._backlog = 0  # bytes the client had still to read when we looked last
        self._choked = False  # the client reads slower than we write
        self._ended = False  # the client sends no more
        self._served = False  # it has carried a request
        self._shut = False  # nothing more is read
        self._lingering = False  # all is said; what still comes is dropped
        self._discarded = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        self.transport = cast(asyncio.Transport, transport)
        self.peer, self.forwarded = _introduced(transport.get_extra_info("peername")[0], self.secure)
        shared = self.shared
        self.closing = shared.stopping  # now, and not before a handshake that took its time
        shared.clients.add(self)
        self.deadline = shared.clock() + shared.timeouts.head

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, by whomever."""
        super().connection_lost(exc)
        shared = self.shared
        shared.clients.discard(self)
        if self._ended:
            shared.half_closed.pop(self, None)
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.abandon()
        shared.look_if_empty()

    # --- what comes --------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """A part of a request came, or of several."""
        exchange = self.exchange
        if self._lingering:
            self._discarded += len(data)
            if self._discarded > _DISCARD:
                self.transport.abort()
        elif exchange is None:
            if self._buffer:
                data = self._buffer + data
            self._read(data)
        elif exchange.tunnel:
            exchange.feed(data)
        elif exchange.body is not None:
            self._body(exchange, data)
        else:
            self._buffer += data
            self._bound()

    def _read(self, data: bytes) -> None:
        """Start the requests whose heads are complete; keep what is left."""
        seen, self._seen = self._seen, 0
        while data and not self._choked and not self._shut:
            if data.startswith(b"\r\n"):  # RFC 9112, 2.2: empty lines before a request are ignored
                data, seen = EMPTY_LINES.sub(b"", data, 1), 0
                continue
            end = data.find(b"\r\n\r\n", seen - 3 if seen > 3 else 0)
            try:
                if end < 0:
                    check_partial(data, seen)
                    if not self._buffer:
                        self.deadline = self.shared.clock() + self.shared.timeouts.head
                    self._seen = len(data)
                    break
                exchange = self.begin(self.shared.heads.parse(data, end))
            except Refused as refused:
                self._refuse(refused, data)
                return
            self.exchange = exchange
            self._buffer = b""
            seen = 0
            self.deadline = inf
            data = data[end + 4 :]
            if exchange.body is not None:
                try:
                    data = self._fed(exchange, data)
                except Refused as refused:
                    self._break_off(exchange, refused)
                    return
            exchange.start()
            if self.exchange is not None:
                if exchange.body is not None or self._ended:
                    self._await(exchange)
                break
        self._buffer = data
        if data:
            self._bound()

    def begin(self, request: Request) -> Exchange:
        """What is to be done with a request."""
        return Exchange(self, request)

    def _body(self, exchange: Exchange, data: bytes) -> None:
        try:
            self._buffer = self._fed(exchange, data)
        except Refused as refused:
            self._break_off(exchange, refused)
            return
        self._await(exchange)

    def _fed(self, exchange: Exchange, data: bytes) -> bytes:
        turns = self.shared.turns
        began = turns.clock()
        rest = exchange.feed(data)
        turns.had(self, len(data), began)
        return rest

    def _await(self, exchange: Exchange) -> None:
        shared = self.shared
        if exchange.body is not None:
            self.deadline = shared.clock() + exchange.idle
        elif self._ended and not exchange.tunnel and not exchange.begun:
            self.deadline = shared.clock() + shared.timeouts.half_closed
            shared.half_closed[self] = None
            exchange.make_room()
        else:
            self.deadline = inf

    @property
    def slowed_by_instance(self) -> bool:
        """It is not read, because the instance takes its body slower than it comes."""
        return bool(self._held_back & SLOW_INSTANCE)

    def _break_off(self, exchange: Exchange, refused: Refused) -> None:
        """End a request whose body breaks a rule: the instance must not take what came for the whole."""
        self.exchange = None
        begun = exchange.begun
        exchange.abandon(refused.status)
        if begun:
            self.cut()
        else:
            self._refuse(refused, b"")

    def eof_received(self) -> bool:
        """The client sends no more. True keeps our own direction open."""
        again, self._ended = self._ended, True  # it is told again when reading is resumed
        if self.unsent:
            self.push()  # False closes at once
        exchange = self.exchange
        if exchange is None:  # open for further requests that are due to be read
            return not self.secure and not self._shut and b"\r\n\r\n" in self._buffer
        if exchange.body is not None or self.secure:
            return False  # the request will never be complete; and TLS ends both ways at once
        if exchange.tunnel and not again:
            exchange.client_eof()
        elif not again and not exchange.begun:  # what has begun keeps its deadline, if it is one that does not read
            self._await(exchange)
        return True  # it has asked, and may still read the answer

    # --- what goes ---------------------------------------------------------------------------------------------------

    def finished(self, *, keep: bool, unread: bool) -> None:
        """The exchange is over.

        Args:
            keep: The connection may carry another one.
            unread: The client may still be sending: the rest of the request, or another one.
        """
        self.exchange = None
        self._served = True
        if self._ended:
            self.shared.half_closed.pop(self, None)
        patience = self.shared.patience
        if not keep or (self.closing and not patience) or (self._ended and not self._buffer):
            self._close(linger=unread or bool(self._buffer))
            return
        if self._held_back:
            self.let_go(SLOW_INSTANCE)
        now, timeouts = self.shared.clock(), self.shared.timeouts
        if self._choked:
            self.deadline = now + timeouts.stall  # no longer what the service allows a request
        else:
            self.deadline = now + (patience if self.closing else timeouts.idle)
        if self._buffer:
            self.shared.loop.call_soon(self._next)

    def _next(self) -> None:
        """Go on with the requests that came early."""
        if self.exchange is None and not self._shut:
            data, self._buffer = self._buffer, b""
            self._read(data)
            self._bound()
            if self._ended and self.exchange is None:
                self._close(linger=False)

    def tunnelled(self) -> None:
        """The connection left HTTP: what came early belongs to the tunnel."""
        self.deadline = inf
        early, self._buffer = self._buffer, b""
        if self.exchange is not None:
            if early:
                self.exchange.feed(early)
            if self._ended:
                self.exchange.client_eof()
        self._bound()

    def cut(self) -> None:
        """Close so that the client sees that its answer is not complete: a reset, never an ordinary end."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.abandon()
        self._shut = True
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _refuse(self, refused: Refused, data: bytes) -> None:
        """Answer what is not a request, and close: nobody knows where the next request begins."""
        name = next(self.shared.ids)
        answer = own.refused(refused.why, refused.status).render(request_id=name, as_json=False, bare=False, end=CLOSES)
        self.write(answer)
        if data:
            line = escaped(data[:256].partition(b"\r\n")[0]) if data[:2] != _TLS else b"(TLS, at the port without it)"
            self.shared.log.line(
                self.peer, line, refused.status, len(answer), NO_AGENT, 0.0, request_id=name, secure=self.secure
            )
        self._close(linger=True)

    def _close(self, *, linger: bool) -> None:
        """Say no more. To close while the client sends would reset the connection under the answer it is to read."""
        timeouts, now = self.shared.timeouts, self.shared.clock()
        self._shut = True
        self._buffer = b""
        if self.unsent:
            self.push()
        self._backlog = self.transport.get_write_buffer_size()
        if linger and not self._ended and not self.secure and not self.transport.is_closing():
            self._lingering = True
            self.deadline = now + timeouts.linger
            self.transport.write_eof()
            self.let_go(SLOW_INSTANCE)
            self._bound()
        else:
            self.deadline = now + timeouts.stall
            self.transport.close()  # under TLS this lingers, too: it waits for the client's own goodbye

    def drain(self) -> None:
        """Take no further request: close when the open one has its answer, or now.

        A connection that has not asked anything yet may ask once, soon: its request may be on its way. While there is
        patience (somebody else takes the new connections), that holds for connections that are kept, too.
        """
        self.closing = True
        if self.exchange is None and not self._shut:
            patience = self.shared.patience
            if self._served and not patience:
                self._close(linger=False)
            else:
                self.deadline = min(self.deadline, self.shared.clock() + (patience or self.shared.timeouts.first))

    # --- flow and time -----------------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """The client reads slower than we write."""
        self._choked = True
        self._backlog = self.transport.get_write_buffer_size()
        exchange = self.exchange
        self.deadline = self.shared.clock() + (exchange.idle if exchange else self.shared.timeouts.stall)
        if exchange is not None:
            exchange.choke(full=True)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._choked = False
        shared = self.shared
        if self.exchange is not None:
            self._await(self.exchange)
            self.exchange.choke(full=False)
        elif not self._shut:
            self.deadline = shared.clock() + shared.timeouts.idle
            if self._buffer:
                shared.loop.call_soon(self._next)

    def let_go(self, reason: int) -> None:
        """See `Reading.let_go`."""
        held_back = self._held_back
        super().let_go(reason)
        if held_back and not self._held_back and self.exchange is not None and self.exchange.body is not None:
            self._await(self.exchange)  # its time begins now: it could send nothing before

    def _bound(self) -> None:
        """Bound what waits in the buffer."""
        if len(self._buffer) > _PIPELINE:
            self.hold_back(MANY_REQUESTS)
        else:
            self.let_go(MANY_REQUESTS)

    def expire(self, now: float) -> None:
        """The deadline has passed: the client is too slow, or has gone silently."""
        exchange = self.exchange
        timeouts = self.shared.timeouts
        stall = exchange.idle if exchange is not None else timeouts.stall
        if self._choked or self._shut:
            before, self._backlog = self._backlog, self.transport.get_write_buffer_size()
            if self._backlog < before:
                self.deadline = now + (timeouts.linger if self._lingering else stall)
            elif self._backlog:
                self.cut()
            else:
                self.transport.abort()
        elif exchange is not None and exchange.body is None:
            if exchange.begun or exchange.tunnel:
                self.deadline = inf  # what is written shows whether it has left
            else:
                self.transport.abort()
        elif exchange is not None:
            if self.slowed_by_instance:
                self.deadline = now + stall  # it is the instance that is slow
            else:
                self._break_off(exchange, Refused("the body did not come in time", HTTPStatus.REQUEST_TIMEOUT))
        elif self._buffer:
            self._refuse(Refused("the head did not come in time", HTTPStatus.REQUEST_TIMEOUT), self._buffer)
        else:
            self._close(linger=False)
