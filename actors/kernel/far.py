"""The far side of a node's actors: letters to and from other nodes, and the asks that wait for them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from tucano.actors.kernel.asked import Asked
from tucano.actors.kernel.down import Down
from tucano.actors.kernel.errors import CRASHED, FORBIDDEN, NOT_UNDERSTOOD, TOO_LARGE, UNREACHABLE, Refused, refusal
from tucano.actors.kernel.mailbox import Envelope
from tucano.actors.kernel.message import Codec, lane_of
from tucano.actors.kernel.owed import Owed
from tucano.actors.kernel.ref import Ref, is_name
from tucano.actors.kernel.reply import Asker, hand_over
from tucano.actors.kernel.running import running
from tucano.actors.kernel.trace import name_of, read
from tucano.transport.link import CONTROL, Kind, Lane, Letter, Link, PeerInfo
from tucano.transport.wire import MAX_FRAME

if TYPE_CHECKING:
    from tucano.actors.kernel.system import System

MAX_BODY = MAX_FRAME - 64 * 1024
"""Bytes of one message, at most; the rest of a frame is for its letter's other fields."""

_TELL, _ASK, _ANSWER = int(Kind.TELL), int(Kind.ASK), int(Kind.ANSWER)  # plain numbers are encoded faster

_SIGNED = frozenset((Kind.WATCH, Kind.UNWATCH, Kind.DOWN))
"""Letters that mean nothing without an actor's address; who tells, asks or stops may be outside all actors."""

_LONG = 512
"""Characters: no address has as many, and nobody's inventions are to be remembered."""

T = TypeVar("T")

_DOWN = msgspec.msgpack.Decoder(Down)
_REFUSAL = msgspec.msgpack.Decoder(tuple[str, str])


class Far:
    """What a system says to other nodes, and hears from them: the link's `Receiver`.

    Args:
        system: the node's.
        link: the network; absent for a node on its own.

    """

    def __init__(self, system: System, link: Link | None) -> None:
        self._system = system
        self._link = link
        self._codec = Codec(to_wire=_to_wire, from_wire=self._from_wire)
        self._asked = Asked(system.clock)
        self.held: set[str] = set()  # nodes for which answers wait until the burst is over that they are given in
        self._down: set[str] = set()  # nodes that were up and are gone: what is said to them is refused at once
        if link is not None:
            link.start(self)

    # Out.

    def tell(self, ref: Ref, message: Any, sender: str, context: str) -> bool:
        """Send; whether it was queued."""
        tag, body = self._codec.encode(message)
        if len(body) > MAX_BODY:
            self._system.lost(ref.address, _too_large(body))
            return False
        letter = Letter(_TELL, ref.name, sender, 0, 0, tag, msgspec.Raw(body), context)
        return self._send(ref.node, letter, lane_of(message))

    def ask(self, ref: Ref, message: Any, timeout: float, asker: Asker, sender: str, context: str, hold: bool) -> None:
        """Send, and hand the answer to `asker`, who keeps the time."""
        tag, body = self._codec.encode(message)
        if len(body) > MAX_BODY:
            asker.refuse(Refused(TOO_LARGE, f"{name_of(message)} for {ref.address}: {_too_large(body)}"))
            return
        node = ref.node
        number = self._asked.add(node, timeout, asker)
        letter = Letter(_ASK, ref.name, sender, number, int(timeout * 1000) or 1, tag, msgspec.Raw(body), context)
        if not self._send(node, letter, lane_of(message), hold):
            self._unreachable(node, number)

    def stop(self, ref: Ref, timeout: float, asker: Asker) -> None:
        """Have an actor stopped for good; `asker` gets whether there was one."""
        number = self._asked.add(ref.node, timeout, asker)
        if not self._send(ref.node, Letter(Kind.STOP, ref.name, "", number, int(timeout * 1000) or 1)):
            self._unreachable(ref.node, number)

    def connected(self, node: str) -> bool:
        """Whether the node has been heard lately."""
        return self._link is not None and self._link.connected(node)

    def flush(self, node: str) -> None:
        """What was held for that node is to be on its way."""
        if self._link is not None:
            self._link.flush(node)

    def hurry(self, node: str) -> None:
        """Somebody waits for an answer of that node's: what was asked is to be on its way."""
        if self._link is not None:
            self._link.hurry(node)

    def go_on(self) -> None:
        """A burst goes on: what was answered in it waits for a moment only, for the next message may take long."""
        if self._link is not None:
            self._link.soon()

    def release(self) -> None:
        """A burst is over: what was answered in it is to be on its way."""
        while self.held:
            with contextlib.suppress(KeyError):  # another actor's burst was over just now
                self.flush(self.held.pop())

    def links(self) -> tuple[PeerInfo, ...]:
        """What has passed between this node and each other one."""
        return () if self._link is None else tuple(self._link.stats())

    def watch(self, ref: Ref, watcher: str) -> bool:
        """Ask another node to tell `watcher`; False if it cannot be reached."""
        return self.connected(ref.node) and self._send(ref.node, Letter(Kind.WATCH, ref.name, watcher))

    def unwatch(self, ref: Ref, watcher: str) -> None:
        """Ask it not to."""
        self._send(ref.node, Letter(Kind.UNWATCH, ref.name, watcher))

    def down(self, node: str, watcher: str, news: Down) -> None:
        """Tell a watcher on another node."""
        _, body = self._codec.encode(news)
        self._send(node, Letter(Kind.DOWN, watcher, news.who, 0, 0, news.TAG, msgspec.Raw(body)))

    def close(self) -> None:
        """Let go of the link."""
        if self._link is not None:
            self._link.close()

    def _unreachable(self, node: str, number: int) -> None:
        self._settle(node, number, Refused(UNREACHABLE, f"node {node} cannot be reached"))

    def _send(self, node: str, letter: Letter, lane: Lane = CONTROL, hold: bool = False) -> bool:
        link = self._link
        if link is not None and node not in self._down and link.send(node, letter, lane, hold=hold):
            return True
        self._system.lost(f"{node}/{letter.to}", "its node cannot be reached, or has too much waiting")
        return False

    # In: called in the link's thread.

    def letters(self, node: str, batch: Sequence[Letter], lane: Lane = CONTROL) -> None:
        """See `transport.link.Receiver`."""
        bells: list[Callable[[], object]] = []
        running.bells = bells
        try:
            self._letters(node, batch, lane)
        finally:
            running.bells = None
            for ring in bells:
                ring()

    def _letters(self, node: str, batch: Sequence[Letter], lane: Lane) -> None:
        for letter in batch:
            sender = letter.sender
            try:
                if (sender or letter.kind in _SIGNED) and not (len(sender) < _LONG and _lives_on(node, sender)):
                    raise Refused(NOT_UNDERSTOOD, f"it says to be from {sender[:80]!r}")
                if letter.to and not (len(letter.to) < _LONG and _may_be_called(letter.to)):
                    raise Refused(NOT_UNDERSTOOD, f"no actor can be called {letter.to[:80]!r}")
                self._letter(node, letter, lane)
            except Refused as refused:
                self._system.channel.happened_again("message_refused", letter.to, f"from node {node}: {refused}")
                if letter.kind in (Kind.ASK, Kind.STOP):
                    self._answer(Owed(node, letter.id, self._answer, "", lane), refused)
                elif letter.kind in (Kind.ANSWER, Kind.REFUSAL):
                    self._settle(node, letter.id, refused)

    def peer_up(self, node: str) -> None:
        """See `transport.link.Receiver`."""
        self._down.discard(node)
        self._system.channel.happened("node_up", node, "is connected")

    def peer_down(self, node: str, why: str) -> None:
        """See `transport.link.Receiver`."""
        self._down.add(node)
        self._system.channel.happened("node_down", node, why)
        for number in self._asked.of(node):
            self._settle(node, number, Refused(UNREACHABLE, f"node {node} is gone: {why}"))
        self._system.watches.node_down(node, why)

    def name_taken(self, node: str, why: str) -> None:
        """See `transport.link.Receiver`."""
        self._system.channel.happened("name_taken", node, why)

    def _letter(self, node: str, letter: Letter, lane: Lane) -> None:
        system = self._system
        context = letter.trace if letter.trace and read(letter.trace) else ""
        match letter.kind:  # plain numbers for what is frequent: to look up a member of an enum takes a while
            case 1:  # Kind.TELL
                body = self._codec.decode(letter.tag, letter.body)
                system.deliver(letter.to, Envelope(body, None, letter.sender, context, 0, node))
            case 3:  # Kind.ANSWER
                self._settle(node, letter.id, self._codec.decode(letter.tag, letter.body), context)
            case 2:  # Kind.ASK
                body = self._codec.decode(letter.tag, letter.body)
                owed = Owed(node, letter.id, self._answer, context, lane, [True])
                system.deliver(letter.to, Envelope(body, owed, letter.sender, context, 0, node))
            case Kind.REFUSAL:
                self._settle(node, letter.id, refusal(*_read(_REFUSAL, letter.body)), context)
            case Kind.WATCH:
                system.watches.watched(letter.to, letter.sender)
            case Kind.UNWATCH:
                system.watches.unwatched(letter.to, letter.sender)
            case Kind.DOWN:
                news = _read(_DOWN, letter.body)
                if news.who == letter.sender:
                    system.watches.heard(node, letter.to, news.who.partition("/")[2], news)
            case Kind.STOP if system.closed:
                raise Refused(FORBIDDEN, f"actors of {system.node} are not stopped by other nodes")
            case Kind.STOP:
                system.stop_actor(letter.to, Owed(node, letter.id, self._answer))
            case other:
                raise Refused(NOT_UNDERSTOOD, f"letters of kind {other} are not known here, or say too little")

    def _answer(self, owed: Owed, value: Any) -> None:
        """Send an answer, or a refusal, on the lane of its ask; never raises, for whoever answers has done its part."""
        speech, node, context = self._system.speech, owed.node, ""
        if owed.cause:
            context = speech.answer(owed.cause, speech.speaker(), "", value)
        if not isinstance(value, Refused):
            try:
                tag, body = self._codec.encode(value)
            except TypeError as error:
                value = Refused(CRASHED, f"{speech.speaker()} gave an answer that cannot travel: {error.__cause__}")
            else:
                if len(body) <= MAX_BODY:
                    actor = running.actor
                    hold = actor is not None and actor.in_burst
                    letter = Letter(_ANSWER, "", "", owed.number, 0, tag, msgspec.Raw(body), context)
                    self._send(node, letter, owed.lane, hold)
                    if hold:
                        self.held.add(node)
                    return
                value = Refused(TOO_LARGE, f"the answer: {_too_large(body)}")
        body = msgspec.msgpack.encode((value.code, value.detail))
        self._send(node, Letter(Kind.REFUSAL, "", "", owed.number, 0, "", msgspec.Raw(body), context), owed.lane)

    def _settle(self, node: str, number: int, value: Any, context: str = "") -> None:
        """Hand over what a node, and no other, was asked for."""
        asker = self._asked.take(node, number)
        if asker is None:  # another thread was first, or nobody waits any more
            if whom := self._asked.whom(number):
                self._system.channel.happened_again("message_refused", node, f"it answers what {whom} was asked")
            return
        if context:
            with self._system.speech.within(context):
                hand_over(asker, value)
        else:
            hand_over(asker, value)

    # Refs in messages.

    def _from_wire(self, kind: type, value: Any) -> Any:
        if kind is Ref and isinstance(value, str) and "/" in value:
            return self._system.ref(value)
        raise ValueError(f"a {type(value).__name__} is no {kind.__name__}")


def _read(decoder: msgspec.msgpack.Decoder[T], body: msgspec.Raw) -> T:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise Refused(NOT_UNDERSTOOD, f"a letter's body is malformed: {error}") from error


@functools.lru_cache(4096)  # the same few, again and again
def _may_be_called(name: str) -> bool:
    return is_name(name)


@functools.lru_cache(4096)
def _lives_on(node: str, address: str) -> bool:
    return address.startswith(f"{node}/") and is_name(address[len(node) + 1 :])


def _too_large(body: bytes) -> str:
    return f"it has {len(body)} bytes; at most {MAX_BODY} may travel: send it in pieces"


def _to_wire(value: Any) -> Any:
    if isinstance(value, Ref):
        return value.address
    raise TypeError(f"a {type(value).__name__} cannot travel in a message")
