"""The plan, by cases and by playing whole rollouts with chance."""

from __future__ import annotations

import random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.actors.builders import instance, revision, service
from tucano.actors.messages.model import Instance
from tucano.actors.pure.instance import ACTIVE
from tucano.actors.pure.rollout import Create, Drain, Fail, Finish, Forget, Stop, failed, plan, surge


def kinds(steps: list[Any]) -> list[str]:
    return [type(step).__name__ for step in steps]


def test_a_first_deployment_creates_all_replicas_at_once() -> None:
    assert plan(service(replicas=3), []) == [Create(revision())] * 3


def test_a_service_that_is_as_wanted_needs_nothing() -> None:
    assert plan(service(rollout="done"), [instance("a"), instance("b")]) == []


def test_the_rollout_is_done_when_all_are_ready() -> None:
    assert plan(service(), [instance("a"), instance("b", "starting")]) == []
    assert plan(service(), [instance("a"), instance("b")]) == [Finish()]


def test_a_lost_instance_is_replaced_and_forgotten_when_the_replacement_is_ready() -> None:
    lost = instance("b", "lost")
    assert kinds(plan(service(rollout="done"), [instance("a"), lost])) == ["Create"]
    assert plan(service(rollout="done"), [instance("a"), instance("c"), lost]) == [Stop(lost)]


def test_a_lost_instance_that_returns_is_surplus_and_drained() -> None:
    back = [instance("a"), instance("b"), instance("c", since=5.0)]
    assert plan(service(rollout="done"), back) == [Drain(back[2])]


def test_old_instances_go_only_when_new_ones_are_ready_in_their_place() -> None:
    rolling = service(2, previous=revision(1))
    old = [instance("a"), instance("b")]
    assert plan(rolling, old) == [Create(rolling.target)]
    assert plan(rolling, [*old, instance("c", "starting", 2)]) == []
    steps = plan(rolling, [*old, instance("c", "ready", 2)])
    assert kinds(steps) == ["Drain"]
    assert kinds(plan(rolling, [old[0], instance("b", "draining"), instance("c", "ready", 2)])) == ["Create"]


def test_old_instances_that_serve_nobody_do_not_hold_up_the_one_that_mends_them() -> None:
    old = [instance("a", "unready"), instance("b", "starting")]
    assert kinds(plan(service(2, previous=revision(1)), old)) == ["Create", "Stop", "Stop"]


def test_an_old_instance_that_may_be_back_any_moment_goes_only_when_a_new_one_is_ready_in_its_place() -> None:
    rolling = service(2, previous=revision(1))
    ill = instance("a", "unready")
    old = [msgspec.structs.replace(ill, served=True), instance("b")]
    assert plan(rolling, [*old, instance("c", "starting", 2)]) == []
    assert plan(rolling, [*old, instance("c", "ready", 2)]) == [Stop(old[0])]


def test_nothing_is_done_without_while_it_is_not_known_what_is_ready() -> None:
    rolling = service(2, previous=revision(1))
    old, lost = [instance("a"), instance("b", "starting")], instance("e", "lost")
    new = [instance("c", "ready", 2), instance("d", "ready", 2)]
    assert plan(rolling, [*old, lost, *new], unsure=True) == []
    assert plan(rolling, new, unsure=True) == []
    assert plan(service(rollout="done", replicas=1), old, unsure=True) == []
    assert kinds(plan(rolling, old, unsure=True)) == ["Create"]


def test_a_target_that_fails_is_taken_back_and_the_old_revision_stays() -> None:
    rolling = service(2, previous=revision(1))
    old = [instance("a"), instance("b")]
    bad = instance("c", "failed", 2, detail="exited with status 1")
    bad = msgspec.structs.replace(bad, served=False)
    steps = plan(rolling, [*old, bad])
    assert kinds(steps) == ["Fail"]
    assert "exited with status 1" in steps[0].reason  # type: ignore[union-attr]
    back = failed(rolling, "why")
    assert (back.target.number, back.rollout, back.previous, back.halted) == (1, "failed", None, False)
    assert plan(back, [*old, bad]) == [Stop(bad)]


def test_a_first_revision_that_fails_leaves_nothing_running() -> None:
    halted = failed(service(), "why")
    assert halted.halted
    there = [instance("a", "ready"), instance("b", "starting"), instance("c", "lost")]
    assert kinds(plan(halted, there)) == ["Drain", "Stop", "Stop"]
    assert plan(halted, []) == []


def test_an_instance_that_fails_after_the_rollout_is_replaced_unless_held_back() -> None:
    bad = instance("b", "failed")
    assert kinds(plan(service(rollout="done"), [instance("a"), bad])) == ["Stop", "Create"]
    assert kinds(plan(service(rollout="done"), [instance("a"), bad], hold=True)) == ["Stop"]


def test_scaling_down_spares_the_ready() -> None:
    mine = [instance("a"), instance("b", "starting"), instance("c")]
    assert plan(service(rollout="done", replicas=2), mine) == [Stop(mine[1])]


def test_a_removed_service_is_forgotten_when_nothing_of_it_is_left() -> None:
    removing = service(rollout="removing")
    assert kinds(plan(removing, [instance("a"), instance("b", "building")])) == ["Drain", "Stop"]
    assert plan(removing, [instance("a", "draining")]) == []
    assert plan(removing, []) == [Forget()]


class Play:
    """A world in which commands are obeyed sooner or later, and instances do what chance has them do."""

    def __init__(self, seed: int, trouble: float) -> None:
        self.chance = random.Random(seed)
        self.trouble = trouble
        self.service = service(1, 3, rollout="done")
        self.instances = {i: instance(i) for i in ("a", "b", "c")}
        self.made = 0
        self.least = 3

    def set(self, one: Instance, state: Any) -> None:
        served = one.served or state == "ready"
        self.instances[one.id] = msgspec.structs.replace(one, state=state, served=served)

    def act(self) -> None:
        for step in plan(self.service, list(self.instances.values())):
            match step:
                case Create(target):
                    self.made += 1
                    new = instance(f"n{self.made}", "pending", target.number, since=float(self.made))
                    self.instances[new.id] = new
                case Drain(one):
                    self.set(one, "draining")
                case Stop(one):
                    self.set(one, "stopping")
                case Finish():
                    self.service = msgspec.structs.replace(self.service, rollout="done", previous=None)
                case Fail(reason):
                    self.service = failed(self.service, reason)
                case Forget():
                    raise AssertionError("nobody removed it")

    def happen(self) -> None:
        if not self.instances:
            return
        one = self.chance.choice(list(self.instances.values()))
        follows: dict[str, str] = {"pending": "building", "building": "starting", "starting": "ready",
                                   "unready": "ready", "draining": "stopping"}  # fmt: skip
        if one.state == "stopping":
            del self.instances[one.id]
        elif self.chance.random() < self.trouble and one.state in ACTIVE:
            self.set(one, self.chance.choice(["unready", "lost"] if one.state == "ready" else ["lost"]))
        elif one.state in follows:
            self.set(one, follows[one.state])

    def ready(self) -> int:
        return sum(i.state == "ready" for i in self.instances.values())


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_good_rollout_never_has_fewer_ready_than_wanted_nor_more_than_the_surge(seed: int) -> None:
    play = Play(seed, trouble=0.0)
    play.service = msgspec.structs.replace(service(2, 3), previous=revision(1))
    for _ in range(2000):
        play.act()
        active = [i for i in play.instances.values() if i.state in ACTIVE]
        assert play.ready() >= 3
        assert len(active) <= 3 + surge(3)
        if play.service.rollout == "done" and len(play.instances) == 3:
            break
        play.happen()
    assert play.service.rollout == "done"
    assert {i.revision for i in play.instances.values()} == {2}


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), replicas=st.integers(1, 9))
def test_whatever_happens_the_wanted_state_is_reached_when_trouble_ends(seed: int, replicas: int) -> None:
    play = Play(seed, trouble=0.3)
    play.service = msgspec.structs.replace(service(2, replicas), previous=revision(1))
    for _ in range(300):
        play.act()
        play.happen()
    play.trouble = 0.0
    for _ in range(3000):
        play.act()
        if not plan(play.service, list(play.instances.values())) and play.ready() == replicas == len(play.instances):
            break
        play.happen()
    assert play.service.rollout == "done"
    assert play.ready() == replicas == len(play.instances)
