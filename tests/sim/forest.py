"""Actors under trees under trees that talk, watch and crash at random, and a ledger of what must not happen."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pykka

from tucano.actors.kernel import Actor, Child, Down, Law, Message, Ref, Refused, Tree

GENEROUS = Law(intensity=1_000_000, period=60.0, base=0.05, ceiling=0.4)
"""Nobody gives up."""

LEAVES = ("a", "b", "c", "d", "e", "f", "g", "h")
TREES = ("t", "u")

ENDS = ("crashed", "stopped", "not_found", "mailbox_full")
"""How an ask may end without an answer, as long as nothing hangs or is cut off."""

TIMEOUT = 3.0
"""Virtual seconds that an ask or a pipe waits."""


class Trouble(Exception):
    """What is raised at random."""


class Numbered(Message, frozen=True):
    """A message with a number of its own; who handles it says `hops` further ones."""

    number: int
    hops: int


class Settled(Message, frozen=True):
    """A pipe has brought an answer or a refusal."""

    number: int


class Tick(Message, frozen=True):
    pass


class Ledger:
    """What was said, handled, answered; and what went wrong, since an assertion in an actor would only crash it.

    Args:
        chance: for whatever is random.

    Attributes:
        stormy: whether actors crash at random.
        wrong: what must not have happened.

    """

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.stormy = False
        self.wrong: list[str] = []
        self.handled: Counter[int] = Counter()
        self.sent = 0
        self.asked: dict[int, pykka.Future[Any]] = {}
        self._newest: dict[str, int] = {}  # address -> who was constructed last
        self._serials = itertools.count(1)
        self._piped: dict[int, tuple[str, int]] = {}  # number -> who waits
        self._watching: set[tuple[int, str]] = set()

    def trouble(self, probability: float) -> None:
        """Crash now and then."""
        if self.stormy and self.chance.random() < probability:
            raise Trouble

    def born(self, address: str) -> int:
        """An incarnation is constructed; its number."""
        serial = self._newest[address] = next(self._serials)
        return serial

    def acts(self, actor: Leaf) -> None:
        """An incarnation handles something."""
        if actor.fenced or self._newest[actor.ref.address] != actor.serial:
            self.wrong.append(f"{actor.ref.address} has been replaced, and still handles messages")

    def number(self) -> int:
        """The next message's."""
        self.sent += 1
        return self.sent

    def tell(self, ref: Ref, hops: int) -> None:
        """Tell somebody."""
        ref.tell(Numbered(self.number(), hops))

    def ask(self, ref: Ref, hops: int) -> None:
        """Ask somebody from outside."""
        number = self.number()
        self.asked[number] = ref.ask(Numbered(number, hops), timeout=TIMEOUT, block=False)

    def pipe(self, actor: Leaf, ref: Ref, hops: int) -> None:
        """Ask somebody as an actor."""
        number = self.number()
        self._piped[number] = (actor.ref.address, actor.serial)
        actor.pipe(ref, Numbered(number, hops), TIMEOUT, lambda _: Settled(number))

    def settled(self, actor: Leaf, number: int) -> None:
        """An answer, a refusal or a timeout has come to who piped."""
        if self._piped.pop(number, None) != (actor.ref.address, actor.serial):
            self.wrong.append(f"pipe {number} was settled twice, or for another incarnation")

    def watch(self, actor: Leaf, ref: Ref) -> None:
        """Watch somebody."""
        self._watching.add((actor.serial, ref.address))
        actor.watch(ref)

    def down(self, actor: Leaf, who: str) -> None:
        """A watch is over."""
        if (actor.serial, who) not in self._watching:
            self.wrong.append(f"{actor.ref.address} was told of {who}, whom it does not watch")
        self._watching.discard((actor.serial, who))

    def unhandled(self) -> int:
        """Messages that nobody has handled."""
        return self.sent - len(self.handled)

    def check(self) -> None:
        """What holds at any moment."""
        assert not self.wrong, self.wrong[:5]
        twice = [number for number, times in self.handled.items() if times > 1]
        assert not twice, f"handled more than once: {twice[:5]}"

    def check_asks(self, *ends: str) -> None:
        """What holds when all is quiet: every ask from outside has ended, in one of these ways or those of `ENDS`."""
        self.check()
        for number, future in self.asked.items():
            assert outcome(future) in (number, *ENDS, *ends), f"ask {number} came back with {outcome(future)}"

    def check_pipes(self) -> None:
        """And so has every pipe of an incarnation that still runs."""
        waiting = [number for number, (address, serial) in self._piped.items() if self._newest[address] == serial]
        assert not waiting, f"neither answered, refused nor timed out: {waiting[:5]}"


def outcome(future: pykka.Future[Any]) -> Any:
    """The answer, or the code of the refusal."""
    try:
        return future.get()
    except Refused as refused:
        return refused.code


class Leaf(Actor):
    """Says something now and then, and answers with the number that it is asked."""

    Inbox = Numbered | Settled | Tick | Down
    shutdown = 0.5

    def __init__(self, ledger: Ledger, peers: Sequence[str]) -> None:
        super().__init__()
        self._ledger = ledger
        self._peers = peers
        self.serial = ledger.born(self.ref.address)
        ledger.trouble(0.05)

    def on_start(self) -> None:
        self._ledger.trouble(0.05)
        self.every(1.1, Tick())

    def on_stop(self) -> None:
        if self._cell.phase != "stopping":
            self._ledger.wrong.append(f"{self.ref.address} stops, and its tree has not told it to")
        self._ledger.trouble(0.05)

    def receive(self, message: Numbered | Settled | Tick | Down) -> Any:
        ledger = self._ledger
        ledger.acts(self)
        match message:
            case Numbered(number, hops):
                ledger.handled[number] += 1
                ledger.trouble(0.02)
                if hops:
                    self._speak(hops - 1)
                return number
            case Settled(number):
                ledger.settled(self, number)
            case Tick():
                ledger.trouble(0.02)
                if ledger.stormy:
                    self._speak(1)
            case Down(who):
                ledger.down(self, who)
        return None

    def _speak(self, hops: int) -> None:
        ledger, ref = self._ledger, self.address(self._ledger.chance.choice(self._peers))
        match ledger.chance.randrange(3):
            case 0:
                ledger.tell(ref, hops)
            case 1:
                ledger.pipe(self, ref, hops)
            case _:
                ledger.watch(self, ref)


def plant(ledger: Ledger, nodes: Sequence[str], **tree: Any) -> list[Child]:
    """The children of a node's root: eight leaves and two trees, one below the other."""
    peers = [f"{node}/{name}" for node in nodes for name in LEAVES]
    a, b, c, d, e, f, g, h = (Child(name, Leaf, {"ledger": ledger, "peers": peers}, mailbox=30) for name in LEAVES)
    u = Child("u", Tree, {"children": (e, f), **tree})
    t = Child("t", Tree, {"children": (c, d, u, g), **tree})
    return [a, b, t, h]
