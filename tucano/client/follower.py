"""Events as they happen, for whoever waits for something."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from tucano.actors.messages.model import Event
from tucano.client.channel import Answer, Channel, Denied, Lost
from tucano.client.failures import ClusterError
from tucano.client.reach import Reach
from tucano.transport.security import Insecure

PING = 20.0
"""Seconds; the gateway forgets followers that have said nothing for 60 s."""


class Follower:
    """A stream of events over a connection of its own, which outlives the controller.

    Args:
        reach: gives the gateway's endpoint, and keys.
        last: how many events of the past to begin with.

    """

    def __init__(self, reach: Callable[[], Reach], last: int = 0) -> None:
        self._reach = reach
        self._channel = Channel(reach)
        self._last = last
        self._seq: int | None = None  # of the last event seen; None before the first answer
        self._stream = 0  # the stream's number on this connection, 0 when there is none
        self._ready: list[Event] = []
        self._pinged = 0.0

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def open(self, timeout: float) -> bool:
        """Begin to follow now; whether that could be done within `timeout` seconds. `next` does it else.

        Raises:
            NoCluster: there is no cluster.
            ClusterError: `forbidden`: our key may not follow.

        """
        if not self._stream:
            self._try(self._open, timeout)
        return bool(self._stream)

    def next(self, timeout: float) -> Event | None:
        """The next event, or None if there is none within `timeout` seconds or the controller is away.

        Raises:
            NoCluster: there is no cluster any more.
            ClusterError: `forbidden`: our key may not follow, or no longer: it was revoked.

        """
        if not self._ready:
            self._try(self._read, timeout)
        return self._ready.pop(0) if self._ready else None

    def wait(self, timeout: float) -> None:
        """Wait until something happens, for `timeout` seconds at most; takes all events that are there."""
        until = time.monotonic() + timeout
        if self.next(timeout) is None:
            time.sleep(max(0.0, until - time.monotonic()))  # a connection that breaks ends the wait early
        while self._stream and self.next(0.0) is not None:
            continue

    def _try(self, step: Callable[[float], None], timeout: float) -> None:
        """Do it by then; if the controller is away it is done when it is back."""
        try:
            step(time.monotonic() + timeout)
        except Lost:
            self._lose()
        except (Denied, Insecure) as denied:
            raise ClusterError("forbidden", f"{self._reach().address}: {denied}") from denied

    def _read(self, deadline: float) -> None:
        """Take the next item, after what opening the stream brought."""
        if not self._stream:
            self._open(deadline)
        if self._ready:
            return
        if time.monotonic() - self._pinged > PING:
            self._channel.send("ping", {}, deadline)  # whatever is answered to it is not looked at
            self._pinged = time.monotonic()
        answer = self._channel.item(self._stream, deadline)
        if answer is not None:
            _refuse_errors(answer)
            self._take(_events(answer.item))

    def _open(self, deadline: float) -> None:
        """Follow, from the last event seen."""
        since = self._seq if self._seq is not None else -max(1, self._last)
        stream = self._channel.send("events", {"since": since, "follow": True}, deadline)
        early: list[Event] = []  # what happened while the answer was on its way
        while (answer := self._channel.item(stream, deadline)) is not None and bytes(answer.item):
            early += _events(answer.item)
        if answer is None:
            raise Lost("no stream of events", sent=True, late=True)
        _refuse_errors(answer)
        found = _events(answer.ok)
        if self._seq is None and not self._last:
            self._seq = found[-1].seq if found else 0  # asked for only to know where we are
        self._take(found + early)
        self._stream, self._pinged = stream, time.monotonic()

    def _lose(self) -> None:
        """The controller is away: the next call opens anew, after the last event seen."""
        self._channel.drop()
        self._stream = 0

    def _take(self, events: list[Event]) -> None:
        """Keep what has not been seen."""
        for event in sorted(events, key=lambda event: event.seq):
            if event.seq > (self._seq or 0):
                self._seq = event.seq
                self._ready.append(event)


def _refuse_errors(answer: Answer) -> None:
    """What ends a stream: a controller that is starting, or a key that may not follow, which is for good."""
    if answer.error is not None and answer.error.code == "forbidden":
        raise ClusterError(answer.error.code, answer.error.message)
    if answer.error is not None:
        raise Lost(answer.error.message, sent=True, late=False)


def _events(raw: msgspec.Raw) -> list[Event]:
    """The events in an answer or an item."""
    return msgspec.msgpack.decode(raw, type=dict[str, list[Event]])["events"]
