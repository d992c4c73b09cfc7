"""The sockets of the users' ZeroMQ front: messages in and out, and the connection to one instance."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final

import zmq
from zmq.utils.monitor import parse_monitor_message

from tucano.actors.proxy.mdp_queue import Frames, Place

MAX_FRAME: Final = 16 << 20
"""Bytes of one frame, at most; who sends more is disconnected."""

_NOBLOCK, _MORE = int(zmq.NOBLOCK), int(zmq.SNDMORE)
_FLAGS: Final = _NOBLOCK | _MORE
UP: Final = zmq.EVENT_HANDSHAKE_SUCCEEDED
DOWN: Final = (
    zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)  # fmt: skip


class Pipe:
    """A socket's messages, by the calls below those of pyzmq that check and convert: a third of the time.

    What is dear is to ask whether a frame is the last one (1 us of the 1.2 that it takes); a `Frame` knows.

    Attributes:
        post: leaves a message to be sent by the next `flush`.
        dropped: messages for which there was no room.

    """

    __slots__ = ("_outbox", "_receive", "_routed", "_send", "dropped", "post", "socket")

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self.socket = socket
        raw: Any = super(zmq.Socket, socket)
        self._receive: Callable[..., Any] = raw.recv
        self._send: Callable[[bytes, int], None] = raw.send
        self._routed = socket.type == zmq.ROUTER
        self._outbox: list[Frames] = []
        self.post = self._outbox.append
        self.dropped = 0

    def receive(self) -> Frames:
        """The next message.

        Raises:
            zmq.Again: There is none.
        """
        receive = self._receive
        frames = [receive(_NOBLOCK)] if self._routed else []  # after a routing id always comes more
        while True:
            frame = receive(_NOBLOCK, False)
            frames.append(frame.bytes)
            if not frame.more:
                return frames

    def flush(self) -> None:
        """Send what was posted, in one go: libzmq's own thread is then woken once, and not for each message.

        What there is no room for is dropped: the other side is gone, as its connection will tell, or does not read.
        """
        send = self._send
        for frames in self._outbox:
            try:
                for frame in frames[:-1]:
                    send(frame, _FLAGS)
                send(frames[-1], _NOBLOCK)
            except zmq.Again:
                self.dropped += 1
        self._outbox.clear()


class Line:
    """The connection to one instance."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], place: Place) -> None:
        self.place = place
        self.socket = context.socket(zmq.DEALER)
        for option, value in (
            (zmq.LINGER, 0), (zmq.MAXMSGSIZE, MAX_FRAME), (zmq.RECONNECT_IVL, -1), (zmq.TCP_KEEPALIVE, 1),
            (zmq.TCP_KEEPALIVE_IDLE, 10), (zmq.TCP_KEEPALIVE_INTVL, 5), (zmq.TCP_KEEPALIVE_CNT, 3),
        ):  # fmt: skip
            self.socket.set(option, value)
        self.monitor = self.socket.get_monitor_socket(UP | DOWN)
        self.news()  # none yet; but only who has found nothing is woken by the descriptor
        _, host, port = place.key
        self.socket.connect(f"tcp://{host}:{port}")
        self.pipe = Pipe(self.socket)
        place.send = self.pipe.post

    def news(self) -> int:
        """What happened to the connection: `UP`, `DOWN`, both or nothing."""
        events = 0
        with contextlib.suppress(zmq.Again):
            while True:
                events |= parse_monitor_message(self.monitor.recv_multipart(zmq.NOBLOCK))["event"]
        return events

    def close(self) -> None:
        """Let go of it."""
        self.socket.disable_monitor()
        self.monitor.close(linger=0)
        self.socket.close(linger=0)
