"""The way to one peer: a bounded queue of letters, and who sends them.

Whoever sends while another thread is sending only queues: that one takes it along in its next frame, so that a lone
letter is never delayed and a burst travels together.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque

from tucano.transport.link import QUEUE, Kind, Letter
from tucano.transport.wire import encode_some


class Outgoing(ABC):
    """What waits for one peer. A link says how a frame is sent; all methods may be called by any thread.

    Args:
        address: where the peer receives.

    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._queue: deque[Letter] = deque()
        self._ready: tuple[bytes, int] | None = None  # a frame that was not taken, and how many letters it holds
        self._lock = threading.Lock()
        self._closed = False

    @abstractmethod
    def _send(self, frame: bytes) -> bool:
        """Send a frame without waiting; False if none is taken now. Called by one thread at a time."""

    @abstractmethod
    def _release(self) -> None:
        """Let go of what `_send` uses; it is not called again."""

    def put(self, letter: Letter) -> bool:
        """Queue a letter; False if the queue is full or closed."""
        if self._closed or len(self._queue) >= QUEUE:
            return False
        self._queue.append(letter)
        return True

    def beat(self) -> None:
        """Say that we are there; what waits to be sent says so just as well."""
        if not self._queue:
            self._queue.append(Letter(Kind.BEAT))
        self.flush()

    def flush(self) -> None:
        """Send what is queued, unless another thread is at it: then that one takes it along."""
        while self._queue and not self._closed and self._lock.acquire(blocking=False):
            try:
                if not self._send_some():
                    return
            finally:
                self._lock.release()

    def forget(self) -> None:
        """Drop what is queued: it was meant for an incarnation that is gone."""
        with self._lock:
            self._queue.clear()
            self._ready = None

    def close(self) -> None:
        """Drop what is queued, and send nothing more."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.clear()
                self._release()

    def _send_some(self) -> bool:
        """Send queued letters as frames until none is left; False if no more are taken now."""
        while self._queue and not self._closed:
            frame, count = self._ready or encode_some(self._queue)
            if not self._send(frame):
                self._ready = frame, count
                return False
            self._ready = None
            for _ in range(count):
                self._queue.popleft()
        return True
