from __future__ import annotations

import msgspec
import pytest

from tests.actors.builders import instance, revision, service, worker
from tucano.actors.messages.model import Instance, Route, Service
from tucano.actors.proxy import Target
from tucano.actors.pure.routing import reachable, routes

WORKERS = {"worker-1": worker(), "worker-2": worker("worker-2", "silent")}


def ids(targets: tuple[Target, ...]) -> list[tuple[str, bool]]:
    return [(target.instance, target.ready) for target in targets]


def test_only_ready_instances_take_requests_and_draining_ones_end_theirs() -> None:
    mine = [instance("a"), instance("b", "starting"), instance("c", "draining"), instance("d", "lost")]
    assert ids(routes([service()], mine, WORKERS)["hello"].targets) == [("a", True), ("c", False)]


def test_a_silent_workers_instances_are_the_last_resort() -> None:
    far = instance("b", node="worker-2")
    assert ids(routes([service()], [instance("a"), far], WORKERS)["hello"].targets) == [("a", True)]
    assert ids(routes([service()], [far], WORKERS)["hello"].targets) == [("b", True)]


@pytest.mark.parametrize(
    ("wanted", "mine", "held"),
    [
        (service(), [instance("a", "building")], False),  # nothing has ever served
        (service(), [instance("a", "starting")], True),  # who deployed it may know before us that it is up
        (service(rollout="done"), [instance("a", "starting")], True),
        (service(rollout="done"), [instance("a", "unready")], False),
        (service(2, previous=revision(1)), [instance("a", "pending", 2)], True),
        (service(rollout="done"), [], False),
    ],
)
def test_requests_are_held_where_an_answer_is_likely(wanted: Service, mine: list[Instance], held: bool) -> None:
    assert routes([wanted], mine, WORKERS)["hello"].expected is held


def test_a_removed_service_is_unknown_once_nothing_of_it_is_left() -> None:
    removing = service(rollout="removing")
    assert "hello" in routes([removing], [instance("a", "draining")], WORKERS)
    assert routes([removing], [], WORKERS) == {}


def test_routes_are_those_of_the_revision_that_serves() -> None:
    old, new = Route(("old.example",)), Route(("new.example",))
    moving = service(2, previous=revision(1, route=old))
    moving = msgspec.structs.replace(moving, target=revision(2, route=new))
    assert routes([moving], [], {})["hello"].route == old
    assert routes([msgspec.structs.replace(moving, previous=None)], [], {})["hello"].route == new


def test_what_listens_at_loopback_is_reached_on_its_own_machine_only() -> None:
    near, far = instance("near"), instance("far", host="192.0.2.7")
    assert reachable([near, far], "tcp://127.0.0.1:1") == [near, far]
    assert reachable([near, far], "tcp://192.0.2.1:1") == [far]
