"""ZeroMQ services: a Majordomo broker (RFC 7/MDP 0.1, 18/MDP 0.2 and 8/MMI of rfc.zeromq.org), the clients' half.

Frames in, frames out, without sockets, clock or threads: `tucano.mdp_front` has those. To a client we speak MDP; to an
instance, which binds a REP or a ROUTER, plain ZeroMQ: an envelope of one frame, the request's number, an empty frame,
the body. REP and ROUTER give the envelope back, so an answer finds its request; one that nobody waits for any more is
dropped. MDP has no errors: ours are answers whose body is `tucano.error`, a status, a sentence.
"""

import random
from collections.abc import Callable, Iterable
from typing import Final

from .mdp_queue import Ask, Frames, Limits, Place, Queue
from .table import Service, ServiceStats

ERROR: Final = b"tucano.error"
"""First frame of the body of an answer that is an error; the second is the status, the third a sentence."""

MDP_1: Final = b"MDPC01"
MDP_2: Final = b"MDPC02"
_REQUEST: Final = b"\x01"
_FINAL: Final = b"\x03"


class Broker:
    """All ZeroMQ services. One thread's alone, but for what is said to be for any.

    Args:
        answer: Sends frames to a client, the first of which says to whom; quick, drops what cannot be sent.
        chance: Where lots are drawn from.
        limits: See there.

    Attributes:
        malformed: Messages of clients and instances that were dropped: they follow no protocol.
        late: Answers that were dropped: nobody waited for them any more.
    """

    def __init__(self, answer: Callable[[Frames], None], chance: random.Random, limits: Limits | None = None) -> None:
        self._answer = answer
        self._chance = chance
        self._limits = limits or Limits()
        self._queues: dict[bytes, Queue] = {}
        self._places: dict[tuple[str, str, int], Place] = {}
        self._load: dict[bytes, int] = {}  # by client: requests without an answer
        self._held = 0  # bytes that wait
        self._number = 0
        self.malformed = 0
        self.late = 0

    # --- what is told about instances --------------------------------------------------------------------------------

    def apply(self, services: Iterable[Service], now: float) -> tuple[list[Place], list[Place]]:
        """Make these the services.

        Returns:
            Instances to connect to, and those that have left and have no request: to disconnect from.
        """
        queues: dict[bytes, Queue] = {}
        new = []
        for service in services:
            name = service.name.encode()
            queue = queues[name] = self._queues.get(name) or Queue(service, self._chance, self._limits)
            queue.take(service)
            places = {}
            for instance, host, port, ready, weight in service.targets:
                key = (instance, host, port)
                place = self._places.get(key)
                if place is None:
                    place = self._places[key] = Place(key, queue)
                    new.append(place)
                place.ready, place.service, place.weight = ready, queue, weight
                places[key] = place
            for key, place in queue.places.items():
                place.ready = place.ready and key in places
            queue.places = places
        for name, queue in self._queues.items():
            if name not in queues:
                queue.places = {}
                queue.expected = False
                self._give_up(queue)
        self._queues = queues
        for queue in queues.values():
            queue.sort_out(now)
            self._settle(queue, now)
        return new, self._forget()

    def _forget(self) -> list[Place]:
        wanted = {key for queue in self._queues.values() for key in queue.places}
        gone = [place for key, place in self._places.items() if key not in wanted and not place.open]
        for place in gone:
            del self._places[place.key]
        return gone

    def connected(self, place: Place, now: float) -> None:
        """An instance can be reached."""
        place.up = True
        place.service.sort_out(now)
        self._settle(place.service, now)

    def disconnected(self, place: Place, now: float) -> None:
        """An instance cannot be reached any more: what it had is lost, and repeated if that does no harm."""
        place.up = False
        queue = place.service
        queue.sort_out(now)
        asks, place.asks = place.asks, {}
        place.open = 0
        for ask in reversed(asks.values()):
            ask.losses += 1
            if queue.repeat and ask.losses <= self._limits.losses:
                queue.retries += 1
                place.tally.retries += 1
                ask.until = now + queue.wait
                self._wait(queue, ask, first=True)
            else:
                text = b"an instance of %b ended before it answered: it may or may not have done what was asked"
                self._fail(queue, ask, b"502", text % queue.name.encode())
        self._settle(queue, now)

    # --- requests and answers ----------------------------------------------------------------------------------------

    def request(self, frames: Frames, now: float) -> None:
        """A client's message, with its routing id in front."""
        if len(frames) > 3 and frames[2] == MDP_1 and not frames[1]:
            head, body = frames[:4], frames[4:] or [b""]
        else:
            parsed = _parse_2(frames)
            if parsed is None:
                self.malformed += 1
                return
            head, body = parsed
        queue = self._queues.get(head[-1])
        if queue is None:
            self._unknown(head, body)
            return
        queue.requests += 1
        client, limits = head[0], self._limits
        load = self._load.get(client, 0)
        ask = Ask(head, body, now + queue.wait)
        self._load[client] = load + 1
        if load >= limits.client:
            self._fail(queue, ask, b"429", b"%d of your requests have no answer yet: wait for some" % load)
            return
        if not queue.length:
            place = queue.room(now)
            if place is not None:
                self._send(queue, place, ask, now)
                return
        self._line_up(queue, ask)

    def _line_up(self, queue: Queue, ask: Ask) -> None:
        if not queue.rota.members and not queue.hopeful():
            self._fail(queue, ask, b"503", b"%b has no ready instance" % queue.name.encode())
        elif queue.length >= queue.most or self._held + _size(ask) > self._limits.queue_bytes:
            self._fail(queue, ask, b"503", b"too many requests wait for %b" % queue.name.encode())
        else:
            self._wait(queue, ask)

    def _wait(self, queue: Queue, ask: Ask, *, first: bool = False) -> None:
        queue.push(ask, first=first)
        self._held += _size(ask)

    def _next(self, queue: Queue) -> Ask:
        ask = queue.pop()
        self._held -= _size(ask)
        return ask

    def _send(self, queue: Queue, place: Place, ask: Ask, now: float) -> None:
        self._number = number = self._number + 1
        key = number.to_bytes(8, "big")
        place.asks[key] = ask
        place.open += 1
        ask.until = now + queue.answer
        place.send([key, b"", *ask.body])
        if not queue.repeat:
            ask.body = []  # it is not needed again

    def reply(self, place: Place, frames: Frames, now: float) -> None:
        """An instance's message."""
        ask = place.asks.pop(frames[0], None)
        if ask is None:
            self.late += 1
            return
        queue = place.service
        place.open -= 1
        if len(frames) < 3 or frames[1]:
            self.malformed += 1
            text = b"an instance of %b broke the envelope of its answer" % queue.name.encode()
            self._fail(queue, ask, b"502", text)
        else:
            self._answer(ask.head + frames[2:])
            self._unload(ask)
        if queue.length:
            self._settle(queue, now)

    def _settle(self, queue: Queue, now: float) -> None:
        """Send what waits, as far as there is room."""
        while queue.length:
            place = queue.room(now)
            if place is None:
                if not queue.rota.members and not queue.hopeful():
                    self._give_up(queue)
                return
            self._send(queue, place, self._next(queue), now)

    def _give_up(self, queue: Queue) -> None:
        while queue.length:
            self._fail(queue, self._next(queue), b"503", b"%b has no ready instance" % queue.name.encode())

    def tick(self, now: float) -> list[Place]:
        """Answer for those whose time is over.

        Returns:
            Instances to disconnect from: they have left, and have no request any more.
        """
        for queue in self._queues.values():
            if any(line[0].until <= now for line in queue.waiting.values()):
                self._expire(queue, now)
        for place in self._places.values():
            while place.asks and next(iter(place.asks.values())).until <= now:
                ask = place.asks.pop(next(iter(place.asks)))
                place.open -= 1
                text = b"the instance did not answer within %g s" % place.service.answer
                self._fail(place.service, ask, b"504", text)
        return self._forget()

    def _expire(self, queue: Queue, now: float) -> None:
        for _ in range(queue.length):
            ask = self._next(queue)
            if ask.until <= now:
                text = b"no instance of %b took the request in time" % queue.name.encode()
                self._fail(queue, ask, b"503", text)
            else:
                self._wait(queue, ask)

    # --- answers of our own ------------------------------------------------------------------------------------------

    def _unknown(self, head: Frames, body: Frames) -> None:
        """A service that there is not, or one of MMI's."""
        name = head[-1]
        if name == b"mmi.service":
            queue = self._queues.get(body[0])
            self._answer([*head, b"200" if queue is not None and queue.rota.members else b"404"])
        elif name.startswith(b"mmi."):
            self._answer([*head, b"501"])
        else:
            self._answer([*head, ERROR, b"404", b"no ZeroMQ service is called so; `tucano services` lists the names"])

    def _fail(self, queue: Queue, ask: Ask, status: bytes, text: bytes) -> None:
        queue.errors += 1
        self._answer([*ask.head, ERROR, status, text])
        self._unload(ask)

    def _unload(self, ask: Ask) -> None:
        left = self._load[ask.client] - 1
        if left:
            self._load[ask.client] = left
        else:
            del self._load[ask.client]

    # --- from any thread ---------------------------------------------------------------------------------------------

    def in_flight(self) -> dict[str, int]:
        """Open requests by instance; instances without any are there, too."""
        return {place.key[0]: place.open for place in list(self._places.values())}

    def stats(self, detail: str = "") -> dict[str, ServiceStats]:
        """Each service's counters; of the service `detail` each instance's, too."""
        return {queue.name: queue.stats(detail=queue.name == detail) for queue in list(self._queues.values())}


def _parse_2(frames: Frames) -> tuple[Frames, Frames] | None:
    """Head of the answer and body of an MDP 0.2 request, whose clients are DEALERs, some with a REQ's empty frame."""
    at = 2 if len(frames) > 1 and not frames[1] else 1
    if frames[at : at + 2] != [MDP_2, _REQUEST] or len(frames) < at + 3:
        return None
    return [*frames[:at], MDP_2, _FINAL, frames[at + 2]], frames[at + 3 :] or [b""]


def _size(ask: Ask) -> int:
    return sum(map(len, ask.body))
