"""When a draining instance may be stopped: cases, and the law for all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.actors.builders import worker
from tucano.actors.messages.model import Worker
from tucano.actors.pure.draining import Word, drained


def balancer(name: str, state: str = "ready", pid: int = 1) -> Worker:
    return worker(name, state, role="balancer", pid=pid)


def word(*ids: str, pid: int = 1) -> Word:
    return Word(pid, frozenset(ids))


def test_all_balancers_that_are_heard_must_have_said_so() -> None:
    two = [worker(), balancer("a"), balancer("b")]
    assert drained(["x", "y"], two, {"a": word("x", "y"), "b": word("y")}) == ["y"]
    assert drained(["x"], two, {"a": word("x")}) == []


def test_a_balancer_that_is_not_heard_is_not_waited_for() -> None:
    words = {"a": word("x")}
    for state in ("silent", "gone"):
        assert drained(["x"], [balancer("a"), balancer("b", state)], words) == ["x"]


def test_while_no_balancer_is_heard_nobody_knows() -> None:
    assert drained(["x"], [worker(), balancer("a", "silent")], {"a": word("x")}) == []


def test_the_word_of_a_former_process_is_void() -> None:
    assert drained(["x"], [balancer("a", pid=2)], {"a": word("x", pid=1)}) == []


names = st.sampled_from("abc")
instances = st.sampled_from("xyz")
nodes = st.lists(
    st.builds(
        worker, names, st.sampled_from(["ready", "silent", "gone"]), pid=st.integers(1, 2),
        role=st.sampled_from(["balancer", "worker"]),
    ),
    unique_by=lambda node: node.name,
)  # fmt: skip
words = st.dictionaries(names, st.builds(Word, st.integers(1, 2), st.frozensets(instances)))


@given(st.lists(instances, unique=True), nodes, words)
def test_what_is_stopped_is_draining_and_no_balancer_that_is_heard_has_a_say_against_it(
    draining: list[str], known: list[Worker], said: dict[str, Word]
) -> None:
    found = drained(draining, known, said)
    heard = [node for node in known if node.role == "balancer" and node.state == "ready"]
    for identifier in draining:
        agreed = all(
            node.name in said and said[node.name].pid == node.pid and identifier in said[node.name].ids
            for node in heard
        )
        assert (identifier in found) == (agreed and bool(heard))
    assert set(found) <= set(draining)
