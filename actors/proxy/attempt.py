"""Finding an instance that takes a request: choosing, connecting, trying another, being held."""

from typing import TYPE_CHECKING, Final

from . import own
from .back import Backend, Upstream
from .head import Request

if TYPE_CHECKING:
    from .own import Own
    from .shared import Shared
    from .table import Route

_IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"))
_LOSSES: Final = 3  # instances that one request may lose: the fourth is safe from a request that kills


class Attempt:
    """A request on its way to an instance. What is sent and answered is the business of `Exchange`, built on it.

    Args:
        shared: The data path.
        request: The request's head.
    """

    __slots__ = (
        "_backend", "_began", "_fields", "_line", "_losses", "_method", "_onward", "_over", "_route", "_shared",
        "_tried", "_upstream", "hold_until",
    )  # fmt: skip

    def __init__(self, shared: "Shared", request: Request) -> None:
        self._shared = shared
        self._method, self._line, self._onward, self._fields = request
        self._began = shared.clock()
        self._route: Route | None = None
        self._backend: Backend | None = None
        self._upstream: Upstream | None = None
        self._tried: tuple[Backend, ...] = ()  # refused or failed, in this round
        self._losses = 0  # connections that were lost before an answer
        self._over = False
        self.hold_until = 0.0

    def start(self) -> None:
        """Find an instance and send the request there; answer for it if there is none."""
        route = self._shared.table.routes.get(self._fields.service)
        if route is None:
            self._refuse(own.unknown(self._fields.service))
            return
        self._route = route
        route.requests += 1
        route.in_flight += 1
        self._attempt(route)

    def _send(self, upstream: Upstream) -> None:
        """Send the request on this connection."""
        raise NotImplementedError

    def _refuse(self, answer: "Own", backend: Backend | None = None) -> None:
        """Answer in the place of an instance; `backend` is the one that failed."""
        raise NotImplementedError

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
            dial = self._shared.loop.create_task(self._dial(route, backend))
            self._shared.dials.add(dial)
            dial.add_done_callback(self._shared.dials.discard)

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

    def _release(self) -> Upstream | None:
        """Count the request as no longer open at its instance; return the connection."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.asker = None
        if self._backend is not None:
            self._backend.open -= 1
            self._backend = None
        return upstream

    def _may_repeat(self) -> bool:
        return self._method in _IDEMPOTENT and self._losses < _LOSSES

    def _repeat(self, backend: Backend, upstream: Upstream) -> None:
        """Try again after a connection was lost before its answer."""
        route = self._route
        if route is None:
            return
        self._losses += 1
        route.retries += 1
        if not upstream.reused:  # an idle connection may end at any time: no word against the instance
            self._tried += (backend,)
        self._attempt(route)

    # --- being held --------------------------------------------------------------------------------------------------

    def _hold(self, route: "Route") -> None:
        now = self._shared.clock()
        if not self.hold_until:
            if not (route.expected or self._tried or self._losses):
                self._refuse(own.no_instance(route.name))
                return
            self.hold_until = now + self._shared.timeouts.hold
        self._tried = ()
        if now >= self.hold_until:
            self.give_up()
        elif not route.waiting.add(self):
            self._refuse(own.crowded(route.name))

    def again(self) -> None:
        """Look for an instance again."""
        route = self._route
        if route is None or route.gone:
            self._refuse(own.unknown(self._fields.service))
        else:
            self._attempt(route)

    def give_up(self) -> None:
        """Nothing took the request in time."""
        self._refuse(own.in_vain(self._fields.service))
