"""One request and its answer: choosing an instance, trying another, holding, relaying both ways, accounting."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from . import framing
from .answer import CLOSES, STAYS, STAYS_10, Answer, own_answer
from .back import Backend, Upstream
from .head import CHUNKED, UNTIL_CLOSE, Request

if TYPE_CHECKING:
    from .front import Client
    from .table import Route

_IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"))
_REPEATABLE: Final = 64 * 1024  # bytes of a request's body that are held so that it can be sent again
_LOSSES: Final = 3  # instances that may be lost by one request: the fourth is safe from one that kills
_JOIN: Final = 8 * 1024  # bytes of a piece that is cheaper to copy behind its head than to send as a second buffer
_LEFT: Final = 499  # in the log: the client left before its answer was complete


class Exchange:
    """One request and its answer.

    Args:
        client: The connection it came on.
        request: Its head.
    """

    __slots__ = (
        "_backend", "_began", "_fields", "_half_closed", "_held", "_keep", "_line", "_losses", "_method", "_onward",
        "_over", "_route", "_sent", "_shared", "_status", "_touched", "_tried", "_upstream",
        "bodiless", "body", "client", "hold_until", "http10", "tunnel",
    )  # fmt: skip

    def __init__(self, client: "Client", request: Request) -> None:
        self.client = client
        self._shared = client.shared
        self._method, self._line, self._onward, self._fields = request
        self.http10 = self._fields.http10
        self.bodiless = self._method == b"HEAD"
        length = self._fields.length
        self.body = framing.body(length) if length else None  # what is still to come of the request's
        self.tunnel = False
        self.hold_until = 0.0
        self._began = self._shared.clock()
        self._route: Route | None = None
        self._backend: Backend | None = None
        self._upstream: Upstream | None = None
        self._held: bytes | None = b""  # what came of the request's body; None: it cannot be sent again
        self._tried: tuple[Backend, ...] = ()
        self._losses = 0
        self._touched = False  # an answer has begun to come
        self._status = 0  # of the head that was sent to the client
        self._sent = 0  # bytes of the answer's body
        self._keep = False
        self._half_closed = False  # one side of the tunnel sends no more
        self._over = False

    # --- the request -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Find an instance and send the request there; answer for it if there is none."""
        route = self._shared.table.routes.get(self._fields.service)
        if route is None:
            self._unknown()
            return
        self._route = route
        route.requests += 1
        route.in_flight += 1
        self._attempt(route)

    def feed(self, data: bytes) -> bytes:
        """Take what the client sent; return what belongs to its next request.

        Raises:
            Refused: The framing of the body breaks a rule.
        """
        if self.tunnel:
            if self._upstream is not None:
                self._upstream.transport.write(data)
            return b""
        body = self.body
        if body is None:
            return data
        piece, rest = body.feed(data)
        if body.done:
            self.body = None
        if self._held is not None:
            self._held += piece
            if len(self._held) > _REPEATABLE:
                if self._upstream is None:
                    self.client.hold_back(upstream=True)
                else:
                    self._held = None
        if self._upstream is not None:
            self._upstream.transport.write(piece)
        return rest

    def _attempt(self, route: "Route") -> None:
        backend = route.rota.pick(self._shared.clock() if self._tried else self._began, self._tried)
        if backend is None:
            self._hold(route)
            return
        backend.open += 1
        self._backend = backend
        upstream = backend.take(checked=self._losses > 0 or self._method not in _IDEMPOTENT)
        if upstream is not None:
            self._send(upstream)
        else:
            task = self._shared.loop.create_task(self._dial(route, backend))
            self._shared.dials.add(task)
            task.add_done_callback(self._shared.dials.discard)

    async def _dial(self, route: "Route", backend: Backend) -> None:
        timeouts = self._shared.timeouts
        try:
            upstream = await backend.connect(timeouts.connect)
        except OSError:
            # Nothing was sent: any request may go to another instance.
            route.rota.avoid(backend, self._shared.clock() + timeouts.avoid)
            if not self._over:
                self._release()
                route.retries += 1
                self._tried += (backend,)
                self._attempt(route)
            return
        if self._over:
            backend.give(upstream)  # the client left meanwhile
        else:
            self._send(upstream)
        if len(route.waiting):
            route.waiting.wake()

    def _send(self, upstream: Upstream) -> None:
        self._upstream = upstream
        upstream.asker = self
        head = b"%b\r\n%b%b" % (self._onward, self._fields.lines, self.client.forwarded)
        held = self._held
        if held:
            head += held
            if len(held) > _REPEATABLE:
                self._held = None
                self.client.let_go(upstream=True)
        upstream.transport.write(head)

    def _release(self) -> Upstream | None:
        """Count the request as no longer open at its instance; return the connection."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.asker = None
        if self._backend is not None:
            self._backend.open -= 1
            self._backend = None
        return upstream

    # --- being held --------------------------------------------------------------------------------------------------

    def _hold(self, route: "Route") -> None:
        now = self._shared.clock()
        if not self.hold_until:
            if not (route.expected or self._tried):
                self._unavailable(f"{route.name} has no ready instance.")
                return
            self.hold_until = now + self._shared.timeouts.hold
        self._tried = ()
        if now >= self.hold_until:
            self.give_up()
        elif not route.waiting.add(self):
            self._unavailable(f"{route.name} has no ready instance, and too many requests wait for one.")

    def again(self) -> None:
        """Look for an instance again."""
        route = self._route
        if route is None or route.gone:
            self._unknown()
        else:
            self._attempt(route)

    def give_up(self) -> None:
        """Nothing took the request in time."""
        self._unavailable(f"no instance of {self._fields.service} took the request in time.")

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
        if not self._fields.upgrade:
            self.broken("it leaves HTTP unasked")
            return
        self._status = answer.status
        self._held = None
        self.tunnel = True
        self.client.transport.write(answer.head + STAYS + data)
        self._sent = len(data)
        self.client.tunnelled()

    def answered(self, answer: Answer, length: int, piece: bytes, *, done: bool) -> None:
        """Pass the head of the final answer on, and what came of its body."""
        client = self.client
        http10 = self.http10
        self._held = None
        self._status = answer.status
        self._sent = len(piece)
        self._keep = (
            self._fields.keep_alive
            and self.body is None
            and not client.closing
            and length != UNTIL_CLOSE
            and not (http10 and length == CHUNKED)
        )
        end = (STAYS_10 if http10 else STAYS) if self._keep else CLOSES
        if self._sent < _JOIN:
            client.transport.write(answer.head + end + piece)
        else:
            client.transport.writelines((answer.head + end, piece))
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
                upstream.transport.close()
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
            self._refuse(
                HTTPStatus.BAD_GATEWAY,
                f"the instance of {self._fields.service} answered what is not HTTP: {why}.",
                "Look at the instance; another request may get another one.",
                backend,
            )

    def lost(self) -> None:
        """The instance's connection is gone before its answer was complete: try another instance if that is safe."""
        backend, route = self._backend, self._route
        upstream = self._release()
        if backend is None or route is None or upstream is None:
            return
        if self.tunnel:
            self._finish(backend, keep=False)
        elif self._status:
            self._cut(backend)
        elif self._touched or self._held is None or self._method not in _IDEMPOTENT or self._losses >= _LOSSES:
            self._refuse(
                HTTPStatus.BAD_GATEWAY,
                f"the instance of {self._fields.service} closed the connection before it answered.",
                "It may or may not have done what was asked; look before asking again.",
                backend,
            )
        else:
            self._losses += 1
            route.retries += 1
            if not upstream.reused:  # an idle connection may end at any time: no word against the instance
                self._tried += (backend,)
            self._attempt(route)

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
            self.client.hold_back(upstream=True)
        else:
            self.client.let_go(upstream=True)

    def instance_eof(self) -> None:
        """The instance sends no more into the tunnel."""
        if self._half_closed:
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

    # --- the end -----------------------------------------------------------------------------------------------------

    def abandon(self, status: int = _LEFT) -> None:
        """The client left, or broke a rule in the middle (`status`): there is nobody to answer."""
        if self._over:
            return
        if self._route is not None:
            self._route.waiting.discard(self)
        backend = self._backend
        upstream = self._release()
        if upstream is not None:
            upstream.transport.close()
        self._status = self._status or status
        self._account(backend)

    @property
    def begun(self) -> bool:
        """A part of the answer has been sent to the client."""
        return self._status > 0

    def _cut(self, backend: Backend | None) -> None:
        """End an answer that cannot be completed, so that the client sees that it is not complete."""
        self._account(backend)
        self.client.cut()

    def _unknown(self) -> None:
        name = self._fields.service
        self._refuse(
            HTTPStatus.NOT_FOUND,
            f"no service is called {name or '(no Host)'}.",
            "Ask with `Host: NAME` or `NAME.any.domain`; `tucano services` lists the names.",
            None,
        )

    def _unavailable(self, what: str) -> None:
        self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, what, "Try again in a second.", None)

    def _refuse(self, status: HTTPStatus, what: str, do: str, backend: Backend | None) -> None:
        keep = self._fields.keep_alive and self.body is None and not self.client.closing
        end = (STAYS_10 if self.http10 else STAYS) if keep else CLOSES
        answer = own_answer(status, what, do, as_json=self._fields.json, bare=self.bodiless, end=end)
        self.client.transport.write(answer)
        self._status = status
        if self._route is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._route.errors += 1
        self._finish(backend, keep=keep)

    def _finish(self, backend: Backend | None, *, keep: bool) -> None:
        self._account(backend)
        self.client.finished(keep=keep, unread=self.body is not None)

    def _account(self, backend: Backend | None) -> None:
        self._over = True
        route = self._route
        if route is not None:
            route.in_flight -= 1
            route.classes[self._status // 100] += 1
        shared = self._shared
        shared.log.line(
            self.client.peer,
            self._line,
            self._status,
            self._sent,
            self._fields.agent,
            backend.name if backend is not None else b"-",
            shared.clock() - self._began,
        )
