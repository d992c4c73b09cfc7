"""The place behind a name: it keeps the mailbox and the counts while incarnations of its actor come and go."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from tucano.actors.kernel.child import Child, ChildEnded, ChildUp
from tucano.actors.kernel.down import Down
from tucano.actors.kernel.errors import NOT_UNDERSTOOD, STOPPED, Refused, in_full, shown
from tucano.actors.kernel.info import ActorInfo, Wait
from tucano.actors.kernel.life import Life, Order, birth
from tucano.actors.kernel.mailbox import Envelope, Mailbox
from tucano.actors.kernel.pipe import Pipe
from tucano.actors.kernel.ref import Ref
from tucano.actors.kernel.reply import Asker, hand_over
from tucano.actors.kernel.timers import Beat, Timer
from tucano.actors.kernel.trace import SpanKind, Start, name_of

if TYPE_CHECKING:
    from tucano.actors.kernel.system import System

Phase = Literal["down", "starting", "up", "stopping", "gone"]

LATEST = 256
"""Messages whose handling times are kept for `ActorInfo.p50` and `p99`."""


class Cell:
    """One name of a node. Only the tree's thread changes its phase, so that no crash goes uncounted.

    Args:
        system: the node's actor system.
        child: what to start.
        parent: name of the tree that looks after it.
        tell_tree: takes `ChildUp` and `ChildEnded`.

    """

    def __init__(self, system: System, child: Child, parent: str, tell_tree: Callable[[Any], None]) -> None:
        self.system = system
        self.child = child
        self.name = child.name
        self.address = f"{system.node}/{child.name}"
        self.parent = parent
        self.mailbox = Mailbox(child.mailbox, system.runtime.bell(self))
        self.incarnation = 0
        self.phase: Phase = "down"
        self.handled = 0
        self.restarts = 0
        self.fenced: set[int] = set()  # incarnations that were abandoned
        self.last_crash = ""
        self.busy_since: float | None = None
        self.times: deque[float] = deque(maxlen=LATEST)
        self._cause = system.speech.cause()
        self._tell_tree = tell_tree
        self._actor: Life | None = None
        self._timers: set[Timer] = set()  # of the present incarnation
        self._prune_at = 8
        self._watching: dict[Ref, None] = {}  # by the present incarnation
        self.pipes: dict[Pipe, None] = {}  # what it has asked and nobody has answered yet

    @property
    def shutdown(self) -> float:
        """Seconds that its actor has to stop."""
        return self.child.actor.shutdown if self.child.shutdown is None else self.child.shutdown

    def start(self) -> None:
        """Construct the next incarnation and give it turns; a crash in construction is reported like any other."""
        self.incarnation += 1
        self.phase = "starting"
        token = birth.set((self, self.incarnation))
        try:
            ref = self.child.actor.start(**self.child.args)
        except BaseException as error:  # noqa: BLE001 - whatever a constructor raises, its tree decides
            self.ended(self.incarnation, error)
        else:
            self._actor = ref._actor_weakref()
        finally:
            birth.reset(token)

    def stop(self) -> None:
        """Ask the incarnation to stop, ahead of all that waits."""
        self.phase = "stopping"
        self.mailbox.put_control(Order(self.incarnation))

    def abandon(self) -> None:
        """Give up an incarnation that does not stop: Python cannot kill a thread, so it is fenced and counted."""
        actor = self._actor
        held = None if actor is None else actor._envelope
        if actor is not None:
            actor.actor_stopped.set()
        self.fenced.add(self.incarnation)
        self.incarnation += 1
        self.phase = "down"
        self._ends()
        at = f" at {name_of(held.body)}" if held is not None else ""
        if held is not None and held.reply is not None:
            held.reply.refuse(Refused(STOPPED, f"{self.address} did not stop in time and was abandoned{at}"))
        self.mailbox.awake()
        self.system.channel.happened("actor_abandoned", self.name, f"it did not stop in time{at}")
        self.system.watches.ended(self.name, "stopped", "it did not stop in time and was abandoned")
        for cell in self.system.below(self.name):
            cell.orphan()

    def orphan(self) -> None:
        """Its tree is no more: give up what runs, and the name."""
        if self.phase in ("starting", "up", "stopping"):
            self.abandon()
        self.close("gave_up")

    def close(self, why: str) -> None:
        """The name is gone: refuse what waits and tell the watchers."""
        self.phase = "gone"
        self.system.forget(self, why)
        lost = self.mailbox.close()
        if lost:
            self.system.lost(self.name, f"{lost} messages waited when it stopped", lost)

    def info(self) -> ActorInfo:
        """The present state."""
        now = self.system.clock.now()
        busy = self.busy_since
        times = sorted(self.times.copy())
        return ActorInfo(
            self.name,
            self.parent,
            self.child.actor.__name__,
            self.phase,
            self.mailbox.depth(),
            self.mailbox.high_water,
            self.handled,
            self.mailbox.refused,
            self.restarts,
            0.0 if busy is None else max(0.0, now - busy),
            self.last_crash,
            times[len(times) // 2] if times else 0.0,
            times[len(times) * 99 // 100] if times else 0.0,
            len(self.fenced),
            tuple(Wait(pipe.ref.address, pipe.what, max(0.0, now - pipe.since)) for pipe in tuple(self.pipes)),
        )

    # What the incarnation reports, in its own thread.

    def first_envelope(self) -> Envelope | None:
        """What `on_start` of the first incarnation belongs to: the conversation in which the child was ordered."""
        cause, self._cause = self._cause, ""
        context = self._traced(cause, "note", Start())
        return Envelope(Start(), None, self.address, context) if context else None

    def started(self, incarnation: int) -> None:
        """`on_start` has returned."""
        if incarnation != self.incarnation:
            return  # it has been abandoned meanwhile
        self.system.channel.happened("actor_started", self.name, f"incarnation {incarnation}")
        self._tell_tree(ChildUp(self, incarnation))

    def ended(self, incarnation: int, crash: BaseException | None) -> None:
        """The actor's life is over."""
        if incarnation != self.incarnation:
            self.mailbox.awake()  # an abandoned incarnation has ended after all: its last ring may be another's
            return
        self.busy_since = None
        try:
            self._ends()
            if crash is None:
                self.system.channel.happened("actor_stopped", self.name, f"incarnation {incarnation}")
            else:
                self.last_crash = in_full(crash)
                self.system.channel.happened("actor_crashed", self.name, shown(crash), self.last_crash)
        finally:
            self._tell_tree(ChildEnded(self, incarnation, crash))

    def traced(self, envelope: Envelope, took: float, outcome: str) -> None:
        """A message that belongs to a conversation has been handled."""
        self.system.tracer.handled(envelope.trace, envelope.sender, self.address, envelope.body, took, outcome)

    def not_understood(self, envelope: Envelope) -> None:
        """A message of a type that the actor does not take: refused and counted, it is no reason to crash."""
        error = Refused(NOT_UNDERSTOOD, f"{self.address} takes no {name_of(envelope.body)}")
        self.system.channel.happened_again("message_refused", self.name, str(error))
        if envelope.reply is not None:
            envelope.reply.refuse(error)

    def answer(self, asker: Asker, value: Any, incarnation: int) -> None:
        """Hand over an answer, unless that incarnation has been abandoned meanwhile."""
        if incarnation in self.fenced:
            value = Refused(STOPPED, f"{self.address} did not stop in time")
        hand_over(asker, value)

    # Notes to self.

    def note(self, note: Any, incarnation: int) -> None:
        """Deliver a note to the incarnation that made it."""
        cause = self.system.speech.cause()
        self.put_note(note, incarnation, self._traced(cause, "note", note))

    def noting(self, make: Callable[..., Any], incarnation: int) -> Callable[..., None]:
        """See `Actor.noting`."""
        cause = self.system.speech.cause()

        def tell(*args: Any) -> None:
            note = make(*args)
            self.put_note(note, incarnation, self._traced(cause, "note", note))

        return tell

    def note_after(self, delay: float, note: Any, incarnation: int) -> Timer:
        """Deliver a note later."""
        context = self._traced(self.system.speech.cause(), "timer", note)
        timer = self.system.timers.after(delay, lambda: self.put_note(note, incarnation, context))
        return self._keep(timer, incarnation)

    def note_every(self, period: float, note: Any, incarnation: int) -> Timer:
        """Deliver a note again and again."""
        clock, timers = self.system.clock, self.system.timers
        beat = Beat(clock, timers, period, lambda asker: self.put_note(note, incarnation, "", asker))
        return self._keep(beat, incarnation)

    def pipe(self, ref: Ref, message: Any, timeout: float, into: Callable[[Any], Any], incarnation: int) -> None:
        """See `Actor.pipe`."""
        pipe = Pipe(self, incarnation, ref, message, into)
        self.pipes[pipe] = None
        try:
            pipe.send(message, timeout)
        except BaseException:
            pipe.drop()
            raise

    def put_note(self, note: Any, incarnation: int, context: str = "", asker: Asker | None = None) -> None:
        """Deliver a note to the incarnation that asked for it."""
        if incarnation == self.incarnation and self.phase != "gone":
            self.mailbox.put_note(Envelope(note, asker, self.address, context, incarnation))

    def fail(self, error: BaseException, incarnation: int) -> None:
        """Crash an incarnation: what it gave another thread to run has failed."""
        if incarnation == self.incarnation:
            self.mailbox.put_control(Order(incarnation, error))

    def _traced(self, cause: str, kind: SpanKind, note: Any) -> str:
        return self.system.tracer.sent(cause, kind, self.address, self.address, note) if cause else ""

    def _keep(self, timer: Timer, incarnation: int) -> Timer:
        """Keep a timer until it has gone off or its incarnation ends, which it may have already."""
        if len(self._timers) >= self._prune_at:
            self._timers = {kept for kept in self._timers if kept.fire is not None}
            self._prune_at = max(8, 2 * len(self._timers))
        self._timers.add(timer)
        if incarnation != self.incarnation or self.phase == "gone":
            timer.cancel()
        return timer

    # Watches.

    def watch(self, ref: Ref, incarnation: int) -> None:
        """See `Actor.watch`."""
        self._watching[ref] = None
        self.system.watches.watch(self.name, ref, incarnation)

    def unwatch(self, ref: Ref) -> None:
        """See `Actor.unwatch`; news that waits already is taken back."""
        self._watching.pop(ref, None)
        self.system.watches.unwatch(self.name, ref)
        control = self.mailbox.control
        for waiting in [w for w in control.copy() if isinstance(w, Envelope) and isinstance(w.body, Down)]:
            if waiting.body.who == ref.address:
                control.remove(waiting)

    def told(self, news: Down, incarnation: int) -> None:
        """Tell the incarnation that watches; ahead of all that waits."""
        self._watching.pop(self.system.ref(news.who), None)
        self.mailbox.put_control(Envelope(news, None, news.who, "", incarnation))

    def _ends(self) -> None:
        """What ends with an incarnation: its timers, pipes and watches."""
        for timer in tuple(self._timers):
            timer.cancel()
        self._timers.clear()
        for pipe in tuple(self.pipes):
            pipe.drop()
        for ref in tuple(self._watching):
            self.system.watches.unwatch(self.name, ref)
        self._watching.clear()
