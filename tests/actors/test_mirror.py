from __future__ import annotations

import pytest

from tests.actors.builders import instance, service, worker
from tucano.actors.kernel import Refused
from tucano.actors.messages.discovery import Changed, Entries, Entry
from tucano.actors.pure.mirror import Mirror


@pytest.fixture
def mirror() -> Mirror:
    made = Mirror()
    made.load(
        Entries(
            5,
            (
                Entry("service/hello", 1, service=service()),
                Entry("instance/hello-1", 2, instance=instance()),
                Entry("worker/worker-1", 3, worker=worker()),
                Entry("worker/worker-2", 4, worker=worker("worker-2", "silent")),
                Entry("worker/balancer", 5, worker=worker("balancer", role="balancer")),
            ),
        )
    )
    return made


def test_a_copy_knows_what_the_record_has(mirror: Mirror) -> None:
    assert mirror.service("hello") == service()
    assert mirror.instance("hello-1") == instance()
    assert set(mirror.workers) == {"worker-1", "worker-2", "balancer"}


def test_a_change_is_taken_over_and_what_has_no_value_any_more_is_forgotten(mirror: Mirror) -> None:
    changed = Changed(5, 7, (Entry("service/hello", 6), Entry("service/shop", 7, service=service(2))))
    assert mirror.follow(changed)
    assert mirror.services == {"shop": service(2)}


def test_a_change_after_one_that_was_missed_asks_for_all_of_it_again(mirror: Mirror) -> None:
    assert not mirror.follow(Changed(6, 7, (Entry("service/hello", 7),)))
    assert "hello" in mirror.services


def test_a_change_that_is_known_already_changes_nothing(mirror: Mirror) -> None:
    assert mirror.follow(Changed(3, 4, (Entry("service/hello", 4),)))
    assert "hello" in mirror.services


def test_loading_again_forgets_what_is_gone(mirror: Mirror) -> None:
    mirror.load(Entries(9, ()))
    assert (mirror.services, mirror.instances, mirror.workers) == ({}, {}, {})


def test_what_is_not_there_is_refused_with_what_is() -> None:
    empty = Mirror()
    with pytest.raises(Refused, match="starting") as refused:
        empty.service("hello")
    assert refused.value.code == "unavailable"
    empty.load(Entries(0, (Entry("service/shop", 1, service=service()),)))
    with pytest.raises(Refused, match="no service is called 'hello'; there are: shop"):
        empty.service("hello")
    with pytest.raises(Refused, match="no instance is called 'hello-1'"):
        empty.instance("hello-1")


def test_all_nodes_are_known_and_those_that_are_ready_can_be_asked(mirror: Mirror) -> None:
    assert mirror.ready(mirror.nodes("controller")) == ["controller", "balancer", "worker-1"]
    assert mirror.nodes("controller", "worker-1") == ["worker-1"]
    assert mirror.balancers() == ["balancer"]
    with pytest.raises(Refused, match="no node is called 'worker-9'; there are: controller, balancer, worker-1"):
        mirror.nodes("controller", "worker-9")
