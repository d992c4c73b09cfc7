"""One request and its answer: relaying both ways, what to do when either side fails, accounting."""

from bisect import bisect_right
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from tucano.actors.messages.latency import EDGES

from . import framing, own, patience
from .answer import CLOSES, STAYS, STAYS_10, Answer
from .attempt import Attempt
from .back import SHORT, Backend, Upstream
from .head import CHUNKED, UNTIL_CLOSE, Request
from .log import escaped
from .own import Own
from .reading import SLOW_INSTANCE
from .tally import UNTIMED

if TYPE_CHECKING:
    from .front import Client

_REPEATABLE: Final = 64 * 1024  # bytes of a request's body that are held so that it can be sent again
_ANSWER: Final = b"%bX-Request-Id: %b\r\n%b%b"  # the head, the id, the head's end, what came of the body
_LEFT: Final = 499  # in the log: the client left before its answer was complete


class Exchange(Attempt):
    """One request and its answer.

    Args:
        client: The connection it came on.
        request: Its head.
    """

    __slots__ = (
        "_cookie", "_fed", "_half_closed", "_held", "_keep", "_mark", "_moved", "_sent", "_sent_at", "_status",
        "_touched", "bodiless", "body", "http10", "tunnel",
    )  # fmt: skip

    def __init__(self, client: "Client", request: Request) -> None:
        super().__init__(client, request)
        self.http10 = self._fields.http10
        self.bodiless = self._method == b"HEAD"
        length = self._fields.length
        self.body = framing.body(length) if length else None  # what is still to come of the request's
        self.tunnel = False
        self._held: bytes | None = b""  # what came of the request's body; None: it cannot be sent again
        self._touched = False  # an answer has begun to come
        self._status = 0  # of the head that was sent to the client
        self._sent = 0  # bytes of the answer's body
        self._fed = 0  # bytes of the request's body, or that the client sent into the tunnel
        self._mark = (0, 0, False)  # how far all that was when we looked last
        self._moved = self.began  # when it was last seen to have moved
        self._sent_at = 0.0  # when the request was sent on, if that is of interest
        self._cookie = b""  # a header line for the answer
        self._keep = False
        self._half_closed = False  # one side of the tunnel sends no more

    # --- the request -------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> bytes:
        """Take what the client sent; return what belongs to its next request.

        Raises:
            Refused: The framing of the body breaks a rule.
        """
        if self.tunnel:
            self._fed += len(data)
            if self._upstream is not None:
                self._upstream.transport.write(data)
            return b""
        body = self.body
        if body is None:
            return data
        piece, rest = body.feed(data)
        self._fed += len(piece)
        if body.done:
            self.body = None
        if self._held is not None:
            self._held += piece
            if len(self._held) > _REPEATABLE:
                if self._upstream is None:
                    self.client.hold_back(SLOW_INSTANCE)
                else:
                    self._held = None
        if self._upstream is not None:
            self._upstream.transport.write(piece)
        return rest

    def _send(self, upstream: Upstream) -> None:
        self._upstream = upstream
        upstream.asker = self
        route = self._route
        if route is not None and (route.special or route.timed):
            self._sent_at = self._shared.clock()
            self._cookie = route.binding(self._backend, self._bound)
        head = b"%b\r\n%b%b%b\r\n\r\n" % (self._onward, self._fields.lines, self.client.forwarded, self._id)
        held = self._held
        if held:
            head += held
            if len(held) > _REPEATABLE:
                self._held = None
            self.client.let_go(SLOW_INSTANCE)  # whatever slowed the client was before this connection
        upstream.transport.write(head)

    # --- the answer --------------------------------------------------------------------------------------------------

    def touch(self) -> None:
        """The first bytes of an answer came: the request cannot be repeated any more."""
        self._touched = True

    def interim(self, answer: Answer) -> None:
        """Pass an answer of the 100s on."""
        self._touched = True
        if not self.http10:
            self.client.transport.write(answer.head + STAYS)

    def switched(self, answer: Answer, data: bytes) -> None:
        """Become a tunnel, if that was asked for."""
        if not answer.upgrade or not answer.upgrade <= self._fields.upgrade:
            self.broken("it leaves HTTP for what nobody asked for")
            return
        self._status = answer.status
        self._held = None
        self.tunnel = True
        name, end = answer.request_id or self._id, self._cookie + STAYS
        self.client.transport.write(_ANSWER % (answer.head, name, end, data))
        self._sent = len(data)
        self.client.tunnelled()

    def answered(self, answer: Answer, length: int, piece: bytes | memoryview, *, done: bool) -> None:
        """Pass the head of the final answer on, and what came of its body."""
        client = self.client
        http10 = self.http10
        self._held = None
        self._status = answer.status
        self._sent = len(piece)
        route = self._route
        if route is not None and (answer.status >= 502 or route.timed or route.rota.ejection.troubled):
            route.judge(self._backend, answer.status, self._sent_at)
        self._keep = (
            self._fields.keep_alive
            and self.body is None
            and not client.closing
            and length != UNTIL_CLOSE
            and not (http10 and length == CHUNKED)
        )
        end = (STAYS_10 if http10 else STAYS) if self._keep else CLOSES
        if self._cookie:
            end = self._cookie + end
        name = answer.request_id or self._id
        if self._sent < SHORT:
            client.transport.write(_ANSWER % (answer.head, name, end, piece))
        else:
            client.transport.writelines((_ANSWER % (answer.head, name, end, b""), piece))
        if done:
            self.ended()

    def relay(self, piece: bytes) -> None:
        """Pass on more of the body."""
        self._sent += len(piece)
        self.client.transport.write(piece)

    def ended(self) -> None:
        """The answer is complete: the instance's connection may be kept, and the client's."""
        backend = self._backend
        upstream = self._release()
        if upstream is not None and backend is not None:
            if upstream.keep_alive and self.body is None:
                backend.give(upstream)
            else:
                self._part(upstream)
        self._finish(backend, keep=self._keep)

    def broken(self, why: str) -> None:
        """The instance does not speak HTTP as it should."""
        backend = self._backend
        upstream = self._release()
        if upstream is not None:
            upstream.transport.abort()
        if self._status:
            self._cut(backend)
        else:
            self._refuse(own.nonsense(self._name(), why), backend)

    def lost(self) -> None:
        """The instance's connection is gone before its answer was complete: try another instance if that is safe."""
        backend = self._backend
        upstream = self._release()
        if self.tunnel:
            self._finish(backend, keep=False)
        elif self._status:
            self._cut(backend)
        elif backend is None or upstream is None:
            self._refuse(own.closed_early(self._name()), backend)
        else:
            if self._touched or not upstream.reused:  # an idle connection may end at any time, which says nothing
                self._failed(backend)
            if self._touched or self._held is None or not self._may_repeat():
                self._refuse(own.closed_early(self._name()), backend)
            else:
                self._moved = self._shared.clock()
                self._repeat(backend, upstream)

    # --- both ways ---------------------------------------------------------------------------------------------------

    def choke(self, *, full: bool) -> None:
        """The client reads slower than the instance answers (`full`), or no longer."""
        if self._upstream is not None:
            if full:
                self._upstream.pause()
            else:
                self._upstream.resume()

    def ease(self, *, full: bool) -> None:
        """The instance reads slower than the client sends (`full`), or no longer."""
        if full:
            self.client.hold_back(SLOW_INSTANCE)
        else:
            self.client.let_go(SLOW_INSTANCE)

    def instance_eof(self) -> None:
        """The instance sends no more into the tunnel."""
        if self._half_closed or self.client.secure:  # TLS ends both ways at once
            self._end_tunnel()
        else:
            self._half_closed = True
            self.client.transport.write_eof()

    def client_eof(self) -> None:
        """The client sends no more into the tunnel."""
        if self._half_closed or self._upstream is None:
            self._end_tunnel()
        else:
            self._half_closed = True
            self._upstream.transport.write_eof()

    def _end_tunnel(self) -> None:
        backend = self._backend
        upstream = self._release()
        if upstream is not None:
            upstream.transport.close()
        self._finish(backend, keep=False)

    # --- time ------------------------------------------------------------------------------------------------------

    @property
    def idle(self) -> float:
        """Seconds in which something of a body must come."""
        return self._route.timeouts.idle if self._route is not None else self._shared.timeouts.stall

    def expire(self, now: float) -> None:
        """End it, if it has taken longer than its service allows."""
        route, upstream = self._route, self._upstream
        if route is None:
            return
        late = patience.whole(route.timeouts, now - self.began)
        mark = (self._sent, self._fed, self._touched)
        if late is None and (upstream is None or mark != self._mark):
            self._mark, self._moved = mark, now  # it waits for an instance, or something has moved
            return
        if late is None and upstream is not None:
            stuck = self.client.slowed_by_instance
            answering = self._touched or self._status > 0
            quiet = now - self._moved
            seen = patience.Seen(quiet, self.tunnel, answering, self.body is not None, upstream.paused, stuck)
            late = patience.stalled(route.timeouts, seen)
        if late is not None:
            self._time_out(route.name, late)

    def _time_out(self, service: str, late: patience.Late) -> None:
        self._discard()
        backend = self._backend
        upstream = self._release()
        if upstream is not None:
            upstream.transport.abort()
        if self.tunnel:
            self._finish(backend, keep=False)
        elif self._status:
            self._cut(backend)
        else:
            if backend is not None:
                self._failed(backend)
            self._refuse(own.late(service, late.what, late.key, late.seconds), backend)

    # --- the end -----------------------------------------------------------------------------------------------------

    def abandon(self, status: int = _LEFT) -> None:
        """The client left, or broke a rule in the middle (`status`): there is nobody to answer."""
        if self._over:
            return
        self._discard()
        backend = self._backend
        upstream = self._release()
        if upstream is not None:
            self._part(upstream)
        self._status = self._status or status
        self._account(backend)

    def _part(self, upstream: Upstream) -> None:
        """Close; what waits for an instance that does not read must not wait for ever, if it is not the whole."""
        if self.body is None:
            upstream.transport.close()
        else:
            upstream.transport.abort()

    @property
    def begun(self) -> bool:
        """A part of the answer has been sent to the client."""
        return self._status > 0

    def _cut(self, backend: Backend | None) -> None:
        """End an answer that cannot be completed, so that the client sees that it is not complete."""
        self._account(backend)
        self.client.cut()

    def _refuse(self, answer: Own, backend: Backend | None = None) -> None:
        keep = self._fields.keep_alive and self.body is None and not self.client.closing
        end = (STAYS_10 if self.http10 else STAYS) if keep else CLOSES
        self.client.transport.write(
            answer.render(request_id=self._id, as_json=self._fields.json, bare=self.bodiless, end=end)
        )
        self._status = answer.status
        if self._route is not None and answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._route.errors += 1
        self._finish(backend, keep=keep)

    def _finish(self, backend: Backend | None, *, keep: bool) -> None:
        self._account(backend)
        # Who has not asked for the end of the connection may send another request until it is seen (RFC 9112, 9.6).
        self.client.finished(keep=keep, unread=self.body is not None or self._fields.keep_alive)

    def _account(self, backend: Backend | None) -> None:
        self._over = True
        shared, status, route, fed, sent = self._shared, self._status, self._route, self._fed, self._sent
        seconds = shared.clock() - self.began
        slot = UNTIMED if self.tunnel else bisect_right(EDGES, seconds)
        if route is not None:
            route.in_flight -= 1
            (backend or route).tally.add(status, slot, fed, sent)
            if route.line is not None:
                route.line.flow()
        line = self._line
        shared.log.line(
            self.client.peer,
            escaped(line) if b'"' in line or b"\\" in line else line,
            status,
            sent,
            self._fields.agent,
            seconds,
            b"-" if route is None else route.label,
            b"-" if backend is None else backend.name,
            self._id,
            self._retries,
            self.client.secure,
        )
