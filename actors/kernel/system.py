"""One node's actors: names, delivery near and far, watches, and the tree at the root."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import pykka
from pykka.messages import _ActorStop

from tucano.actors.kernel.cell import Cell
from tucano.actors.kernel.child import Child, ChildEnded, ChildUp
from tucano.actors.kernel.clock import seconds
from tucano.actors.kernel.errors import GAVE_UP, MAILBOX_FULL, NOT_FOUND, STOPPED, Refused, TimedOut, shown
from tucano.actors.kernel.events import Channel, Lifecycle
from tucano.actors.kernel.exposed import Exposed
from tucano.actors.kernel.far import Far
from tucano.actors.kernel.info import ActorInfo
from tucano.actors.kernel.mailbox import Envelope
from tucano.actors.kernel.ref import Ref, is_name
from tucano.actors.kernel.reply import Asker
from tucano.actors.kernel.running import running
from tucano.actors.kernel.runtime import Runtime, Threads
from tucano.actors.kernel.speech import Speech
from tucano.actors.kernel.trace import Span, TraceInfo, Tracer
from tucano.actors.kernel.tree import AwaitUp, GaveUp, StartChild, StopChild, Tree
from tucano.actors.kernel.watches import Watches
from tucano.transport.link import Link

ROOT = "root"

C = TypeVar("C", Cell, Exposed)


class System:
    """The actors of one node.

    Args:
        node: the node's name.
        runtime: what runs the actors, by default real threads; the system closes it.
        link: the network, absent for a node on its own; the system closes it.
        closed: other nodes may not stop its actors.

    Raises:
        ValueError: the node's name is empty or has a slash.

    Attributes:
        ended: set when the root tree has ended.
        gave_up: why it did, if nobody told it to.
        dead_letters: messages that found no receiver or were refused, ever.

    """

    def __init__(
        self, node: str, *, runtime: Runtime | None = None, link: Link | None = None, closed: bool = False
    ) -> None:
        if not is_name(node):
            raise ValueError(f"a node cannot be called {node!r}: a name without a slash is wanted")
        self.node = node
        self.closed = closed
        self.runtime: Runtime = runtime or Threads()
        self.clock = self.runtime.clock
        self.timers = self.runtime.timers
        self.chance: random.Random = self.runtime.chance
        self.ended = threading.Event()
        self._end = threading.Lock()  # released when it has ended
        self._end.acquire()
        self.gave_up: BaseException | None = None
        self._why = ""
        self.dead_letters = 0
        self.tracer = Tracer(node, self.clock.wall)
        self.speech = Speech(self.tracer)
        self.channel = Channel(node, self.clock.wall, self._tell_subscriber)
        self.watches = Watches(self)
        self._cells: dict[str, Cell | Exposed] = {}
        self.far = Far(self, link)

    # Names.

    def ref(self, address: str) -> Ref:
        """The ref for `name` (of this node) or `node/name`; whether it exists shows when something is sent.

        Raises:
            ValueError: no such address can be.

        """
        node, name = address.split("/", 1) if "/" in address else (self.node, address)
        if not (is_name(node) and is_name(name)):
            raise ValueError(f"an address is NAME or NODE/NAME, not {address!r}")
        return Ref(self, node, name)

    def run(self, children: Sequence[Child], **tree: Any) -> None:
        """Start the root tree with these children; its strategy and law are further arguments of `Tree`."""
        self.cell(Child(ROOT, Tree, {"children": tuple(children), **tree}), "", self._root_news).start()

    def wait_until_up(self, timeout: float = 30.0) -> None:
        """Wait until all children of the root tree are up.

        Raises:
            Refused: it has given up.
            TimedOut: they are not, in so many seconds.

        """
        try:
            self.ref(ROOT).ask(AwaitUp(), timeout=timeout)
        except TimedOut as error:
            late = [i.name for i in self.snapshot() if i.phase not in ("up", "gone") and i.name != ROOT]
            raise TimedOut(f"not up within {timeout:g} s: {', '.join(late) or 'no actor that is known'}") from error

    def spawn(self, child: Child, timeout: float = 30.0) -> Ref:
        """Start a further child of the root tree, and wait until it is up.

        Raises:
            Refused: the name is taken, or the child crashed in its start; its tree goes on by the child's spec.

        """
        try:
            self.ref(ROOT).ask(StartChild(child), timeout=timeout)
        except TimedOut as error:
            raise TimedOut(f"{child.name} is not up within {timeout:g} s: look where its on_start waits") from error
        return self.ref(child.name)

    def expose(self, name: str, actor: Any) -> Ref:
        """Give any Pykka actor (its `ActorRef`) a name, so that it can be told and asked from all nodes.

        Raises:
            Refused: the name is taken, or the actor or the node has ended.
            TypeError: this is no Pykka actor's ref.
            ValueError: no actor can be called so.

        """
        if not isinstance(actor, pykka.ActorRef):
            raise TypeError(f"a Pykka actor's ref, such as its start() returns, is wanted, not {actor!r}")
        if not is_name(name):
            raise ValueError(f"no actor can be called {name!r}: 1 to 200 characters that can be printed, no slash")
        if self.ended.is_set() or not actor.is_alive():
            raise Refused(STOPPED, f"{name} cannot be exposed: {'the node' if actor.is_alive() else 'it'} has ended")
        exposed = self._name(Exposed(self, name, actor))
        exposed.begin()
        return self.ref(name)

    def stop(self, timeout: float = 30.0) -> bool:
        """Stop the root tree, then timers and link.

        Args:
            timeout: seconds to wait for the actors.

        Returns:
            Whether all actors stopped in time.

        Raises:
            RuntimeError: called inside an actor.
            ValueError: no such timeout.

        """
        if running.actor is not None:
            raise RuntimeError("an actor cannot wait for its own node to stop: let who started the node stop it")
        timeout = seconds(timeout, "timeout")
        if ROOT in self._cells:
            self._stop_root()
        elif not self.ended.is_set():
            self._has_ended()
        try:
            return self.wait(timeout)
        finally:
            for cell in list(self._cells.values()):
                if isinstance(cell, Exposed):
                    cell.close("stopped")
            self.runtime.close()
            self.far.close()

    def wait(self, timeout: float) -> bool:
        """Wait until the root tree has ended; whether it has within so many seconds."""
        ended = self.runtime.wait(self._end, seconds(timeout, "timeout"))
        if ended:
            self._end.release()  # for others who wait
        return ended

    def cell(self, child: Child, parent: str, tell_tree: Callable[[Any], None]) -> Cell:
        """Make the place for a child; for trees.

        Raises:
            Refused: the node has an actor of that name.

        """
        return self._name(Cell(self, child, parent, tell_tree))

    def _name(self, cell: C) -> C:
        if self._cells.setdefault(cell.name, cell) is not cell:  # atomic: two may ask for it at once
            raise Refused("name_taken", f"node {self.node} has an actor called {cell.name} already")
        return cell

    def forget(self, cell: Cell | Exposed, why: str) -> None:
        """A name is gone for good; for cells."""
        if self._cells.get(cell.name) is cell:
            del self._cells[cell.name]
        self.watches.ended(cell.name, why, "")

    def find(self, name: str) -> Cell | Exposed | None:
        """Who has a name here."""
        return self._cells.get(name)

    def below(self, parent: str) -> list[Cell]:
        """The children of a tree, the last one first."""
        return [c for c in reversed(list(self._cells.values())) if isinstance(c, Cell) and c.parent == parent]

    # What can be seen.

    def snapshot(self) -> list[ActorInfo]:
        """All actors, parents before children."""
        return [cell.info() for cell in list(self._cells.values())]

    def events(self) -> tuple[Lifecycle, ...]:
        """What lately happened to the actors, oldest first."""
        return self.channel.latest()

    def spans(self, trace: str) -> tuple[Span, ...]:
        """What this node knows of a conversation."""
        return self.tracer.spans(trace)

    def traces(self) -> tuple[TraceInfo, ...]:
        """The conversations that this node remembers, oldest first."""
        return self.tracer.traces()

    @contextlib.contextmanager
    def trace(self) -> Iterator[str]:
        """Begin a conversation: whatever this thread, which must be no actor's, sends within belongs to it."""
        trace = f"{self.chance.getrandbits(64):016x}"
        with self.speech.within(self.tracer.begin(trace)):
            yield trace

    # Sending.

    def tell(self, ref: Ref, message: Any) -> bool:
        """See `Ref.tell`."""
        if running.actor is None and not running.trace:
            sender = context = ""
        else:
            sender, context = self.speech.begin("tell", ref.address, message)
        if ref.node != self.node:
            return self.far.tell(ref, message, sender, context)
        cell = self._cells.get(ref.name)
        if cell is not None and cell.mailbox.put(Envelope(message, None, sender, context)):
            return True
        self.lost(ref.name, "no actor has that name" if cell is None else "its mailbox is full")
        return False

    def ask(self, ref: Ref, message: Any, timeout: float, asker: Asker, *, hold: bool = False) -> None:
        """Ask, and hand the answer or a refusal to `asker`, who keeps the time; with `hold`, it will `Ref.hurry`."""
        if running.actor is None and not running.trace:
            sender = context = ""
        else:
            sender, context = self.speech.begin("ask", ref.address, message)
        if ref.node != self.node:
            self.far.ask(ref, message, timeout, asker, sender, context, hold)
            return
        envelope = Envelope(message, asker, sender, context)
        cell = self._cells.get(ref.name)
        if cell is None or not cell.mailbox.put(envelope):
            self._refuse(ref.name, envelope, cell is None)

    def deliver(self, name: str, envelope: Envelope) -> None:
        """Put a message into a mailbox of this node, or refuse it."""
        cell = self._cells.get(name)
        if cell is None or not cell.mailbox.put(envelope):
            self._refuse(name, envelope, cell is None)

    def _refuse(self, name: str, envelope: Envelope, is_unknown: bool) -> None:
        code, why = (NOT_FOUND, "no actor has that name") if is_unknown else (MAILBOX_FULL, "its mailbox is full")
        if self.gave_up is not None:
            code, why = GAVE_UP, f"the node has given up: {self._why}"
        self.lost(name, why)
        if envelope.reply is not None:
            envelope.reply.refuse(Refused(code, f"{self.node}/{name}: {why}"))

    def stop_actor(self, name: str, asker: Asker) -> None:
        """Stop an actor of this node for good, ahead of all that waits; `asker` gets whether there was one."""
        cell = self._cells.get(name)
        if cell is None:
            asker.answer(False)
        elif isinstance(cell, Exposed):
            cell.stop()
            asker.answer(True)
        elif parent := self._cells.get(cell.parent):
            parent.mailbox.put_control(Envelope(StopChild(name), asker))
        else:
            self._stop_root()
            asker.answer(True)

    def is_alive(self, ref: Ref) -> bool:
        """See `Ref.is_alive`."""
        return ref.name in self._cells if ref.node == self.node else self.far.connected(ref.node)

    def lost(self, name: str, why: str, times: int = 1) -> None:
        """Messages found no receiver: they are counted, and an event."""
        self.dead_letters += times
        self.channel.happened_again("dead_letter", name, why)

    # The root, and what else tells actors.

    def _tell_subscriber(self, name: str, event: Lifecycle) -> None:
        cell = self._cells.get(name)
        if cell is not None:
            cell.mailbox.put(Envelope(event))

    def _root_news(self, news: ChildUp | ChildEnded) -> None:
        """What the root tree would tell its own tree, if it had one."""
        root = self._cells[ROOT]
        assert isinstance(root, Cell)
        if isinstance(news, ChildUp):
            root.phase = "up"
            return
        self.gave_up = news.crash
        self._why = str(news.crash) if isinstance(news.crash, GaveUp) else shown(news.crash)
        root.close("stopped" if news.crash is None else "gave_up")
        self._has_ended()

    def _has_ended(self) -> None:
        self.ended.set()
        self._end.release()

    def _stop_root(self) -> None:
        self._cells[ROOT].mailbox.put_control(_ActorStop())
