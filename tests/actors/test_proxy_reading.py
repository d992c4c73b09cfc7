"""Who has much to say is read piece by piece, a few in a turn, and nobody is passed over. On real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from itertools import groupby
from typing import cast

import pytest
import uvloop

from tucano.actors.proxy.reading import SLOW, Reading, Turns


class Loop:
    """Counts the turns of a real loop, and has a clock that goes on only when told to."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.now = 0.0
        self.turn = 0
        self.counting = True
        self.turns = Turns(self.loop, lambda: self.now)
        self.read: list[tuple[int, str]] = []  # in which turn, who
        self._tick()

    def _tick(self) -> None:
        self.turn += 1
        if self.counting:
            self.loop.call_soon(self._tick)


class Talker(Reading):
    """Takes so many seconds for each read, whatever came."""

    def __init__(self, name: str, on: Loop, seconds: float) -> None:
        super().__init__()
        self.name, self.on, self.seconds = name, on, seconds
        self.bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        began = self.on.now
        self.on.now += self.seconds
        self.on.read.append((self.on.turn, self.name))
        self.bytes += len(data)
        self.on.turns.had(self, len(data), began)


def read_by_turn(names: str, seconds: float, size: int) -> list[list[str]]:
    """Who was read in each turn in which anybody was, until `size` bytes of each have come."""

    async def play() -> list[list[str]]:
        on = Loop()
        talkers, ends = [], []
        for name in names:
            ours, theirs = socket.socketpair()
            theirs.setblocking(False)
            talkers.append(Talker(name, on, seconds))
            ends.append(theirs)
            await on.loop.create_connection(lambda: talkers[-1], sock=ours)
        sends = [asyncio.ensure_future(on.loop.sock_sendall(end, b"x" * size)) for end in ends]
        try:
            async with asyncio.timeout(30):
                await asyncio.gather(*sends)
                while any(talker.bytes < size for talker in talkers):
                    await asyncio.sleep(0)
        finally:
            on.counting = False
            for talker, end in zip(talkers, ends, strict=True):
                talker.transport.close()
                end.close()
        return [[name for _, name in turn] for _, turn in groupby(on.read, key=lambda one: one[0])]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(play())


def test_of_those_that_take_long_one_is_read_in_a_turn_and_nobody_is_passed_over() -> None:
    turns = read_by_turn("abcd", 2 * SLOW, 4_000_000)
    known = turns[4:]  # at first nobody has shown yet what it takes
    assert len(known) > 20
    assert all(len(names) == 1 for names in known)
    halfway = Counter(name for names in turns[: len(turns) // 2] for name in names)
    assert max(halfway.values()) - min(halfway.values()) <= 3


@pytest.mark.parametrize("seconds", [0.0, SLOW / 8])
def test_those_that_are_quick_are_read_together(seconds: float) -> None:
    assert max(map(len, read_by_turn("abcd", seconds, 4_000_000))) > 1
