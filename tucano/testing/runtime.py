"""Turns instead of threads, and time that passes only when nobody has anything to do."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pykka

from tucano.actors.kernel import Clock, Ref
from tucano.actors.kernel.cell import Cell
from tucano.actors.kernel.life import Life, Paused
from tucano.actors.kernel.mailbox import Bell, Envelope, Inbox, Mailbox
from tucano.actors.kernel.runtime import Lock
from tucano.actors.kernel.timers import Timer, Timers

EPOCH = 1_700_000_000.0
"""Seconds since the epoch at which virtual time begins."""

TURN = 1e-6
"""Virtual seconds that one message takes: time passes even while actors never stop talking."""

LONGEST = 3600.0
"""Virtual seconds that a test waits for one answer, at most: nodes that beat four times a second make more endless."""


class Endless(AssertionError):
    """A test waited for what did not come in `LONGEST` seconds, and would go on."""


class Player:
    """One incarnation of an actor, as the simulation sees it."""

    __slots__ = ("actor", "begun", "cell", "frozen", "gone", "queued", "runtime")

    def __init__(self, runtime: SimulatedRuntime, actor: Life) -> None:
        self.runtime = runtime
        self.actor = actor
        self.cell = actor._cell
        self.begun = self.queued = self.frozen = self.gone = False


class Turns:
    """Gives turns to actors that have something to do, in an order drawn from `chance`; if none has, time passes.

    Args:
        chance: draws who is next.
        note: takes a line of the trace.

    """

    def __init__(self, chance: random.Random, note: Callable[[str], None]) -> None:
        self._chance = chance
        self._note = note
        self._now = 0.0
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._ready: list[Player] = []
        self._frozen: list[Player] = []

    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self._now

    def after(self, delay: float, fire: Callable[[], object], cancelled: Callable[[], None] = lambda: None) -> Timer:
        """Call `fire` in so many virtual seconds; `cancelled` at once when somebody cancels it."""
        timer = Timer(self._now + max(delay, 0.0), fire, cancelled)
        heapq.heappush(self._heap, (timer.due, next(self._order), timer))
        return timer

    def ready(self, player: Player) -> None:
        """An actor has something to do."""
        if not (player.queued or player.frozen or player.gone):
            player.queued = True
            self._ready.append(player)

    def run(self, until: float, condition: Callable[[], object]) -> bool:
        """Go on until the condition holds, looked at after each turn, or time is up; returns whether it holds."""
        while not condition():
            if self._heap and self._heap[0][0] <= self._now:
                self._fire()
            elif self._ready:
                if self._now >= until:
                    return False
                self._now += TURN
                self._turn()
            elif self._heap and self._heap[0][0] <= until:
                self._now = self._heap[0][0]
            else:
                self._now = max(self._now, until)
                return bool(condition())
        return True

    def freeze(self, player: Player) -> None:
        """See `Simulation.freeze`."""
        player.frozen = True
        self._frozen.append(player)

    def thaw(self) -> None:
        """See `Simulation.thaw`."""
        frozen, self._frozen = self._frozen, []
        for player in frozen:
            player.frozen = False
            self.ready(player)

    def _fire(self) -> None:
        timer = heapq.heappop(self._heap)[2]
        fire, timer.fire = timer.fire, None
        if fire is not None:
            fire()

    def _turn(self) -> None:
        """One actor's start, one message, or its end."""
        at = self._chance.randrange(len(self._ready))
        self._ready[at], self._ready[-1] = self._ready[-1], self._ready[at]
        player = self._ready.pop()
        player.queued = False
        if player.frozen or player.gone:
            return
        actor = player.actor
        who = f"{player.cell.address}#{actor._incarnation}"
        if not player.begun:
            player.begun = True
            self._note(f"{who} starts")
            if actor.begin_life():
                if player.cell.mailbox.waits():
                    self.ready(player)
                return
        else:
            self._note(f"{who} <- {_in_words(player.cell.mailbox)}")
            try:
                actor.take_turn()
            except Paused:
                if player.cell.mailbox.waits():
                    self.ready(player)
                return
        player.gone = True
        player.runtime.ended(player)
        actor.end_life()


def _in_words(mailbox: Mailbox) -> str:
    """What comes next, for the trace: the same bytes in every run."""
    lane = mailbox.control or mailbox.user
    if not lane:
        return "nothing"
    envelope = lane[0]
    if not isinstance(envelope, Envelope):
        return type(envelope).__name__
    try:
        said = msgspec.json.encode(envelope.body, enc_hook=_plain).decode()
    except (TypeError, ValueError):  # a note to self may hold anything
        said = ""
    return f"{envelope.sender or '(outside)'} {type(envelope.body).__name__} {said}"


def _plain(value: Any) -> str:
    return value.address if isinstance(value, Ref) else type(value).__name__


class VirtualClock:
    """Time as the turns have it."""

    def __init__(self, turns: Turns) -> None:
        self.now = turns.now

    def wall(self) -> float:
        """Seconds since the epoch."""
        return EPOCH + self.now()


class VirtualTimers:
    """The timers of one node: they end with it."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._closed = False
        self._pending = 0

    def after(self, delay: float, fire: Callable[[], object]) -> Timer:
        """See `Timers.after`."""
        self._pending += 1

        def fire_if_open() -> None:
            self._over()
            if not self._closed:
                fire()

        return self._turns.after(delay, fire_if_open, self._over)

    def pending(self) -> int:
        """Timers that have neither gone off nor been cancelled."""
        return self._pending

    def close(self) -> None:
        """See `Timers.close`."""
        self._closed = True

    def _over(self) -> None:
        self._pending -= 1


class _Bell:
    """Rings for the present incarnation of a cell."""

    def __init__(self, runtime: SimulatedRuntime, cell: Cell) -> None:
        self._runtime = runtime
        self._cell = cell

    def put(self, item: None, /) -> None:
        """See `Bell.put`."""
        del item
        player = self._runtime.players.get(self._cell.name)
        if player is not None:
            self._runtime.turns.ready(player)

    def get(self) -> None:
        """Never waited for: a turn ends instead."""
        raise Paused


class _SteppedInbox(Inbox):
    """Gives one message a turn."""

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__(mailbox)
        self._given = False

    def get(self) -> Inbox:
        """See `Inbox.get`."""
        if self._given or not self.message.waits():
            self._given = False
            raise Paused
        self._given = True
        return self


class SimulatedRuntime:
    """The `Runtime` of one incarnation of a simulated node.

    Args:
        turns: gives turns.
        chance: for jitter and identifiers.

    """

    burst = False

    def __init__(self, turns: Turns, chance: random.Random) -> None:
        self.turns = turns
        self.clock: Clock = VirtualClock(turns)
        self.timers: Timers = VirtualTimers(turns)
        self.chance = chance
        self.players: dict[str, Player] = {}  # by name: the one that its mailbox wakes
        self._all: dict[Player, None] = {}  # abandoned ones too

    def bell(self, cell: Cell) -> Bell:
        """See `Runtime.bell`."""
        return _Bell(self, cell)

    def inbox(self, mailbox: Mailbox) -> Inbox:
        """See `Runtime.inbox`."""
        return _SteppedInbox(mailbox)

    def start(self, actor: Life) -> None:
        """See `Runtime.start`."""
        player = self.players[actor._cell.name] = Player(self, actor)
        self._all[player] = None
        self.turns.ready(player)

    @property
    def unended(self) -> int:
        """Incarnations that have not had their last turn."""
        return len(self._all)

    def ended(self, player: Player) -> None:
        """An incarnation has had its last turn."""
        self._all.pop(player, None)
        if self.players.get(player.cell.name) is player:
            del self.players[player.cell.name]

    def wait(self, lock: Lock, seconds: float) -> bool:
        """See `Runtime.wait`: the simulation goes on meanwhile.

        Raises:
            Endless: not within `LONGEST` seconds, and `seconds` are more.

        """
        self.turns.run(self.clock.now() + min(seconds, LONGEST), lambda: not lock.locked())
        if lock.acquire(blocking=False):
            return True
        if seconds > LONGEST:
            raise Endless(f"nothing came in {LONGEST:g} virtual seconds, of {seconds:g} to wait: shorten the timeout")
        return False

    def close(self) -> None:
        """See `Runtime.close`."""
        self.timers.close()

    def vanish(self) -> None:
        """The node is gone, between two messages."""
        self.close()
        for player in self._all:
            player.gone = True
            pykka.ActorRegistry.unregister(player.actor.actor_ref)
        self._all.clear()
        self.players.clear()
