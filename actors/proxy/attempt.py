"""Finding an instance that takes a request: choosing, connecting, trying another, being held."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, NamedTuple

from . import affinity, fields, own
from .back import Backend, Upstream
from .framing import Body, body
from .head import Request
from .own import Own

if TYPE_CHECKING:
    from .directory import Directory
    from .front import Client
    from .table import Route

_IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"))
_LOSSES: Final = 3  # instances that one request may lose: a fourth is safe from a request that kills


class Watch(NamedTuple):
    """How far a request had come when it was last seen to move."""

    mark: tuple[int, int, bool]
    since: float


class Bond:
    """What is read of a request, and kept, only where its service balances by it.

    Attributes:
        key: What is hashed.
        to: The instance that a sticky cookie names.
        cookie: A header line for the answer.
        sent_at: When the request was sent on.
    """

    __slots__ = ("cookie", "key", "sent_at", "to")

    def __init__(self, key: bytes | None, to: Backend | None) -> None:
        self.key = key
        self.to = to
        self.cookie = b""
        self.sent_at = 0.0


class Attempt(ABC):
    """A request on its way to an instance. What is sent and answered is the business of `Exchange`, built on it.

    All that is known of a request is set here at once, also what those built on it use: a constructor of each would
    cost a hundredth of the requests per second.

    Args:
        client: The connection it came on.
        request: The request's head.

    Attributes:
        began: When its head was there.
        bodiless: No body belongs to the answer, whatever its head says.
        body: What is still to come of the request's body.
        http10: The client speaks HTTP/1.0.
        tunnel: It has left HTTP.
        hold_until: When it is given up, if it waits.
    """

    __slots__ = (
        "_backend", "_bond", "_dying", "_excuse", "_fed", "_fields", "_half_closed", "_held", "_id", "_keep", "_line",
        "_losses", "_method", "_onward", "_over", "_retries", "_route", "_sent", "_shared", "_status", "_touched",
        "_tried", "_upstream", "_watch", "began", "bodiless", "body", "client", "hold_until", "http10", "tunnel",
    )  # fmt: skip

    def __init__(self, client: "Client", request: Request) -> None:
        self.client = client
        self._shared = shared = client.shared
        self._method = request.method
        self._line = request.line
        self._onward = request.onward
        self._fields = fields = request.fields
        self._id = request.id or next(shared.ids)
        self.began = shared.clock()
        self.http10 = fields.http10
        self.bodiless = request.method == b"HEAD"
        self.body: Body | None = body(fields.length) if fields.length else None
        self.tunnel = False
        self._route: Route | None = None
        self._backend: Backend | None = None
        self._upstream: Upstream | None = None
        self._tried: tuple[Backend, ...] = ()  # refused or failed, in this round
        self._losses = 0  # instances that were lost before an answer
        self._dying: Backend | None = None  # the last of them, if it may take one more connection with it
        self._retries = 0  # attempts beyond the first
        self._over = False
        self._bond: Bond | None = None
        self._excuse: Own | None = None  # what to say if it is given up
        self._held: bytes | None = b""  # what came of the request's body; None: it cannot be sent again
        self._fed = 0  # bytes of the request's body, or that the client sent into the tunnel
        self._touched = False  # an answer has begun to come
        self._status = 0  # of the head that was sent to the client
        self._sent = 0  # bytes of the answer's body
        self._keep = False
        self._half_closed = False  # one side of the tunnel sends no more
        self._watch: Watch | None = None  # made when it is looked at first
        self.hold_until = 0.0

    def start(self) -> None:
        """Find an instance and send the request there; answer for it if there is none."""
        table = self._shared.table
        directory = table.inside if self.client.inside else table.users
        route = directory.known.get(self._fields.host) or self._look_up(directory)
        if route is None:
            self._refuse(own.unknown(self._fields.service))
            return
        self._route = route
        route.requests += 1
        route.in_flight += 1
        if route.special:
            self._prepare(route)
        backend = self._choose(route, self.began)
        if backend is not None:
            self._ask(route, backend)
        else:
            self._wait(route)

    def _look_up(self, directory: "Directory[Route]") -> "Route | None":
        return directory.find(self._fields.host, affinity.path_of(self._onward), self._fields.lines)

    def _prepare(self, route: "Route") -> None:
        """Read what decides about the instance; cut the path."""
        lines, balance = self._fields.lines, route.balance
        key = to = None
        if balance.policy == "hash":
            key = affinity.hash_key(balance.hash_by, lines, affinity.path_of(self._onward), self.client.peer)
        if balance.sticky:
            to = route.bound(fields.cookie(lines, balance.sticky.encode()))
        self._bond = Bond(key, to)
        if route.prefix:
            self._onward = affinity.stripped(self._onward, route.prefix)

    @abstractmethod
    def _send(self, upstream: Upstream) -> None:
        """Send the request on this connection."""

    @abstractmethod
    def _refuse(self, answer: Own, backend: Backend | None = None) -> None:
        """Answer in the place of an instance; `backend` is the one that failed."""

    def _attempt(self, route: "Route") -> None:
        """Try again: another instance, or after having waited."""
        now = self._shared.clock()
        backend = self._choose(route, now)
        if backend is None:
            self._wait(route)
        elif not self.hold_until and not route.budget.spend(now, route.requests):
            self._refuse(own.spent(route.name), self._tried[-1] if self._tried else None)
        else:
            self._ask(route, backend)

    def _ask(self, route: "Route", backend: Backend) -> None:
        backend.open += 1
        self._backend = backend
        upstream = None if self._losses else backend.take(checked=self._method not in _IDEMPOTENT)
        if upstream is not None:
            self._send(upstream)
        else:
            dial = self._shared.loop.create_task(self._dial(route, backend))
            self._shared.dials.add(dial)
            dial.add_done_callback(self._shared.dials.discard)

    def _choose(self, route: "Route", now: float) -> Backend | None:
        """Whom the cookie names, if that serves; None, too, if it is full: the user waits there."""
        bond, rota = self._bond, route.rota
        if bond is None:
            return rota.pick(now, self._tried)
        to = bond.to
        if to is None or to in self._tried or not rota.keeps(to, now):
            return rota.pick(now, self._tried, bond.key)
        return None if rota.full(to) else to

    async def _dial(self, route: "Route", backend: Backend) -> None:
        try:
            upstream = await backend.connect(route.timeouts.connect)
        except OSError as error:
            # Nothing was sent: any request may go to another instance.
            now = self._shared.clock()
            route.rota.avoid(backend, now + self._shared.timeouts.avoid)
            route.failed(backend, now)
            if isinstance(error, TimeoutError):
                limit = route.timeouts.connect
                self._excuse = own.late(route.name, "accept a connection", "timeouts.connect", limit)
            if not self._over:
                self._release()
                self._retry(backend)
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

    def _failed(self, backend: Backend) -> None:
        if self._route is not None:
            self._route.failed(backend, self._shared.clock())

    def _name(self) -> str:
        return self._route.name if self._route is not None else self._fields.service

    def _retry(self, backend: Backend) -> None:
        """Count another attempt, after this instance has failed."""
        self._retries += 1
        backend.tally.retries += 1

    def _may_repeat(self, backend: Backend) -> bool:
        return self._method in _IDEMPOTENT and self._losses + (backend is not self._dying) < _LOSSES

    def _repeat(self, backend: Backend, upstream: Upstream) -> None:
        """Try again after a connection was lost before its answer."""
        route = self._route
        if route is None:
            return
        self._losses += backend is not self._dying
        # Of who is killed Linux ends the connections first, the listener last: a new one is made, and lost with it.
        self._dying = backend if upstream.reused else None
        self._retry(backend)
        if not upstream.reused:
            self._tried += (backend,)
        self._attempt(route)

    # --- waiting -----------------------------------------------------------------------------------------------------

    def _wait(self, route: "Route") -> None:
        """Nobody takes the request: for now, or nobody is there."""
        if route.line is None or not route.rota.crowded(self._tried):
            self._hold(route)
            return
        self._tried = ()
        now = self._shared.clock()
        if not self.hold_until:
            self.hold_until = now + route.balance.queue_wait
        self._excuse = own.full(route.name)
        if now >= self.hold_until:
            self.give_up()
        elif route.line.add(self):
            self._shared.make_room(route)
        else:
            self._refuse(own.full(route.name))

    def make_room(self) -> None:
        """Its client has most likely left: if others wait for a place, one of them gets it."""
        if self._route is not None and self._route.line:
            self._shared.make_room(self._route)

    def has_place(self, route: "Route") -> bool:
        """It is at an instance of this service, and no answer has begun."""
        return self._route is route and self._backend is not None and not (self._touched or self._status)

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

    def _discard(self) -> None:
        """Wait no longer."""
        if self._route is not None:
            self._route.waiting.discard(self)
            if self._route.line is not None:
                self._route.line.discard(self)

    def again(self) -> None:
        """Look for an instance again."""
        route = self._route
        if route is None or route.gone:
            self._refuse(own.unknown(self._fields.service))
        else:
            self._attempt(route)

    def give_up(self) -> None:
        """Nothing took the request in time."""
        self._refuse(self._excuse or own.in_vain(self._name()))
