"""How a request ends: answered, refused, cut, abandoned or too late; and what is written down of it."""

from bisect import bisect_right
from http import HTTPStatus
from typing import Final

from tucano.actors.messages.latency import EDGES

from . import own, patience
from .answer import CLOSES, STAYS, STAYS_10
from .attempt import Attempt, Watch
from .back import Backend, Upstream
from .log import escaped
from .own import Own
from .tally import UNTIMED

_LEFT: Final = 499  # in the log: the client left before its answer was complete


class Ending(Attempt):
    """A request that has not ended yet. What is relayed until then is the business of `Exchange`, built on it."""

    __slots__ = ()

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
        said = answer.render(request_id=self._id, as_json=self._fields.json, bare=self.bodiless, end=end)
        self.client.write(said)
        self._status = answer.status
        self._sent = len(said) - said.index(b"\r\n\r\n") - 4
        if self._route is not None and answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._route.errors += 1
        self._finish(backend, keep=keep)

    def _finish(self, backend: Backend | None, *, keep: bool) -> None:
        self._account(backend)
        # Who has not asked for the end of the connection may send another request until it is seen (RFC 9112, 9.6).
        self.client.finished(keep=keep, unread=self.body is not None or self._fields.keep_alive)

    def _account(self, backend: Backend | None) -> None:
        self._over = True
        shared, line, status, route, sent = self._shared, self._line, self._status, self._route, self._sent
        seconds = shared.clock() - self.began
        if route is not None:
            slot = UNTIMED if self.tunnel else bisect_right(EDGES, seconds)
            (backend or route).tally.add(status, slot, self._fed, sent)
            route.in_flight -= 1  # whoever sees that sees the counts, too
            if route.line is not None:
                route.line.flow()
        # Of the bytes that a request line may have, `"` and `\` alone are not plain in the log.
        shared.log.line(
            self.client.peer,
            escaped(line) if 0x22 in line or 0x5C in line else line,
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

    @property
    def idle(self) -> float:
        """Seconds in which something of a body must come."""
        return self._route.timeouts.idle if self._route is not None else self._shared.timeouts.stall

    def expire(self, now: float) -> None:
        """End it, if it has taken longer than its service allows."""
        route, upstream = self._route, self._upstream
        if route is None:
            return
        mark = (self._sent, self._fed, self._touched)
        watch = self._watch
        if watch is None or upstream is None or mark != watch.mark:
            watch = self._watch = Watch(mark, now)  # it waits for an instance, or something has moved
        seen = patience.Seen(
            took=now - self.began,
            quiet=now - watch.since,
            tunnel=self.tunnel,
            answering=self._touched or self._status > 0,
            sending=self.body is not None,
            choked=upstream is not None and upstream.paused,
            stuck=self.client.slowed_by_instance,
        )
        late = patience.overdue(route.timeouts, seen)
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
