"""The way to one peer on one lane over ZeroMQ: a DEALER, and when it is best used."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

import zmq

from tucano.transport.outgoing import HELD, Counts, Outgoing
from tucano.transport.pusher import Pusher

SEND_FRAMES: Final = 64
"""Frames on one lane to one peer that ZeroMQ holds before letters gather in the queue, where they are bounded and seen:
with `wire.FRAME`, 64 MiB at most."""

LULL: Final = 0.0001
"""Seconds without a letter on a lane after which the next one leaves at once; in a closer row, letters gather."""

GATHER: Final = 50
"""Letters that gather at most, until the sending thread comes to it, before whoever adds one sends them all. Of 100
asks in flight one half is then on its way while the other one is handled: measured, with 32 or with 64 a tenth fewer
are answered, with 100 a fifth."""

TOGETHER: Final = 0.001
"""Seconds for which as many letters are expected to follow as answers came together: who was answered asks on."""

PATIENCE: Final = 20
"""Milliseconds that the sending thread waits for room on one lane before it looks at the next."""


class Dealer(Outgoing):
    """The way to one peer on one lane: a socket of its own.

    Args:
        context: whose socket.
        identity: makes the routing id of a connection.
        address: where the peer receives.
        counts: of its lane.
        pusher: sends what gathers here.
        secure: makes the socket fit to connect to the peer.
        barred: called at a beat when the peer has not admitted our key; without, nobody looks.

    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        identity: Callable[[], bytes],
        address: str,
        counts: Counts,
        pusher: Pusher,
        secure: Callable[[zmq.Socket[bytes]], None],
        barred: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(counts)
        self._barred = barred
        self._secure = secure
        self._context = context
        self._identity = identity
        self._address = address
        self._pusher = pusher
        self._is_armed = False  # the pusher has been told to `push`
        self._is_held = False  # the pusher knows that letters are held here
        self._is_full = False  # ZeroMQ took no more; who waited for room in vain does not wait again
        self._offered_at = -math.inf
        self._expected = 0  # letters
        self._expected_until = -math.inf
        self._socket, self._monitor = self._connect()

    def _connect(self) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes] | None]:
        socket = self._context.socket(zmq.DEALER)
        socket.set(zmq.ROUTING_ID, self._identity())
        socket.set(zmq.LINGER, 200)
        socket.set(zmq.SNDHWM, SEND_FRAMES)
        socket.set(zmq.IMMEDIATE, 1)  # queue with us, where it is bounded and seen, not for a peer that is away
        socket.set(zmq.RECONNECT_IVL, 20)
        socket.set(zmq.RECONNECT_IVL_MAX, 1000)
        socket.set(zmq.CONNECT_TIMEOUT, 2000)  # a black hole that heals is not waited for as long as TCP would
        socket.set(zmq.HANDSHAKE_IVL, 5000)
        monitor = None
        try:
            self._secure(socket)
            if self._barred is not None:  # ZeroMQ does not try again after a refusal: it is seen now or never
                monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
            socket.connect(self._address)
        except (zmq.ZMQError, ValueError):
            _close(socket, monitor)
            raise
        return socket, monitor

    def beat(self) -> None:
        """See `Outgoing.beat`; look whether the peer lets us in."""
        if self._barred is not None and self._was_refused():
            self._barred()
        super().beat()

    def _was_refused(self) -> bool:
        found = False
        with self._sending:  # who finds it taken leaves its letters to us: whoever calls this flushes
            while not self._closed and self._monitor is not None and self._monitor.poll(0):
                self._monitor.recv_multipart()
                found = True
        return found

    def offer(self) -> None:
        """See `Outgoing.offer`: after a lull at once, else soon, or when enough has gathered."""
        before, self._offered_at = self._offered_at, time.monotonic()
        in_a_row = self._offered_at - before <= LULL or self._expects_more(self._offered_at)
        if in_a_row and len(self._queue) < GATHER and not self._is_full:
            self._arm()
        else:
            self.flush()

    def expect(self, count: int) -> None:
        """See `Outgoing.expect`."""
        if count > 1:
            now = time.monotonic()
            self._expected = count if now >= self._expected_until else self._expected + count
            self._expected_until = now + TOGETHER

    def hurry(self) -> None:
        """See `Outgoing.hurry`: at once, unless those who were answered together are about to add to it."""
        if self._expected and self._expects_more(time.monotonic()):
            if not self._is_held:
                self._hold()
            self._pusher.soon()
        else:
            self.flush()

    def keep(self) -> None:
        """See `Outgoing.keep`."""
        if not self._is_held:
            self._hold()
        if len(self._queue) >= HELD:
            self.flush()

    def see_off(self) -> bool:
        """See `Outgoing.see_off`."""
        self._is_held = False
        return super().see_off()

    def push(self) -> None:
        """Send what is queued; wait a little for room if there was none."""
        self._is_armed = False
        if self._is_full:
            with self._sending:
                if self._closed or not self._socket.poll(PATIENCE, zmq.POLLOUT):
                    return
        self.flush()

    def _expects_more(self, now: float) -> bool:
        return len(self._queue) < self._expected and now < self._expected_until

    def _hold(self) -> None:
        self._is_held = True
        self._pusher.hold(self)

    def _arm(self) -> None:
        if not self._is_armed:
            self._is_armed = True
            self._pusher.turn(self.push)

    def _send(self, frame: bytes) -> bool:
        self._expected = 0
        try:
            self._socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            return False
        self._is_full = False
        return True

    def _renew(self) -> None:
        fresh = self._connect()  # if none can be had, the old one stays
        _close(self._socket, self._monitor, 0)
        self._socket, self._monitor = fresh

    def _stuck(self) -> None:
        if not self._is_full:
            self._is_full = True
            self._arm()

    def _release(self) -> None:
        self._pusher.forget(self)
        _close(self._socket, self._monitor)


def _close(socket: zmq.Socket[bytes], monitor: zmq.Socket[bytes] | None, linger: int | None = None) -> None:
    if monitor is not None:
        socket.disable_monitor()
        monitor.close(0)
    socket.close(linger)
