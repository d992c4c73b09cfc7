"""What the kernel uses of Pykka, which is not all public: a new Pykka that has it otherwise fails here first."""

from __future__ import annotations

import importlib.metadata
import inspect
import threading
from typing import Any

import pykka
import pytest
from pykka._envelope import Envelope
from pykka.messages import ProxyCall, _ActorStop

from tests.contract.kit import FAST, PATIENCE, Add, Total, do, info, parts, total
from tests.contract.world import RealWorld
from tucano.actors.kernel import Refused, System


def test_it_is_the_pykka_that_is_known() -> None:
    version = tuple(int(part) for part in importlib.metadata.version("pykka").split(".")[:2])
    assert (4, 5) <= version < (5,)


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("_actor_loop", []),
        ("_actor_loop_setup", []),
        ("_actor_loop_running", []),
        ("_actor_loop_teardown", []),
        ("_start_actor_loop", []),
        ("_handle_receive", ["message"]),
        ("_handle_failure", ["exception_type", "exception_value", "traceback"]),
        ("_stop", []),
        ("on_start", []),
        ("on_stop", []),
        ("on_failure", ["exception_type", "exception_value", "traceback"]),
    ],
)
def test_the_loops_parts_are_called_what_the_kernel_calls_them(method: str, parameters: list[str]) -> None:
    assert [*inspect.signature(getattr(pykka.ThreadingActor, method)).parameters][1:] == parameters


def test_the_parts_of_messages_and_refs_are_called_what_the_kernel_calls_them() -> None:
    assert [*inspect.signature(Envelope).parameters] == ["message", "reply_to"]
    assert inspect.signature(Envelope).parameters["reply_to"].default is None
    assert _ActorStop() == ()
    actor = pykka.ThreadingActor()
    ref = pykka.ActorRef(actor)
    assert ref._actor_weakref() is actor
    assert ref.actor_inbox is actor.actor_inbox, "the ref copies the inbox that it finds"
    assert ref.actor_class is pykka.ThreadingActor
    assert not ref.actor_stopped.is_set()
    assert [*inspect.signature(ref.actor_inbox.put).parameters][:1] == ["item"]
    assert ref.actor_inbox.empty()


def test_a_future_is_made_without_arguments_and_hooked() -> None:
    class Mine(pykka.Future[Any]):
        def get(self, *, timeout: float | None = None) -> Any:
            return 4 if self._get_hook is None else super().get(timeout=timeout)

    assert Mine().map(str).get() == "4"
    assert type(Mine().map(str)) is Mine
    with pytest.raises(NotImplementedError):
        pykka.Future().get()


class Inbox:
    """Gives what it holds, then stops the actor with what it raises."""

    def __init__(self, *envelopes: Envelope[Any], end: BaseException) -> None:
        self.left = list(envelopes)
        self.end = end

    def get(self) -> Envelope[Any]:
        if not self.left:
            raise self.end
        return self.left.pop(0)

    def put(self, envelope: Envelope[Any], /) -> None:
        raise AssertionError("nobody tells it anything")

    def empty(self) -> bool:
        return not self.left


class End(BaseException):
    """What the simulation's inbox raises when a turn is over is no `Exception`, either."""


class Looped(pykka.ThreadingActor):
    """Records what the loop calls."""

    def __init__(self, inbox: Inbox) -> None:
        super().__init__()
        self.actor_inbox = inbox
        self.seen: list[Any] = []

    def on_start(self) -> None:
        self.seen.append("start")

    def on_stop(self) -> None:
        self.seen.append("stop")

    def _handle_receive(self, message: Any) -> Any:
        if isinstance(message, Exception):
            raise message
        self.seen.append(message)
        if message == "stop now":
            self.actor_stopped.set()
        return f"answer to {message}"

    def _handle_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        self.seen.append(exception_value)
        self.actor_stopped.set()

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        self.seen.append("on_failure")


def test_the_loop_hands_on_what_envelopes_hold_and_what_the_inbox_raises_leaves_it() -> None:
    future: pykka.Future[Any] = pykka.ThreadingFuture()
    actor = Looped(Inbox(Envelope("one"), Envelope("two", reply_to=future), end=End()))
    with pytest.raises(End):
        actor._actor_loop_running()
    assert actor.seen == ["one", "two"]
    assert future.get() == "answer to two"
    assert not actor.actor_stopped.is_set()
    with pytest.raises(End):
        actor._actor_loop_running()


def test_even_an_exception_of_the_inbox_leaves_the_loop() -> None:
    actor = Looped(Inbox(end=ValueError("as told")))
    with pytest.raises(ValueError, match="as told"):
        actor._actor_loop_running()
    assert actor.seen == []


def test_the_loop_looks_whether_it_is_to_stop_before_each_message() -> None:
    actor = Looped(Inbox(Envelope("stop now"), Envelope("too late"), end=End()))
    actor._actor_loop_running()
    assert actor.seen == ["stop now"]
    actor._actor_loop_running()
    assert actor.seen == ["stop now"]


def test_an_exception_under_a_message_without_answer_is_handed_to_handle_failure() -> None:
    error = ValueError("as told")
    actor = Looped(Inbox(Envelope(error), Envelope("too late"), end=End()))
    actor._actor_loop_running()
    assert actor.seen == [error, "on_failure"]


def test_setup_runs_on_start_and_lets_only_exceptions_go_to_handle_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    actor = Looped(Inbox(end=End()))
    actor._actor_loop_setup()
    assert actor.seen == ["start"]

    def fail(error: BaseException) -> None:
        raise error

    monkeypatch.setattr(actor, "on_start", lambda: fail(ValueError("as told")))
    actor._actor_loop_setup()
    assert str(actor.seen[1]) == "as told"
    monkeypatch.setattr(actor, "on_start", lambda: fail(End()))
    with pytest.raises(End):
        actor._actor_loop_setup()


def test_stop_unregisters_sets_the_flag_and_runs_on_stop() -> None:
    actor = Looped(Inbox(end=End()))
    pykka.ActorRegistry.register(actor.actor_ref)
    actor._stop()
    assert actor.seen == ["stop"]
    assert actor.actor_stopped.is_set()
    assert actor.actor_ref not in pykka.ActorRegistry.get_all()


def test_start_constructs_registers_and_starts_the_loop_in_the_callers_thread() -> None:
    threads: list[Any] = []

    class Started(pykka.ThreadingActor):
        def __init__(self, word: str) -> None:
            threads.append((word, threading.current_thread()))
            super().__init__()

        def _start_actor_loop(self) -> None:
            threads.append((self.actor_ref in pykka.ActorRegistry.get_all(), threading.current_thread()))

    ref = Started.start(word="construct")
    assert threads == [("construct", threading.current_thread()), (True, threading.current_thread())]
    pykka.ActorRegistry.unregister(ref)


# Pykka's own refs on the kernel's actors.


def pykkas(here: System) -> Any:
    """Pykka's ref of the part `a`."""
    return do(here.ref("a"), lambda part: part.actor_ref)


def test_pykkas_own_refs_tell_and_ask(real: RealWorld) -> None:
    ref = pykkas(real.node(*parts("a")))
    assert ref.is_alive()
    ref.tell(Add(2))
    assert ref.ask(Total()) == 2
    assert ref.ask(Total(), block=False).get(timeout=PATIENCE) == 2
    with pytest.raises(Refused) as refused:
        ref.ask("what?")
    assert refused.value.code == "not_understood"


def test_pykkas_own_refs_stop_an_incarnation_and_its_tree_starts_the_next(real: RealWorld) -> None:
    here = real.node(*parts("a"), law=FAST)
    ref = pykkas(here)
    ref.tell(Add(1))
    assert total(here.ref("a")) == 1
    assert ref.stop() is True
    real.until(lambda: info(here, "a").restarts == 1 and not ref.is_alive())
    assert total(here.ref("a")) == 0
    assert ref.stop() is False
    with pytest.raises(pykka.ActorDeadError):
        ref.tell(Add(1))


def test_pykkas_proxies_are_refused(real: RealWorld) -> None:
    here = real.node(*parts("a"))
    proxy = pykkas(here).proxy()
    with pytest.raises(Refused, match="here/a takes no ProxyGetAttr"):
        proxy.total.get()
    with pytest.raises(Refused, match="here/a takes no ProxyCall"):
        proxy.receive(Total()).get()
    with pytest.raises(Refused):
        pykkas(here).ask(ProxyCall(("on_stop",), (), {}))
    assert info(here, "a").restarts == 0


def test_pykkas_stop_all_is_for_pykkas_own_actors(real: RealWorld) -> None:
    here = real.node(*parts("a", "b"), law=FAST)
    assert pykka.ActorRegistry.get_all() == []
    pykka.ActorRegistry.stop_all()
    assert total(here.ref("a")) == 0


def test_a_system_exit_in_a_plain_actor_ends_no_actor_of_ours(real: RealWorld) -> None:
    class Exits(pykka.ThreadingActor):
        use_daemon_thread = True

        def on_receive(self, message: Any) -> None:
            raise SystemExit(message)

    here = real.node(*parts("a"), law=FAST)
    here.expose("plain", Exits.start())
    with pytest.raises(Refused) as refused:
        here.ref("plain").ask(3, timeout=PATIENCE)
    assert refused.value.code == "stopped"
    assert total(here.ref("a")) == 0
