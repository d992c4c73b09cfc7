from __future__ import annotations

import builtins
import threading
from collections.abc import Callable
from typing import Any

import pykka
import pytest

from tests.helpers import eventually
from tucano.actors.kernel import Actor, Child, Down, Law, Message, Ref, Refused, System, TimedOut, Tree
from tucano.actors.kernel.tree import StartChild, StopChild

Start = Callable[..., System]


class Add(Message, frozen=True):
    number: int


class Total(Message, frozen=True):
    pass


class Crash(Message, frozen=True):
    how: str = "ValueError"


class Forward(Message, frozen=True):
    to: Ref
    timeout: float = 5.0


class Forwarded(Message, frozen=True):
    result: Any


class Block(Message, frozen=True):
    entered: Any
    gate: Any


class Stranger(Message, frozen=True):
    pass


class Watch(Message, frozen=True):
    whom: Ref


class Counter(Actor):
    Inbox = Add | Total | Crash | Forward | Forwarded | Block | Watch | Down

    def __init__(self, log: list[Any] | None = None, fail_start: list[BaseException] | None = None) -> None:
        super().__init__()
        self.total = 0
        self.log = log if log is not None else []
        self.fail_start = fail_start or []

    def on_start(self) -> None:
        self.log.append(("start", self.ref.name))
        if self.fail_start:
            raise self.fail_start.pop()

    def on_stop(self) -> None:
        self.log.append(("stop", self.ref.name))

    def receive(self, message: Any) -> Any:
        match message:
            case Add(number):
                self.total += number
            case Total():
                return self.total
            case Crash(how):
                raise getattr(builtins, how)("as told")
            case Forward(to, timeout):
                reply = self.reply_later()
                self.pipe(to, Total(), timeout, lambda result: Forwarded((reply, result)))
            case Forwarded((reply, result)):
                if isinstance(result, Refused):
                    reply.refuse(result)
                else:
                    reply.answer(("forwarded", result))
            case Block(entered, gate):
                entered.set()
                gate.wait(10)
            case Watch(whom):
                self.watch(whom)
            case Down() as down:
                self.log.append(down)
        return None


FAST = Law(intensity=100, period=1.0, first=0.0, base=0.001, ceiling=0.01)


def counters(*names: str, **options: Any) -> list[Child]:
    return [Child(name, Counter, options) for name in names]


def test_tell_and_ask_reach_an_actor_by_name(system: Start) -> None:
    here = system(*counters("a"))
    here.ref("a").tell(Add(2))
    here.ref("here/a").tell(Add(3))
    assert here.ref("a").ask(Total(), timeout=5) == 5
    assert here.ref("a").ask(Total(), timeout=5, block=False).get(timeout=5) == 5


@pytest.mark.parametrize("how", ["ValueError", "SystemExit", "KeyboardInterrupt"])
def test_a_crash_drops_the_message_that_crashed_and_keeps_the_others(system: Start, how: str) -> None:
    here = system(*counters("a"), law=FAST)
    entered, gate = threading.Event(), threading.Event()
    here.ref("a").tell(Block(entered, gate))
    assert entered.wait(5)
    crashing = here.ref("a").ask(Crash(how), timeout=5, block=False)
    here.ref("a").tell(Add(7))
    gate.set()
    with pytest.raises(Refused) as refused:
        crashing.get(timeout=5)
    assert refused.value.code == "crashed"
    assert here.ref("a").ask(Total(), timeout=5) == 7
    info = next(info for info in here.snapshot() if info.name == "a")
    assert info.restarts == 1
    assert how in info.last_crash


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)])
def test_a_crash_in_on_start_is_a_crash_like_any_other(system: Start, error: BaseException) -> None:
    here = system(*counters("a", fail_start=[error, error]), law=FAST)
    assert here.ref("a").ask(Total(), timeout=5) == 0
    assert next(info for info in here.snapshot() if info.name == "a").restarts == 2


def test_a_crash_in_the_constructor_is_a_crash_like_any_other(system: Start) -> None:
    here = system(Child("a", Counter, {"nonsense": 1}), law=Law(intensity=3, period=10, base=0.001, ceiling=0.001))
    assert here.ended.wait(10)
    assert "crashes within" in str(here.gave_up)


def test_a_tree_that_gives_up_ends_its_tree_and_at_last_the_node(system: Start) -> None:
    law = Law(intensity=2, period=10, base=0.001, ceiling=0.001)
    inner = Child("inner", Tree, {"children": counters("a"), "law": law})
    log: list[Any] = []
    here = system(*counters("b", log=log), inner, law=law)
    eventually(lambda: here.ended.is_set() or (here.ref("a").tell(Crash()) and False), "the root gives up")
    assert here.gave_up is not None
    assert log == [("start", "b"), ("stop", "b")]


def test_ask_inside_an_actor_is_refused_with_an_explanation(system: Start) -> None:
    class Asker(Actor):
        def receive(self, message: Any) -> Any:
            try:
                self.ref.ask("anything", timeout=1)
            except RuntimeError as error:
                return str(error)

    here = system(Child("a", Asker))
    assert "use pipe()" in here.ref("a").ask("go", timeout=5)


def test_a_full_mailbox_refuses_and_counts(system: Start) -> None:
    here = system(Child("a", Counter, mailbox=2))
    entered, gate = threading.Event(), threading.Event()
    here.ref("a").tell(Block(entered, gate))
    assert entered.wait(5)
    assert [here.ref("a").tell(Add(1)) for _ in range(4)] == [True, True, False, False]
    with pytest.raises(Refused) as refused:
        here.ref("a").ask(Total(), timeout=5)
    assert refused.value.code == "mailbox_full"
    gate.set()
    assert eventually(lambda: here.snapshot()[-1].refused == 3)
    eventually(lambda: here.snapshot()[-1].depth == 0)
    assert here.ref("a").ask(Total(), timeout=5) == 2


def test_pipe_brings_the_answer_without_waiting(system: Start) -> None:
    here = system(*counters("a", "b"))
    here.ref("b").tell(Add(4))
    assert here.ref("a").ask(Forward(here.ref("b")), timeout=5) == ("forwarded", 4)


def test_pipe_brings_a_refusal_and_a_timeout(system: Start) -> None:
    here = system(*counters("a", "b"))
    with pytest.raises(Refused) as refused:
        here.ref("a").ask(Forward(here.ref("nobody")), timeout=5)
    assert refused.value.code == "not_found"
    entered, gate = threading.Event(), threading.Event()
    here.ref("b").tell(Block(entered, gate))
    with pytest.raises(TimedOut):
        here.ref("a").ask(Forward(here.ref("b"), timeout=0.01), timeout=5)
    gate.set()


def test_ask_times_out_as_a_pykka_timeout(system: Start) -> None:
    here = system(*counters("a"))
    entered, gate = threading.Event(), threading.Event()
    here.ref("a").tell(Block(entered, gate))
    with pytest.raises(pykka.Timeout):
        here.ref("a").ask(Total(), timeout=0.01)
    gate.set()


def test_a_message_of_an_unknown_type_is_refused_and_never_seen(system: Start) -> None:
    here = system(*counters("a"))
    with pytest.raises(Refused) as refused:
        here.ref("a").ask(Stranger(), timeout=5)
    assert refused.value.code == "not_understood"
    assert here.snapshot()[-1].restarts == 0


def test_stop_does_not_wait_behind_user_messages(system: Start) -> None:
    here = system(Child("t", Tree, {"children": counters("a")}))
    entered, gate = threading.Event(), threading.Event()
    eventually(lambda: here.ref("a").tell(Block(entered, gate)))
    assert entered.wait(5)
    waiting = [here.ref("a").ask(Add(1), timeout=9, block=False) for _ in range(50)]
    stopped = here.ref("t").ask(StopChild("a"), timeout=5, block=False)
    eventually(lambda: here.snapshot()[-1].phase == "stopping")
    gate.set()
    assert stopped.get(timeout=5) is True
    for future in waiting:
        with pytest.raises(Refused) as refused:
            future.get(timeout=5)
        assert refused.value.code == "stopped"
    eventually(lambda: not here.ref("a").is_alive())


def test_children_start_in_order_and_stop_in_reverse() -> None:
    log: list[Any] = []
    here = System("here")
    here.run(counters("a", "b", "c", log=log))
    assert here.ref("c").ask(Total(), timeout=5) == 0 if eventually(lambda: len(log) == 3) else None
    assert here.stop(5)
    assert log == [("start", n) for n in "abc"] + [("stop", n) for n in "cba"]


@pytest.mark.parametrize(
    ("strategy", "restarted"), [("one_for_one", "b"), ("rest_for_one", "bc"), ("one_for_all", "abc")]
)
def test_each_strategy_restarts_whom_it_names_in_order(system: Start, strategy: str, restarted: str) -> None:
    log: list[Any] = []
    here = system(*counters("a", "b", "c", log=log), strategy=strategy, law=FAST)
    eventually(lambda: len(log) == 3)
    del log[:]
    here.ref("b").tell(Crash())
    eventually(lambda: [name for what, name in log if what == "start"] == list(restarted), str(log))
    assert [name for what, name in log if what == "stop"] == [n for n in reversed(restarted) if n != "b"]
    assert here.ref("b").ask(Total(), timeout=5) == 0


@pytest.mark.parametrize(("restart", "alive"), [("permanent", True), ("transient", True), ("temporary", False)])
def test_who_is_restarted_after_a_crash(system: Start, restart: Any, alive: bool) -> None:
    here = system(Child("a", Counter, restart=restart), *counters("b"), law=FAST)
    eventually(lambda: here.ref("b").is_alive())
    here.ref("a").ask(Crash(), timeout=5, block=False)
    if alive:
        assert eventually(lambda: here.snapshot()[1].restarts == 1)
        assert here.ref("a").ask(Total(), timeout=5) == 0
    else:
        eventually(lambda: not here.ref("a").is_alive())


def test_children_come_and_go(system: Start) -> None:
    here = system(Child("t", Tree))
    tree = here.ref("t")
    tree.ask(StartChild(counters("x")[0]), timeout=5)
    assert here.ref("x").ask(Total(), timeout=5) == 0
    with pytest.raises(Refused):
        tree.ask(StartChild(counters("x")[0]), timeout=5)
    tree.ask(StopChild("x"), timeout=5)
    eventually(lambda: not here.ref("x").is_alive())
    tree.ask(StartChild(counters("x")[0]), timeout=5)
    assert here.ref("x").ask(Total(), timeout=5) == 0


def test_an_actor_that_will_not_stop_is_abandoned_and_may_not_speak() -> None:
    here = System("here")
    entered, gate, spoke = threading.Event(), threading.Event(), threading.Event()

    class Stubborn(Actor):
        def receive(self, message: Any) -> Any:
            entered.set()
            gate.wait(20)
            self.address("b").tell(Add(1))
            spoke.set()

    here.run([*counters("b"), Child("a", Stubborn, shutdown=0.05)])
    eventually(lambda: here.ref("a").tell("stand still"))
    assert entered.wait(5)
    thread = next(t for t in threading.enumerate() if t.name.startswith("Stubborn"))
    assert here.stop(5)
    gate.set()
    thread.join(5)
    assert not thread.is_alive()
    assert not spoke.is_set()


def test_a_watcher_is_told_once_of_a_stop_a_crash_and_of_nobody(system: Start) -> None:
    log: list[Any] = []
    here = system(Child("w", Counter, {"log": log}), Child("t", Tree, {"children": counters("a", "b"), "law": FAST}))
    eventually(lambda: here.ref("b").is_alive())
    for name in ("a", "b", "nobody"):
        here.ref("w").ask(Watch(here.ref(name)), timeout=5)
    here.ref("a").tell(Crash())
    here.ref("t").ask(StopChild("b"), timeout=5)
    downs = eventually(lambda: (d := [x for x in log if isinstance(x, Down)]) and len(d) >= 3 and d)
    assert {(d.who, d.why) for d in downs} == {
        ("here/a", "crashed"), ("here/b", "stopped"), ("here/nobody", "not_found")
    }  # fmt: skip


def test_timers_end_with_their_incarnation(system: Start) -> None:
    class Ticker(Actor):
        def on_start(self) -> None:
            self.after(0.02, ("tick", self._incarnation))
            self.ticks: list[Any] = []

        def receive(self, message: Any) -> Any:
            if message == "crash":
                raise ValueError
            if message == "ticks":
                return self.ticks
            return self.ticks.append(message)

    here = system(Child("a", Ticker), law=FAST)
    eventually(lambda: here.ref("a").is_alive())
    here.ref("a").tell("crash")
    assert eventually(lambda: here.ref("a").ask("ticks", timeout=5)) == [("tick", 2)]


def test_pykkas_own_refs_work_too(system: Start) -> None:
    here = system(*counters("a"))
    here.ref("a").ask(Add(1), timeout=5)
    ref = next(r for r in pykka.ActorRegistry.get_all() if r.actor_class is Counter)
    assert ref.ask(Total(), timeout=5) == 1
    ref.tell(Add(1))
    assert ref.ask(Total(), timeout=5) == 2
