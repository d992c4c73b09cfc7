"""Where services are reached: who would be reached where another one is, is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.actors.builders import ARTIFACT, service, spec
from tucano.actors.kernel import Refused
from tucano.actors.messages.deployer import Deploy
from tucano.actors.messages.model import Balance, Revision, Route, Service, Timeouts
from tucano.actors.pure.reach import reached_at, refuse_conflicts
from tucano.actors.pure.wanted import wanted


def deployed(name: str, route: Route, previous: Route | None = None) -> Service:
    target = Revision(2, spec(name, route=route), ARTIFACT, 1, 0.0)
    before = Revision(1, spec(name, route=previous), ARTIFACT, 1, 0.0) if previous else None
    return Service(name, 1, target, before)


@pytest.mark.parametrize(
    ("mine", "theirs", "claim"),
    [
        (Route(("a.b",)), Route(("c.d", "a.b")), "a.b/"),
        (Route(("*.b",), "/x/"), Route(("*.b",), "/x"), r"\*\.b/x"),
        (Route(("a.b",), headers={"X-A": "1"}), Route(("a.b",), headers={"x-a": "1"}), "a.b/ with x-a: 1"),
        (Route(("other",)), Route(), "other/"),
        (Route(), Route(("mine.localhost",)), "mine.localhost/"),
    ],
)
def test_a_second_service_at_the_same_place_is_refused(mine: Route, theirs: Route, claim: str) -> None:
    with pytest.raises(Refused, match=f"^mine and other would both answer {claim}: .* undeploy other$") as refused:
        refuse_conflicts(spec("mine", route=mine), [deployed("other", theirs)])
    assert refused.value.code == "conflict"


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (Route(("a.b",), "/x"), Route(("a.b",))),
        (Route(("a.b",)), Route(("*.b",))),
        (Route(("a.b",), headers={"X-A": "1"}), Route(("a.b",), headers={"X-A": "2"})),
        (Route(("other",), "/api"), Route()),
        (Route(), Route()),
    ],
)
def test_places_that_differ_in_anything_are_two(mine: Route, theirs: Route) -> None:
    refuse_conflicts(spec("mine", route=mine), [deployed("other", theirs)])


def test_what_the_revision_before_is_reached_at_is_taken_until_the_rollout_is_done() -> None:
    with pytest.raises(Refused):
        refuse_conflicts(spec("mine", route=Route(("a.b",))), [deployed("other", Route(), Route(("a.b",)))])


def test_a_service_does_not_stand_in_its_own_way() -> None:
    refuse_conflicts(spec("mine", route=Route(("a.b",))), [deployed("mine", Route(("a.b",)))])


def test_places_are_told_for_people() -> None:
    assert reached_at("hello", Route()) == ("hello/", "hello.*/")
    rule = Route(("www.example.org", "*.example.org"), "/api/", headers={"X-Beta": "yes"})
    assert reached_at("hello", rule) == (
        "www.example.org/api with x-beta: yes", "*.example.org/api with x-beta: yes", "hello/api with x-beta: yes",
    )  # fmt: skip


TRAFFIC: list[dict[str, Any]] = [
    {"route": Route(("a.b",))},
    {"balance": Balance("round_robin")},
    {"timeouts": Timeouts(first_byte=1.0)},
]


@pytest.mark.parametrize("options", TRAFFIC)
def test_other_routes_alone_change_no_instance(options: dict[str, Any]) -> None:
    before = service(3, rollout="done")
    decided = wanted({"hello": before}, Deploy(spec(**options), ARTIFACT, 100), 5.0)
    assert (decided.revision, decided.service.rollout, decided.service.previous) == (3, "done", None)
    assert decided.service.target.spec == spec(**options)


@pytest.mark.parametrize(
    ("state", "command"),
    [
        ({"rollout": "done"}, Deploy(spec(), ARTIFACT, 100)),
        ({"rollout": "done"}, Deploy(spec(script="other", **TRAFFIC[0]), ARTIFACT, 100)),
        ({"rollout": "done"}, Deploy(spec(**TRAFFIC[0]), "b" * 64, 100)),
        ({"rollout": "done"}, Deploy(spec(replicas=3, **TRAFFIC[0]), ARTIFACT, 100)),
        ({"rollout": "rolling"}, Deploy(spec(**TRAFFIC[0]), ARTIFACT, 100)),
    ],
)
def test_whatever_else_differs_is_a_new_revision(state: dict[str, Any], command: Deploy) -> None:
    decided = wanted({"hello": service(3, **state)}, command, 5.0)
    assert (decided.revision, decided.service.rollout) == (4, "rolling")
