"""ZeroMQ services: a Majordomo broker (RFC 7/MDP 0.1, 18/MDP 0.2 and 8/MMI of rfc.zeromq.org), the clients' half.

Messages in, messages out, as ZMTP has them (`zmtp`), without sockets, clock or threads: `tucano.mdp_front` has those.
To a client we speak MDP; to an instance, which binds a REP or a ROUTER, plain ZeroMQ: an envelope of one frame, the
request's number, an empty frame, the body. REP and ROUTER give the envelope back, so an answer finds its request; one
that nobody waits for any more is dropped. MDP has no errors: ours are answers whose body is `tucano.error`, a status, a
sentence.
"""

import random
from bisect import bisect_right
from collections.abc import Iterable
from struct import Struct
from typing import Final

from tucano.actors.messages.latency import EDGES

from .mdp_queue import Ask, Client, Key, Limits, Place, Queue
from .table import Service, ServiceStats
from .zmtp import Frames, pack, unpack

ERROR: Final = b"tucano.error"
"""First frame of the body of an answer that is an error; the second is the status, the third a sentence."""

MDP_1: Final = b"MDPC01"
MDP_2: Final = b"MDPC02"
_REQUEST: Final = b"\x01"
_FINAL: Final = b"\x03"
_USUAL: Final = pack([b"", MDP_1], more=True) + b"\x01"  # how nearly all requests begin: a short name is to come
_NAME: Final = len(_USUAL) + 1
_ENVELOPE: Final = Struct(">BBQBB")  # a frame of 8 bytes, an empty one, and more to come
_SIZE: Final = _ENVELOPE.size
_NUMBER: Final = 8  # bytes of it that are the request's number


class Broker:
    """All ZeroMQ services. One thread's alone, but for what is said to be for any.

    Args:
        chance: Where lots are drawn from.
        limits: See there.

    Attributes:
        malformed: Messages of clients and instances that were dropped: they follow no protocol.
        late: Answers that were dropped: nobody waited for them any more.
        suspect: The instance that sent the last malformed one; empty for none.
    """

    def __init__(self, chance: random.Random, limits: Limits | None = None) -> None:
        self._chance = chance
        self._limits = limits or Limits()
        self._queues: dict[bytes, Queue] = {}
        self._places: dict[Key, Place] = {}
        self._held = 0  # bytes that wait
        self._number = 0
        self.malformed = 0
        self.late = 0
        self.suspect = ""

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
            queue.have(places)
        for name, queue in self._queues.items():
            if name not in queues:
                queue.have({})
                queue.expected = False
                self._give_up(queue, now)
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

    def disconnected(self, place: Place, now: float, why: str = "ended") -> None:
        """An instance cannot be reached any more: what it had is lost, and repeated if that does no harm."""
        place.up = False
        queue = place.service
        queue.sort_out(now)
        asks, place.asks = place.asks, {}
        place.open = 0
        for ask in reversed(asks.values()):
            ask.losses += 1
            if queue.repeat and ask.losses <= self._limits.losses:
                place.tally.retries += 1
                ask.until = now + queue.wait
                self._wait(queue, ask, first=True)
            else:
                text = (
                    f"an instance of {queue.name} {why} before it answered: it may or may not have done what was asked"
                )
                self._fail(place, ask, now, 502, text.encode())
        self._settle(queue, now)

    # --- requests and answers ----------------------------------------------------------------------------------------

    def requests(self, client: Client, messages: Iterable[bytes], now: float) -> None:
        """A client's messages."""
        queues, most = self._queues, self._limits.client
        for message in messages:
            if message.startswith(_USUAL):
                at = _NAME + message[_NAME - 1]
                head, name, body = message[:at], message[_NAME:at], message[at:]
            else:
                parsed = _parse(unpack(message))
                if parsed is None:
                    self.malformed += 1
                    continue
                head, name, body = parsed
            queue = queues.get(name)
            if queue is None:
                self._unknown(client, head, name, body)
                continue
            queue.requests += 1
            client.load += 1
            ask = Ask(client, head, body, now, now + queue.wait)
            if client.load > most:
                text = b"%d of your requests have no answer yet: wait for some" % (client.load - 1)
                self._fail(queue, ask, now, 429, text)
            elif not queue.length and (place := queue.room(now)) is not None:
                self._send(queue, place, ask, now)
            else:
                self._line_up(queue, ask, now)

    def _line_up(self, queue: Queue, ask: Ask, now: float) -> None:
        if not queue.rota.members and not queue.hopeful():
            self._fail(queue, ask, now, 503, b"%b has no ready instance" % queue.name.encode())
        elif queue.length >= queue.most or self._held + ask.size > self._limits.queue_bytes:
            self._fail(queue, ask, now, 503, b"too many requests wait for %b" % queue.name.encode())
        else:
            self._wait(queue, ask)

    def _wait(self, queue: Queue, ask: Ask, *, first: bool = False) -> None:
        queue.push(ask, first=first)
        self._held += ask.size

    def _next(self, queue: Queue) -> Ask:
        ask = queue.pop()
        self._held -= ask.size
        return ask

    def _send(self, queue: Queue, place: Place, ask: Ask, now: float) -> None:
        self._number = number = self._number + 1
        envelope = _ENVELOPE.pack(1, 8, number, 1, 0)
        place.asks[envelope] = ask
        place.open += 1
        ask.until = now + queue.answer
        place.send(envelope + ask.body)
        if not queue.repeat:
            ask.body = b""  # it is not needed again

    def replies(self, place: Place, messages: Iterable[bytes], now: float) -> None:
        """An instance's messages."""
        pop, queue, count = place.asks.pop, place.service, place.tally.add
        for message in messages:
            ask = pop(message[:_SIZE], None)
            if ask is None:
                self._reply_oddly(place, message, now)
                continue
            place.open -= 1
            client, body = ask.client, message[_SIZE:]
            client.send(ask.head + body)
            client.load -= 1
            count(200, bisect_right(EDGES, now - ask.began), ask.size, len(body))
            if queue.length:
                self._settle(queue, now)

    def _reply_oddly(self, place: Place, message: bytes, now: float) -> None:
        """One whose envelope is not, byte by byte, as it was sent."""
        frames = unpack(message)
        envelope = pack([frames[0], b""], more=True)
        ours = envelope in place.asks
        if ours and len(frames) > 2 and not frames[1]:
            self.replies(place, [envelope + pack(frames[2:])], now)
            return
        if not ours and len(frames[0]) == _NUMBER:
            self.late += 1
            return
        self.malformed += 1
        self.suspect = place.key[0]
        if ours:
            place.open -= 1
            text = b"an instance of %b broke the envelope of its answer" % place.service.name.encode()
            self._fail(place, place.asks.pop(envelope), now, 502, text)
            self._settle(place.service, now)

    def _settle(self, queue: Queue, now: float) -> None:
        """Send what waits, as far as there is room."""
        while queue.length:
            place = queue.room(now)
            if place is None:
                if not queue.rota.members and not queue.hopeful():
                    self._give_up(queue, now)
                return
            self._send(queue, place, self._next(queue), now)

    def _give_up(self, queue: Queue, now: float) -> None:
        while queue.length:
            self._fail(queue, self._next(queue), now, 503, b"%b has no ready instance" % queue.name.encode())

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
                self._fail(place, ask, now, 504, text)
        return self._forget()

    def _expire(self, queue: Queue, now: float) -> None:
        for _ in range(queue.length):
            ask = self._next(queue)
            if ask.until <= now:
                text = b"no instance of %b took the request in time" % queue.name.encode()
                self._fail(queue, ask, now, 503, text)
            else:
                self._wait(queue, ask)

    # --- answers of our own ------------------------------------------------------------------------------------------

    def _unknown(self, client: Client, head: bytes, name: bytes, body: bytes) -> None:
        """A service that there is not, or one of MMI's."""
        if name == b"mmi.service":
            queue = self._queues.get(unpack(body)[0])
            answer = [b"200" if queue is not None and queue.rota.members else b"404"]
        elif name.startswith(b"mmi."):
            answer = [b"501"]
        else:
            answer = [ERROR, b"404", b"no ZeroMQ service is called so; `tucano services` lists the names"]
        client.send(head + pack(answer))

    def _fail(self, had: Place | Queue, ask: Ask, now: float, status: int, text: bytes) -> None:
        """Answer with an error for `had`: the instance that had the request last, or its service."""
        queue = had.service if isinstance(had, Place) else had
        queue.errors += 1
        body = pack([ERROR, b"%d" % status, text])
        ask.client.send(ask.head + body)
        ask.client.load -= 1
        had.tally.add(status, bisect_right(EDGES, now - ask.began), ask.size, len(body))

    # --- from any thread ---------------------------------------------------------------------------------------------

    def in_flight(self) -> dict[str, int]:
        """Open requests by instance; instances without any are there, too."""
        return {place.key[0]: place.open for place in list(self._places.values())}

    def stats(self, detail: str = "") -> dict[str, ServiceStats]:
        """Each service's counters; of the service `detail` each instance's, too."""
        return {queue.name: queue.stats(detail=queue.name == detail) for queue in list(self._queues.values())}


def _parse(frames: Frames) -> tuple[bytes, bytes, bytes] | None:
    """How a request's answer begins, the service's name and the body; None if this is no request."""
    if len(frames) > 2 and frames[:2] == [b"", MDP_1]:
        return pack(frames[:3], more=True), frames[2], pack(frames[3:] or [b""])
    at = 1 if frames and not frames[0] else 0  # the clients of 0.2 are DEALERs, some with a REQ's empty frame
    if len(frames) < at + 3 or frames[at : at + 2] != [MDP_2, _REQUEST]:
        return None
    name = frames[at + 2]
    return pack([*frames[:at], MDP_2, _FINAL, name], more=True), name, pack(frames[at + 3 :] or [b""])
