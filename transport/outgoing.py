"""The ways to a peer: for each lane a bounded queue of letters, and who sends them.

Whoever sends while another thread is sending only queues: that one takes it along in its next frame, so that a lone
letter is never delayed and a burst travels together.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Final

from tucano.transport.link import CONTROL, LANES, QUEUE, QUEUE_BYTES, Kind, Lane, LaneInfo, Letter
from tucano.transport.wire import encode, fitting

HELD: Final = 256
"""Letters that are held for one flush at most."""


class Counts:
    """What has passed on one lane to and from a peer, whatever its address was and is."""

    __slots__ = ("high_water", "high_water_bytes", "received", "refused", "sent")

    def __init__(self) -> None:
        self.high_water = self.high_water_bytes = self.received = self.refused = self.sent = 0


class Outgoing(ABC):
    """What waits for one peer on one lane. A link says how a frame is sent; all methods may be called by any thread.

    Args:
        counts: of its lane; kept here.

    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._queue: deque[Letter] = deque()
        self._bytes = 0  # of the bodies in the queue
        self._ready: tuple[bytes, int, int] | None = None  # a frame that was not taken, see `_next`
        self._filling = threading.Lock()  # around the queue's bounds
        self._sending = threading.Lock()  # around `_send`
        self._closed = False

    @abstractmethod
    def _send(self, frame: bytes) -> bool:
        """Send a frame without waiting; False if none is taken now. Called by one thread at a time."""

    @abstractmethod
    def _release(self) -> None:
        """Let go of what `_send` uses; it is not called again."""

    @abstractmethod
    def _renew(self) -> None:
        """Begin the connection anew: it may look alive for minutes when its other end is gone without a word."""

    @abstractmethod
    def _stuck(self) -> None:
        """Have `flush` called when a frame may be taken again, which none was just now."""

    def put(self, letter: Letter) -> bool:
        """Queue a letter; False if the queue is full or closed."""
        size, counts = len(letter.body), self._counts
        with self._filling:
            waiting = self._bytes + size
            depth = len(self._queue)
            if self._closed or depth >= QUEUE or (waiting > QUEUE_BYTES and depth):
                counts.refused += 1
                return False
            self._queue.append(letter)
            self._bytes = waiting
            if depth >= counts.high_water:
                counts.high_water = depth + 1
            if waiting > counts.high_water_bytes:
                counts.high_water_bytes = waiting
        return True

    def offer(self) -> None:
        """Send what is queued, or let it travel with what follows at once."""
        self.flush()

    def keep(self) -> None:
        """Leave what is queued to whoever will flush it, unless much has gathered."""
        if len(self._queue) >= HELD:
            self.flush()

    @abstractmethod
    def expect(self, count: int) -> None:
        """So many answers have come from the peer at once: as many asks may follow."""

    def hurry(self) -> None:
        """Send what is queued, for somebody waits for what follows from it."""
        self.flush()

    def see_off(self) -> bool:
        """Send what nobody has flushed; whether there was anything."""
        found = bool(self._queue)
        self.flush()
        return found

    def beat(self) -> None:
        """Say that we are there; what waits to be sent says so just as well."""
        if not self._queue:
            self.put(Letter(Kind.BEAT))
        self.flush()

    def flush(self) -> None:
        """Send what is queued, unless another thread is at it: then that one takes it along."""
        while self._queue and not self._closed and self._sending.acquire(blocking=False):
            try:
                taken = self._send_some()
            finally:
                self._sending.release()
            if not taken:
                self._stuck()
                return

    def forget(self, *, renew: bool) -> None:
        """Drop what is queued, for it was meant for an incarnation that is gone; and the connection, if it may be."""
        with self._sending, self._filling:
            self._queue.clear()
            self._bytes = 0
            self._ready = None
            if renew and not self._closed:
                self._renew()

    def close(self) -> None:
        """Drop what is queued, and send nothing more."""
        with self._sending, self._filling:
            if not self._closed:
                self._closed = True
                self._queue.clear()
                self._bytes = 0
                self._release()

    def waiting(self) -> tuple[int, int]:
        """Letters that are queued, and bytes of their bodies."""
        with self._filling:
            return len(self._queue), self._bytes

    def _send_some(self) -> bool:
        """Send queued letters as frames until none is left; False if no more are taken now."""
        while self._queue and not self._closed:
            frame, count, size = self._ready or self._next()
            if not self._send(frame):
                self._ready = frame, count, size
                return False
            self._ready = None
            self._counts.sent += count
            with self._filling:
                self._bytes -= size
                if len(self._queue) == count:
                    self._queue.clear()
                else:
                    for _ in range(count):
                        self._queue.popleft()
        return True

    def _next(self) -> tuple[bytes, int, int]:
        """A frame, how many letters it holds, and the bytes of their bodies."""
        with self._filling:
            letters, size = list(self._queue), self._bytes
        count = fitting(letters, size)
        if count < len(letters):
            letters = letters[:count]
            size = sum([len(letter.body) for letter in letters])
        return encode(letters), count, size


class Ways(dict[Lane, Outgoing]):
    """The ways to one peer, by lane: control at once, the others when they are first used.

    Args:
        address: where the peer receives.
        make: opens a way there.
        before: those to its address until now, whose counts are kept.

    """

    def __init__(self, address: str, make: Callable[[str, Lane, Counts], Outgoing], before: Ways | None) -> None:
        super().__init__()
        self.address = address
        self.counts: dict[Lane, Counts] = {lane: Counts() for lane in LANES} if before is None else before.counts
        self._make = make
        self._opening = threading.Lock()
        self._closed = False
        self[CONTROL] = make(address, CONTROL, self.counts[CONTROL])

    def way(self, lane: Lane) -> Outgoing | None:
        """The way on a lane; None once closed."""
        way = self.get(lane)
        if way is not None:
            return way
        with self._opening:
            if lane not in self and not self._closed:
                self[lane] = self._make(self.address, lane, self.counts[lane])
            return self.get(lane)

    def forget(self, *, renew: bool) -> None:
        """See `Outgoing.forget`, on all lanes."""
        for way in list(self.values()):
            way.forget(renew=renew)

    def close(self) -> None:
        """See `Outgoing.close`, on all lanes."""
        with self._opening:
            self._closed = True
        for way in list(self.values()):
            way.close()

    def infos(self) -> tuple[LaneInfo, ...]:
        """What can be seen of each lane on which anything has passed, or waits."""
        seen = []
        for lane in LANES:
            way, counts = self.get(lane), self.counts[lane]
            if way is not None or counts.received or counts.sent:
                queued, size = (0, 0) if way is None else way.waiting()
                seen.append(LaneInfo(
                    lane, queued, size, counts.high_water, counts.high_water_bytes, counts.refused,
                    counts.sent, counts.received,
                ))  # fmt: skip
        return tuple(seen)
