"""TCP services: a listener for each in the data path's loop, whose connections are balanced over the instances."""

import asyncio
import contextlib
import random
import socket
from collections import Counter
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final, Protocol

from tucano.actors.messages import model

from .hold import Line, Waiting
from .pick import Rota
from .stream import End, Place, Stream
from .table import Service, ServiceStats
from .tally import InstanceStats

if TYPE_CHECKING:
    from .shared import Shared

_AGAIN: Final = 2.0  # seconds until a port that could not be had is tried again
_BACKLOG: Final = 4096
_SWEEP: Final = 1.0  # seconds between two looks for what has been still too long, at most


class Sockets(Protocol):
    """Where listening sockets come from. Both may wait, and are called in threads of their own."""

    def listen(self, port: int) -> socket.socket:
        """A copy of the listening socket at this port.

        Raises:
            OSError: It cannot be had; the text is for people and follows "BALANCER ".
        """

    def keep(self, ports: Collection[int]) -> None:
        """Let go of all that were asked for, ever, beyond these.

        Raises:
            OSError: They cannot be given back now.
        """


class Port:
    """One tcp service: its listener, its instances, its connections and counters.

    Attributes:
        rota: Who may be chosen.
        waiting: Connections that wait for an instance.
        line: Connections that wait for a place, where instances take only so many.
    """

    def __init__(self, shared: "Shared", number: int, chance: random.Random) -> None:
        self.number = number
        self._chance = chance
        self.waiting = Waiting(shared.loop, shared.clock, lambda: bool(self.rota.members))
        self.line: Line | None = None
        self.expected = False
        self.timeouts = model.Timeouts()
        self.received = self.sent = self.errors = self.retries = self.ejections = 0
        self.dials: set[asyncio.Task[None]] = set()
        self.unheard = ""  # why nobody listens
        self._connections = 0
        self._places: dict[tuple[str, str, int], Place] = {}
        self._shared = shared
        self._streams: set[Stream] = set()
        self._server: asyncio.Server | None = None
        self._balance(model.Balance())

    @property
    def listens(self) -> bool:
        """Users can connect."""
        return self._server is not None

    async def serve(self, listener: socket.socket) -> None:
        """Listen; the socket is ours from now on."""
        make = self._make
        self._server = await self._shared.loop.create_server(make, sock=listener, backlog=_BACKLOG)

    def _make(self) -> End:
        return Stream(self._shared, self).near

    def close(self) -> None:
        """Take no more connections."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def update(self, service: Service) -> None:
        """Make these the instances. Those that left keep the connections that they have: their process ends them."""
        places: dict[tuple[str, str, int], Place] = {}
        ready = []
        for instance, host, port, is_ready, weight in service.targets:
            key = (instance, host, port)
            place = places[key] = self._places.get(key) or Place(*key)
            place.weight = weight
            if is_ready:
                ready.append(place)
        self._places = places | {key: place for key, place in self._places.items() if place.open and key not in places}
        self.expected = service.expected
        self.timeouts = service.timeouts
        if service.balance != self.balance:
            self._balance(service.balance)
        self.rota.replace(ready, self._shared.clock())
        self.waiting.wake()
        self.flow()

    def _balance(self, balance: model.Balance) -> None:
        """Choose anew, by these rules; nobody has failed under them."""
        former, shared = self.line, self._shared
        self.balance = balance
        self.rota: Rota[Place] = Rota(self._chance, balance)
        self.line = None
        if balance.max_in_flight:
            self.line = Line(shared.loop, shared.clock, lambda: self.rota.has_room(shared.clock()), balance.queue)
        if former is not None:
            shared.loop.call_soon(former.wake)  # who stood in the former line looks for a place in this one

    def flow(self) -> None:
        """A place may be free: let who waits for one have it."""
        if self.line is not None:
            self.line.flow()

    def failed(self, place: Place) -> None:
        """A connection failed at one of the instances before a byte had passed."""
        now = self._shared.clock()
        self.retries += 1
        place.tally.retries += 1
        self.rota.avoid(place, now + self._shared.timeouts.avoid)
        if self.rota.failed(place, now):
            self.ejections += 1
            place.tally.ejections += 1

    def opened(self, stream: Stream) -> None:
        """A user has connected."""
        self._connections += 1
        self._streams.add(stream)

    def closed(self, stream: Stream) -> None:
        """A user's connection has ended."""
        self._streams.discard(stream)
        self.waiting.discard(stream)
        if self.line is not None:
            self.line.discard(stream)

    def in_flight(self) -> Counter[str]:
        """Open connections by instance. From any thread."""
        return Counter({place.instance: place.open for place in list(self._places.values())})

    def stats(self, *, detail: bool = False) -> ServiceStats:
        """The counters as they stand; `detail`: of each instance, too. From any thread."""
        instances: tuple[InstanceStats, ...] = ()
        if detail:
            instances = tuple(one.tally.stats(one.instance, one.open) for one in list(self._places.values()))
        return ServiceStats(
            self._connections, self.errors, self.retries, len(self._streams), {}, self.received, self.sent,
            self.ejections, instances=instances,
        )  # fmt: skip

    def sweep(self, seconds: float) -> None:
        """So many seconds have passed: cut what has been still for too long."""
        for stream in list(self._streams):
            stream.still += seconds
            if stream.still >= self.timeouts.tunnel:
                stream.cut()

    @property
    def is_empty(self) -> bool:
        """There is no connection."""
        return not self._streams

    def cut(self) -> None:
        """End all connections."""
        for stream in list(self._streams):
            stream.cut()


class Streams:
    """All tcp services of a data path. In the loop's thread, but for what is said to be for any.

    Args:
        shared: The data path.
        sockets: Where listening sockets come from; None: no tcp service can be reached.
        chance: Where lots are drawn from.
    """

    def __init__(self, shared: "Shared", sockets: Sockets | None, chance: random.Random) -> None:
        self._shared = shared
        self._sockets = sockets
        self._chance = chance
        self._ports: dict[str, Port] = {}
        self._leaving: list[Port] = []  # of services that are gone, with connections
        self._applied = False
        self._changed = asyncio.Event()
        self._closing = False
        self._chores: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to listen as told."""
        self._chores = [self._shared.loop.create_task(work()) for work in (self._listen, self._sweep)]

    def apply(self, services: Iterable[Service]) -> None:
        """Make these the tcp services."""
        ports: dict[str, Port] = {}
        for service in services:
            port = self._ports.get(service.name)
            number = service.route.port or 0
            if port is None or port.number != number:
                port = Port(self._shared, number, self._chance)
            port.update(service)
            ports[service.name] = port
        for name, port in self._ports.items():
            if ports.get(name) is not port:
                port.close()
                self._leaving.append(port)
        self._leaving = [port for port in self._leaving if not port.is_empty]
        self._ports = ports
        self._applied = True
        self._changed.set()

    def in_flight(self) -> Counter[str]:
        """Open connections by instance. From any thread."""
        counts: Counter[str] = Counter()
        for port in [*self._ports.values(), *self._leaving]:
            counts.update(port.in_flight())
        return counts

    def stats(self, detail: str = "") -> dict[str, ServiceStats]:
        """Each service's counters; of the service `detail` each instance's, too. From any thread."""
        return {name: port.stats(detail=name == detail) for name, port in list(self._ports.items())}

    def hearing(self) -> dict[str, str]:
        """By port: why users cannot connect; empty if they can. From any thread."""
        ports = list(self._ports.values())
        return {str(port.number): port.unheard for port in ports if port.listens or port.unheard}

    def leave(self) -> None:
        """Take no more connections."""
        self._closing = True
        self._changed.set()
        for port in self._ports.values():
            port.close()

    async def stop(self, grace: float) -> None:
        """Take no more connections, let the open ones end within `grace` seconds, then cut them."""
        self.leave()
        if self._chores:
            await self._chores[0]
            self._chores[1].cancel()
        ports = [*self._ports.values(), *self._leaving]
        for port in ports:
            port.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while not all(port.is_empty for port in ports):
                    await asyncio.sleep(0.01)
        for port in ports:
            port.cut()
        while not all(port.is_empty for port in ports):
            await asyncio.sleep(0)
        await asyncio.gather(*(dial for port in ports for dial in port.dials), return_exceptions=True)

    async def _listen(self) -> None:
        """Get a listener for each port that has none, and give back those that are not wanted any more."""
        kept: list[int] | None = None
        while not self._closing:
            patience = None
            for port in list(self._ports.values()):
                if not port.listens and not await self._open(port):
                    patience = _AGAIN
            wanted = sorted(port.number for port in self._ports.values())
            if self._applied and self._sockets is not None and wanted != kept:
                try:
                    await self._shared.loop.run_in_executor(None, self._sockets.keep, wanted)
                    kept = wanted
                except OSError:  # the parent is away: what it holds too long harms nobody
                    patience = _AGAIN
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._changed.wait()
            self._changed.clear()

    async def _open(self, port: Port) -> bool:
        if self._sockets is None:
            port.unheard = "has no sockets for tcp services"
            return True  # nothing will change that
        try:
            listener = await self._shared.loop.run_in_executor(None, self._sockets.listen, port.number)
        except OSError as error:
            port.unheard = str(error)
            return False
        if self._closing or port not in self._ports.values():
            listener.close()
            return True
        await port.serve(listener)
        port.unheard = ""
        return True

    async def _sweep(self) -> None:
        while True:
            ports = [*self._ports.values(), *self._leaving]
            every = max(0.05, min([_SWEEP, *(port.timeouts.tunnel / 4 for port in ports)]))
            await asyncio.sleep(every)
            for port in ports:
                port.sweep(every)
