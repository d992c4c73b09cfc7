"""Who sends what nobody else comes to."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.helpers import eventually
from tests.transport.box import tell
from tucano.transport import wire
from tucano.transport.outgoing import Counts, Outgoing
from tucano.transport.pusher import Pusher


class Way(Outgoing):
    """Frames go onto a list."""

    def __init__(self, pusher: Pusher) -> None:
        super().__init__(Counts())
        self.frames: list[bytes] = []
        self._pusher = pusher

    def keep(self) -> None:
        self._pusher.hold(self)

    def expect(self, count: int) -> None:
        pass

    def _send(self, frame: bytes) -> bool:
        self.frames.append(frame)
        return True

    def _release(self) -> None:
        self._pusher.forget(self)

    def _renew(self) -> None:
        pass

    def _stuck(self) -> None:
        pass


@pytest.fixture
def pusher() -> Iterator[Pusher]:
    pusher = Pusher("pusher")
    pusher.start()
    yield pusher
    pusher.close()


def test_what_is_held_leaves_soon_in_one_frame_and_in_order(pusher: Pusher) -> None:
    ways = [Way(pusher) for _ in range(3)]
    for way in ways:
        for text in ("first", "second"):
            assert way.put(tell(text))
            way.keep()
    pusher.soon()
    eventually(lambda: all(way.frames for way in ways))
    assert [[wire.decode(frame) for frame in way.frames] for way in ways] == [[[tell("first"), tell("second")]]] * 3


def test_what_is_held_again_and_again_leaves_each_time_also_after_nobody_has_looked_for_a_while(pusher: Pusher) -> None:
    way, looked = Way(pusher), threading.Event()
    for turn in range(50):
        assert way.put(tell(str(turn)))
        way.keep()
        pusher.soon()
        eventually(lambda turn=turn: len(way.frames) == turn + 1)  # type: ignore[misc]
        if turn % 10 == 0:
            eventually(lambda: not pusher._watches, "it has given up looking")
    pusher.turn(looked.set)
    assert looked.wait(10)


def test_a_way_that_is_closed_is_not_kept(pusher: Pusher) -> None:
    for _ in range(100):
        way = Way(pusher)
        assert way.put(tell("held"))
        way.keep()
        way.close()
    assert not pusher._held
