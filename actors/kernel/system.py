"""One node's actors: names, delivery near and far, watches, and the tree at the root."""

from __future__ import annotations

import itertools
import logging
import random
import threading
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tucano.actors.kernel.actor import Down, Fenced, current_actor
from tucano.actors.kernel.cell import ActorInfo, Cell, Child, ChildEnded, ChildUp
from tucano.actors.kernel.clock import Clock, SystemClock
from tucano.actors.kernel.errors import (
    MAILBOX_FULL,
    NOT_FOUND,
    UNREACHABLE,
    Refused,
    TimedOut,
    refusal,
)
from tucano.actors.kernel.events import Lifecycle
from tucano.actors.kernel.mailbox import Envelope
from tucano.actors.kernel.message import Codec
from tucano.actors.kernel.ref import Ref
from tucano.actors.kernel.reply import Reply
from tucano.actors.kernel.timers import ThreadTimers, Timers
from tucano.actors.kernel.trace import Span, TraceInfo
from tucano.actors.kernel.tree import Tree
from tucano.actors.kernel.watches import Watches
from tucano.transport.link import Kind, Letter, Link

log = logging.getLogger("tucano.kernel")

ROOT = "root"


class System:
    """The actors of one node.

    Args:
        node: the node's name.
        clock: time now.
        timers: time to come; the system closes it.
        chance: for jitter and identifiers.
        link: the network, absent for a node on its own; the system closes it.

    """

    def __init__(
        self,
        node: str,
        *,
        clock: Clock | None = None,
        timers: Timers | None = None,
        chance: random.Random | None = None,
        link: Link | None = None,
    ) -> None:
        self.node = node
        self.clock = clock or SystemClock()
        self.timers: Timers = timers or ThreadTimers(self.clock)
        self.chance = chance or random.Random()
        self.ended = threading.Event()
        self.gave_up: BaseException | None = None
        self.dead_letters = 0
        self._link = link
        self._codec = Codec(to_wire=self._to_wire, from_wire=self._from_wire)
        self._cells: dict[str, Cell] = {}
        self._pending: dict[int, tuple[str, Reply]] = {}  # asks to other nodes, by id
        self._ids = itertools.count(1)
        self._watches = Watches()
        if link is not None:
            link.start(self)

    # Names.

    def ref(self, address: str) -> Ref:
        """The ref for `name` (of this node) or `node/name`; whether it exists shows when something is sent."""
        node, slash, name = address.partition("/")
        return Ref(self, node, name) if slash else Ref(self, self.node, address)

    def run(self, children: Sequence[Child], **tree: Any) -> None:
        """Start the root tree with these children; its strategy and law are further arguments of `Tree`."""
        self.cell(Child(ROOT, Tree, {"children": tuple(children), **tree}), "", self._root_news).start()

    def stop(self, timeout: float = 30.0) -> bool:
        """Stop the root tree, then timers and link.

        Args:
            timeout: seconds to wait for the actors.

        Returns:
            Whether all actors stopped in time.

        """
        root = self._cells.get(ROOT)
        if root is None:
            self.ended.set()
        else:
            root.stop()
        in_time = self.ended.wait(timeout)
        self.timers.close()
        if self._link is not None:
            self._link.close()
        return in_time

    def snapshot(self) -> list[ActorInfo]:
        """All actors, parents before children."""
        return [cell.info() for cell in list(self._cells.values())]

    def spans(self, trace: str) -> tuple[Span, ...]:
        """What this node knows of a conversation; a placeholder."""
        del trace
        return ()

    def traces(self) -> tuple[TraceInfo, ...]:
        """The conversations that this node remembers, oldest first; a placeholder."""
        return ()

    def events(self) -> tuple[Lifecycle, ...]:
        """What lately happened to the actors, oldest first; a placeholder."""
        return ()

    def cell(self, child: Child, parent: str, tell_tree: Callable[[Any], None]) -> Cell:
        """Make the place for a child; for trees.

        Raises:
            Refused: the node has an actor of that name.

        """
        if child.name in self._cells:
            raise Refused("name_taken", f"node {self.node} has an actor called {child.name} already")
        cell = self._cells[child.name] = Cell(self, child, parent, tell_tree)
        return cell

    def forget(self, cell: Cell, why: str) -> None:
        """A name is gone for good; for cells."""
        if self._cells.get(cell.name) is cell:
            del self._cells[cell.name]
        self.down(cell.name, why, "")

    def happened(self, what: str, who: str, detail: str, traceback: str = "") -> None:
        """Log an event of an actor's life."""
        log.warning("%s %s/%s: %s", what, self.node, who, detail)
        if traceback:
            log.info("%s", traceback)

    # Sending.

    def tell(self, ref: Ref, message: Any) -> bool:
        """See `Ref.tell`."""
        sender = self._sender()
        if ref.node == self.node:
            cell = self._cells.get(ref.name)
            if cell is not None and cell.mailbox.put(Envelope(message, None, sender)):
                return True
            self.dead_letters += 1
            return False
        tag, body = self._codec.encode(message)
        return self._send(ref.node, Letter(Kind.TELL, ref.name, sender, 0, 0, tag, msgspec.Raw(body)))

    def ask(self, ref: Ref, message: Any, timeout: float, reply: Reply, *, blocking: bool = False) -> None:
        """Ask, and hand the answer, a refusal, or after `timeout` seconds a `TimedOut`, to `reply`."""
        if blocking and current_actor() is not None:
            raise RuntimeError(f"an actor may not wait for {ref.address}: use pipe(), which brings the answer later")
        sender = self._sender()
        deadline = self.timers.after(
            timeout, lambda: reply.refuse(TimedOut(f"{ref.address} gave no answer in {timeout:g} s"))
        )

        def settle(value: Any) -> None:
            deadline.cancel()
            _hand_over(reply, value)

        timed = Reply(settle)
        if ref.node == self.node:
            self._deliver(ref.name, Envelope(message, timed, sender))
            return
        identifier = next(self._ids)
        tag, body = self._codec.encode(message)
        self._pending[identifier] = (ref.node, timed)
        # an answer that never comes must not stay pending
        self.timers.after(timeout, lambda: self._forget_ask(identifier))
        letter = Letter(Kind.ASK, ref.name, sender, identifier, int(timeout * 1000), tag, msgspec.Raw(body))
        if not self._send(ref.node, letter) and self._forget_ask(identifier):
            timed.refuse(Refused(UNREACHABLE, f"node {ref.node} cannot be reached"))

    def is_alive(self, ref: Ref) -> bool:
        """See `Ref.is_alive`."""
        if ref.node == self.node:
            return ref.name in self._cells
        return self._link is not None and self._link.connected(ref.node)

    def _forget_ask(self, identifier: int) -> bool:
        return self._pending.pop(identifier, None) is not None

    def _sender(self) -> str:
        actor = current_actor()
        if actor is None:
            return ""
        if actor.fenced:
            raise Fenced(f"{actor.ref.address} was abandoned: it may not speak any more")
        return actor.ref.address

    def _deliver(self, name: str, envelope: Envelope) -> None:
        cell = self._cells.get(name)
        if cell is not None and cell.mailbox.put(envelope):
            return
        self.dead_letters += 1
        if envelope.reply is not None:
            code = NOT_FOUND if cell is None else MAILBOX_FULL
            envelope.reply.refuse(Refused(code, f"{self.node}/{name}: {code.replace('_', ' ')}"))

    def _send(self, node: str, letter: Letter) -> bool:
        if self._link is not None and self._link.send(node, letter):
            return True
        self.dead_letters += 1
        return False

    # Watches.

    def watch(self, watcher: str, ref: Ref) -> None:
        """See `Actor.watch`."""
        if ref.node == self.node:
            if ref.name in self._cells:
                self._watches.here(ref.name, f"{self.node}/{watcher}")
            else:
                self._tell_down(watcher, Down(ref.address, "not_found"))
            return
        self._watches.there(ref.node, watcher, ref.name)
        letter = Letter(Kind.WATCH, ref.name, f"{self.node}/{watcher}")
        if not self.is_alive(ref) or not self._send(ref.node, letter):
            self._lost(ref.node, watcher, ref.name, Down(ref.address, "node_silent"))

    def unwatch(self, watcher: str, ref: Ref) -> None:
        """See `Actor.unwatch`."""
        if ref.node == self.node:
            self._watches.not_here(ref.name, f"{self.node}/{watcher}")
        elif self._watches.not_there(ref.node, watcher, ref.name):
            self._send(ref.node, Letter(Kind.UNWATCH, ref.name, f"{self.node}/{watcher}"))

    def down(self, name: str, why: str, detail: str) -> None:
        """An incarnation of a name has ended; for trees and cells."""
        news = Down(f"{self.node}/{name}", why, detail)
        for address in self._watches.ended(name):
            node, _, watcher = address.partition("/")
            if node == self.node:
                self._tell_down(watcher, news)
            else:
                self._send_down(node, watcher, news)

    def _lost(self, node: str, watcher: str, name: str, news: Down) -> None:
        """Tell a watcher here of an actor elsewhere, unless it has been told."""
        if self._watches.not_there(node, watcher, name):
            self._tell_down(watcher, news)

    def _tell_down(self, watcher: str, news: Down) -> None:
        cell = self._cells.get(watcher)
        if cell is not None:
            cell.mailbox.put_note(Envelope(news))

    def _send_down(self, node: str, watcher: str, news: Down) -> None:
        tag, body = self._codec.encode(news)
        self._send(node, Letter(Kind.DOWN, watcher, news.who, 0, 0, tag, msgspec.Raw(body)))

    # Receiving: called in the link's thread.

    def letters(self, node: str, batch: Sequence[Letter]) -> None:
        """See `transport.link.Receiver`."""
        for letter in batch:
            try:
                self._letter(node, letter)
            except msgspec.DecodeError as error:
                log.warning("refused a malformed letter from %s for %s: %s", node, letter.to, error)
            except Refused as refused:
                log.warning("refused a letter from %s for %s: %s", node, letter.to, refused)
                if letter.kind == Kind.ASK:
                    self._answer(node, letter.id, refused)
                elif letter.kind == Kind.ANSWER:
                    self._settle(letter.id, refused)

    def peer_up(self, node: str) -> None:
        """See `transport.link.Receiver`."""
        log.info("node %s is connected", node)

    def peer_down(self, node: str, why: str) -> None:
        """See `transport.link.Receiver`."""
        log.warning("node %s is gone: %s", node, why)
        for identifier, (to, _) in list(self._pending.items()):
            if to == node:
                self._settle(identifier, Refused(UNREACHABLE, f"node {node} is gone: {why}"))
        for watcher, name in self._watches.gone(node):
            self._lost(node, watcher, name, Down(f"{node}/{name}", "node_silent", why))

    def _letter(self, node: str, letter: Letter) -> None:
        match letter.kind:
            case Kind.TELL:
                self._deliver(letter.to, Envelope(self._codec.decode(letter.tag, letter.body), None, letter.sender))
            case Kind.ASK:
                body = self._codec.decode(letter.tag, letter.body)
                reply = Reply(lambda value: self._answer(node, letter.id, value))
                self._deliver(letter.to, Envelope(body, reply, letter.sender))
            case Kind.ANSWER:
                self._settle(letter.id, self._codec.decode(letter.tag, letter.body))
            case Kind.REFUSAL:
                code, detail = msgspec.msgpack.decode(letter.body, type=tuple[str, str])
                self._settle(letter.id, refusal(code, detail))
            case Kind.WATCH:
                if letter.to in self._cells:
                    self._watches.here(letter.to, letter.sender)
                else:
                    news = Down(f"{self.node}/{letter.to}", "not_found")
                    self._send_down(node, letter.sender.partition("/")[2], news)
            case Kind.UNWATCH:
                self._watches.not_here(letter.to, letter.sender)
            case Kind.DOWN:
                news = self._codec.decode(letter.tag, letter.body)
                if isinstance(news, Down):
                    self._lost(node, letter.to, news.who.partition("/")[2], news)
            case other:
                raise Refused("not_understood", f"letters of kind {other} are not known here")

    def _answer(self, node: str, identifier: int, value: Any) -> None:
        if isinstance(value, Refused):
            body = msgspec.msgpack.encode((value.code, value.detail))
            self._send(node, Letter(Kind.REFUSAL, "", "", identifier, 0, "", msgspec.Raw(body)))
        else:
            tag, body = self._codec.encode(value)
            self._send(node, Letter(Kind.ANSWER, "", "", identifier, 0, tag, msgspec.Raw(body)))

    def _settle(self, identifier: int, value: Any) -> None:
        waiting = self._pending.pop(identifier, None)
        if waiting is not None:
            _hand_over(waiting[1], value)

    # Refs in messages.

    def _to_wire(self, value: Any) -> Any:
        if isinstance(value, Ref):
            return value.address
        raise TypeError(f"a {type(value).__name__} cannot travel in a message")

    def _from_wire(self, kind: type, value: Any) -> Any:
        if kind is Ref and isinstance(value, str) and "/" in value:
            return self.ref(value)
        raise ValueError(f"{value!r} is no {kind.__name__}")

    def _root_news(self, news: ChildUp | ChildEnded) -> None:
        """What the root tree would tell its own tree, if it had one."""
        root = self._cells[ROOT]
        if isinstance(news, ChildUp):
            root.phase = "up"
            return
        self.gave_up = news.crash
        root.phase = "down"
        self.ended.set()


def _hand_over(reply: Reply, value: Any) -> None:
    if isinstance(value, Refused):
        reply.refuse(value)
    else:
        reply.answer(value)
