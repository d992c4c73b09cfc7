"""One request and its answer: relaying both ways, and what to do when the instance fails."""

from typing import Final

from . import own
from .answer import CLOSES, STAYS, STAYS_10, Answer
from .back import SHORT, Upstream
from .ending import Ending
from .head import CHUNKED, UNTIL_CLOSE
from .reading import SLOW_INSTANCE, Turns

_REPEATABLE: Final = 64 * 1024  # bytes of a request's body that are held so that it can be sent again


class Exchange(Ending):
    """One request and its answer."""

    __slots__ = ()

    @property
    def turns(self) -> Turns:
        """See `Asker`."""
        return self._shared.turns

    # --- the request -------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> bytes:
        """Take what the client sent; return what belongs to its next request.

        Raises:
            Refused: The framing of the body breaks a rule.
        """
        if self.tunnel:
            self._fed += len(data)
            if self._upstream is not None:
                self._upstream.write(data)
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
            self._upstream.feed(piece)
        return rest

    def _send(self, upstream: Upstream) -> None:
        self._upstream = upstream
        upstream.asker = self
        bond = self._bond
        if bond is not None and self._route is not None:
            bond.sent_at = self._shared.clock()
            bond.cookie = self._route.binding(self._backend, bond.to)
        head = b"".join((self._onward, b"\r\n", self._fields.lines, self.client.forwarded, self._id, b"\r\n\r\n"))
        held = self._held
        if held:
            head += held
            if len(held) > _REPEATABLE:
                self._held = None
            self.client.let_go(SLOW_INSTANCE)  # whatever slowed the client was before this connection
        self._shared.outbox.put(upstream, head)

    # --- the answer --------------------------------------------------------------------------------------------------

    def touch(self) -> None:
        """The first bytes of an answer came: the request cannot be repeated any more."""
        self._touched = True

    def interim(self, answer: Answer) -> None:
        """Pass an answer of the 100s on."""
        self._touched = True
        if not self.http10:
            self.client.write(answer.head + STAYS)

    def switched(self, answer: Answer, data: bytes) -> None:
        """Become a tunnel, if that was asked for."""
        if not answer.upgrade or not answer.upgrade <= self._fields.upgrade:
            self.broken("it leaves HTTP for what nobody asked for")
            return
        self._status = answer.status
        self._held = None
        self.tunnel = True
        bond = self._bond
        cookie = bond.cookie if bond is not None else b""
        if self._route is not None:
            self._route.judge(self._backend, answer.status, bond.sent_at if bond is not None else 0.0)
        name = answer.request_id or self._id
        self.client.write(b"".join((answer.head, name, b"\r\n", cookie, STAYS, data)))
        self._sent = len(data)
        self.client.tunnelled()

    def answered(self, answer: Answer, length: int, piece: bytes | memoryview, *, done: bool) -> None:
        """Pass the head of the final answer on, and what came of its body."""
        client = self.client
        http10 = self.http10
        self._held = None
        self._status = status = answer.status
        self._sent = sent = len(piece)
        fields, route, bond = self._fields, self._route, self._bond
        if route is not None and (status >= 502 or route.timed or route.rota.ejection.troubled):
            route.judge(self._backend, status, bond.sent_at if bond is not None else 0.0)
        self._keep = (
            fields.keep_alive
            and self.body is None
            and not client.closing
            and length != UNTIL_CLOSE
            and not (http10 and length == CHUNKED)
        )
        end = (STAYS_10 if http10 else STAYS) if self._keep else CLOSES
        if bond is not None:
            end = bond.cookie + end
        name = answer.request_id or self._id
        if sent >= SHORT:
            client.write(b"".join((answer.head, name, b"\r\n", end)), piece)
        elif done and self._keep:
            self._shared.outbox.put(client, b"".join((answer.head, name, b"\r\n", end, piece)))
        else:
            client.write(b"".join((answer.head, name, b"\r\n", end, piece)))
        if done:
            self.ended()

    def relay(self, piece: bytes) -> None:
        """Pass on more of the body."""
        self._sent += len(piece)
        self.client.write(piece)

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
            if backend is not None:
                self._failed(backend)
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
            if self._touched or self._held is None or not self._may_repeat(backend):
                self._refuse(own.closed_early(self._name()), backend)
            else:
                self._watch = None
                self._repeat(backend, upstream)

    def forsaken(self) -> None:
        """Its instance has left the table, perhaps with its machine and without a word: try another if that is safe."""
        upstream, backend, route = self._upstream, self._backend, self._route
        if upstream is None or backend is None or route is None or route.gone or not route.rota.members:
            return
        begun = self.tunnel or self._status or self._touched or self._held is None
        if not begun and self._may_repeat(backend):
            self.lost()
            upstream.transport.abort()

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
            self.client.write_eof()

    def client_eof(self) -> None:
        """The client sends no more into the tunnel."""
        if self._half_closed or self._upstream is None:
            self._end_tunnel()
        else:
            self._half_closed = True
            self._upstream.write_eof()

    def _end_tunnel(self) -> None:
        backend = self._backend
        upstream = self._release()
        if upstream is not None:
            upstream.transport.close()
        self._finish(backend, keep=False)
