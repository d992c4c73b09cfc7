"""Plain Pykka actors under a name of a node, and the node that a program embeds."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pykka
import pytest

import tucano
from tests.contract.kit import PATIENCE, STRICT, Part, blow, part
from tests.helpers import eventually
from tucano.actors.kernel import Child, Down, Refused
from tucano.testing import Probe

ANSWERS: dict[str, Any] = {"function": print, "huge": 2**70, "object": object()}


class Plain(pykka.ThreadingActor):
    """Knows nothing of the kernel."""

    use_daemon_thread = True

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Any] = []

    def on_receive(self, message: Any) -> Any:
        if message == "crash":
            raise ValueError("as told")
        if message == "refuse":
            raise Refused("too_late", "come back tomorrow")
        if message == "got":
            return self.got
        self.got.append(message)
        return ANSWERS.get(message, message) if isinstance(message, str) else message


@pytest.fixture
def plain() -> Iterator[pykka.ActorRef[Plain]]:
    ref = Plain.start()
    yield ref
    ref.stop()


@pytest.fixture
def node() -> Iterator[Callable[..., tucano.Node]]:
    """Starts nodes, and stops them after the test, in time or it fails."""
    made: list[tucano.Node] = []

    def start(name: str = "here", *children: Child, **options: Any) -> tucano.Node:
        made.append(tucano.Node(name, children, **options))
        return made[-1]

    yield start
    assert all([it.stop(20.0) for it in made])  # noqa: C419 - all of them, not only up to the first that is late


@pytest.fixture
def pair(node: Callable[..., tucano.Node]) -> tuple[tucano.Node, tucano.Node]:
    """Two nodes that know each other."""
    here, there = node("here", listen="127.0.0.1:0"), node("there", listen="127.0.0.1:0")
    here.connect("there", there.address)
    eventually(lambda: here.ref("there/x").is_alive() and there.ref("here/x").is_alive())
    return here, there


Pair = tuple[tucano.Node, tucano.Node]


@pytest.fixture(params=["near", "far"])
def where(request: pytest.FixtureRequest, pair: Pair) -> Pair:
    """The node that exposes, and the one that asks: the same, or another."""
    here, there = pair
    return (here, here) if request.param == "near" else (there, here)


def code(ask: Callable[[], Any]) -> str:
    with pytest.raises(Refused) as refused:
        ask()
    return refused.value.code


def test_a_plain_actor_is_told_and_asked(where: Pair, plain: pykka.ActorRef[Plain]) -> None:
    owner, asker = where
    assert owner.expose("plain", plain).address == f"{owner.name}/plain"
    ref = asker.ref(f"{owner.name}/plain")
    assert ref.tell({"op": "add", "by": [1, 2.5, None, True]})
    assert ref.ask("question", timeout=PATIENCE) == "question"
    assert ref.ask("question", timeout=PATIENCE, block=False).get() == "question"
    assert ref.ask("got", timeout=PATIENCE) == [{"op": "add", "by": [1, 2.5, None, True]}, "question", "question"]
    assert ref.is_alive()
    seen = next(actor for actor in owner.snapshot() if actor.name == "plain")
    assert (seen.kind, seen.phase, seen.handled, seen.parent) == ("Plain", "up", 4, "")


def test_what_it_raises_is_a_refusal_and_it_lives_on(where: Pair, plain: pykka.ActorRef[Plain]) -> None:
    owner, asker = where
    owner.expose("plain", plain)
    ref = asker.ref(f"{owner.name}/plain")
    with pytest.raises(Refused, match=r"plain raised ValueError\('as told'\)") as refused:
        ref.ask("crash", timeout=PATIENCE)
    assert refused.value.code == "crashed"
    with pytest.raises(Refused, match="come back tomorrow") as refused:
        ref.ask("refuse", timeout=PATIENCE)
    assert refused.value.code == "too_late"
    assert ref.ask("still there?", timeout=PATIENCE) == "still there?"


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_that_cannot_travel_is_refused_and_harms_nobody(
    pair: Pair, plain: pykka.ActorRef[Plain], what: str
) -> None:
    here, there = pair
    there.expose("plain", plain)
    with pytest.raises(Refused, match="gave an answer that cannot travel") as refused:
        here.ref("there/plain").ask(what, timeout=PATIENCE)
    assert refused.value.code == "crashed"
    assert here.ref("there/plain").ask("still there?", timeout=PATIENCE) == "still there?"
    assert there.ref("plain").ask(what, timeout=PATIENCE) is ANSWERS[what], "near, nothing travels"


def test_actors_pipe_to_it_and_are_seen_to_wait(where: Pair, plain: pykka.ActorRef[Plain]) -> None:
    owner, asker = where
    probe = Probe()
    asker.spawn(probe.child("probe"))
    owner.expose("plain", plain)
    assert probe.ask(asker.ref(f"{owner.name}/plain"), "question") == "question"


def test_who_stops_is_not_found_and_its_watchers_are_told(where: Pair, plain: pykka.ActorRef[Plain]) -> None:
    owner, asker = where
    probe = Probe()
    asker.spawn(probe.child("probe"))
    owner.expose("plain", plain)
    ref = asker.ref(f"{owner.name}/plain")
    assert ref.ask("question", timeout=PATIENCE) == "question"
    probe.watch(ref)
    plain.stop()
    told = probe.wait_for(Down)
    assert (told.who, told.why) == (f"{owner.name}/plain", "stopped")
    assert code(lambda: ref.ask("question", timeout=PATIENCE)) == "not_found"
    assert not owner.ref("plain").is_alive()
    assert owner.expose("plain", Plain.start()).stop() is True


def test_it_is_stopped_through_its_ref_behind_what_waits(where: Pair, plain: pykka.ActorRef[Plain]) -> None:
    owner, asker = where
    owner.expose("plain", plain)
    ref = asker.ref(f"{owner.name}/plain")
    asked = [ref.ask(number, timeout=PATIENCE, block=False) for number in range(50)]
    assert ref.stop() is True
    assert [answer.get() for answer in asked] == list(range(50))
    eventually(lambda: not plain.is_alive())
    eventually(lambda: not owner.ref("plain").is_alive())
    assert ref.stop() is False


def test_what_it_had_no_time_for_is_refused(node: Callable[..., tucano.Node]) -> None:
    gate = threading.Event()

    class Slow(Plain):
        def on_receive(self, message: Any) -> Any:
            return gate.wait(PATIENCE)

    ref = node().expose("slow", Slow.start())
    in_time = ref.ask("first", timeout=PATIENCE, block=False)
    assert ref.stop() is True
    too_late = ref.ask("second", timeout=PATIENCE, block=False)
    gate.set()
    assert in_time.get() is True
    assert code(too_late.get) == "stopped"


def test_a_bounded_inbox_refuses_instead_of_making_others_wait(node: Callable[..., tucano.Node]) -> None:
    entered, gate = threading.Event(), threading.Event()

    class Bounded(Plain):
        @staticmethod
        def _create_actor_inbox() -> Any:
            return queue.Queue(maxsize=1)

        def on_receive(self, message: Any) -> Any:
            entered.set()
            gate.wait(PATIENCE)

    actor = Bounded.start()
    ref = node().expose("bounded", actor)
    assert ref.tell("handled")
    assert entered.wait(PATIENCE)
    assert [ref.tell(number) for number in range(3)] == [True, False, False]
    assert code(lambda: ref.ask("no room", timeout=PATIENCE)) == "mailbox_full"
    gate.set()
    actor.stop()


def test_a_name_that_is_taken_is_refused(node: Callable[..., tucano.Node], plain: pykka.ActorRef[Plain]) -> None:
    here = node("here", part("a"))
    assert code(lambda: here.expose("a", plain)) == "name_taken"
    here.expose("plain", plain)
    assert code(lambda: here.expose("plain", plain)) == "name_taken"
    assert code(lambda: here.spawn(part("plain"))) == "name_taken"
    assert here.expose("another", plain).ask("same actor", timeout=PATIENCE) == "same actor"


def test_nobody_is_found_under_a_name_that_is_not_exposed(pair: Pair) -> None:
    here, _ = pair
    assert code(lambda: here.ref("plain").ask(1, timeout=PATIENCE)) == "not_found"
    assert code(lambda: here.ref("there/plain").ask(1, timeout=PATIENCE)) == "not_found"
    assert code(lambda: here.ref("nowhere/plain").ask(1, timeout=PATIENCE)) == "unreachable"


def test_the_actor_outlives_the_node_and_is_forgotten_by_it(
    node: Callable[..., tucano.Node], plain: pykka.ActorRef[Plain]
) -> None:
    here = node()
    ref = here.expose("plain", plain)
    assert here.stop()
    assert plain.ask("still there?") == "still there?"
    assert not ref.is_alive()
    assert here.snapshot() == []


# The node itself.


@pytest.mark.parametrize("name", ["", "UPPER", "a/b", "a b", "ä", "a" * 64, "a\n"])
def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a node's name is of a-z, 0-9"):
        tucano.Node(name)


@pytest.mark.parametrize("listen", ["", "7000", "127.0.0.1", "127.0.0.1:65536", "127.0.0.1:x", "[::1]:0"])
def test_an_address_that_cannot_be_is_refused(listen: str) -> None:
    with pytest.raises(ValueError, match="must be HOST:PORT"):
        tucano.Node("here", listen=listen)


def test_an_address_beyond_this_machine_needs_keys() -> None:
    with pytest.raises(ValueError, match="goes beyond this machine and needs keys"):
        tucano.Node("here", listen="0.0.0.0:0")


def test_a_port_that_is_taken_is_refused(pair: Pair) -> None:
    with pytest.raises(OSError, match="in use"):
        tucano.Node("another", listen=pair[0].address)


def test_a_node_on_its_own_cannot_be_connected(node: Callable[..., tucano.Node]) -> None:
    here = node()
    assert here.address == ""
    with pytest.raises(ValueError, match=r"node here is on its own: give it listen='127\.0\.0\.1:0'"):
        here.connect("there", "127.0.0.1:7000")


def test_nodes_of_other_clusters_do_not_meet(node: Callable[..., tucano.Node], plain: pykka.ActorRef[Plain]) -> None:
    here, there = node("here", listen="127.0.0.1:0", cluster="one"), node("there", listen="127.0.0.1:0", cluster="two")
    third = node("third", listen="127.0.0.1:0", cluster="one")
    there.expose("plain", plain)
    here.connect("there", there.address)
    here.connect("third", third.address)
    eventually(lambda: here.ref("third/x").is_alive())
    assert not here.ref("there/x").is_alive()


@pytest.mark.parametrize("listen", [None, "127.0.0.1:0"])
def test_a_node_whose_children_cannot_start_says_so_and_leaves_nothing_behind(listen: str | None) -> None:
    bad = Child("bad", Part, {"faults": {"start": [blow("ValueError")] * 9}})
    with pytest.raises(Refused, match=r"here did not start: 3 crashes within .* below root; the last: bad: Value"):
        tucano.Node("here", [bad], listen=listen, law=STRICT)


def test_a_node_is_up_when_its_children_are_and_ends_with_its_block() -> None:
    diary: list[Any] = []
    with tucano.Node("here", [part("a", diary), part("b", diary)]) as here:
        assert diary == ["start a", "start b"]
        assert here.spawn(part("c", diary)).address == "here/c"
        with here.trace() as trace:
            here.ref("a").tell({"what": "ever"})
        here.subscribe("a")
        assert [actor.name for actor in here.snapshot()] == ["root", "a", "b", "c"]
        eventually(lambda: here.events()[-1].what == "message_refused")
        assert [(span["kind"], span["to"], span["what"]) for span in here.spans(trace)] == [("tell", "here/a", "dict")]
    assert [entry for entry in diary[3:] if isinstance(entry, str)] == ["stop c", "stop b", "stop a"]
