from __future__ import annotations

from typing import Any

import pytest

from tests.actors.builders import ARTIFACT, revision, service, spec
from tucano.actors.kernel import Refused
from tucano.actors.messages.deployer import Deploy, Restart, Scale, Undeploy
from tucano.actors.messages.model import Service
from tucano.actors.pure.rollout import failed
from tucano.actors.pure.wanted import wanted


@pytest.mark.parametrize(
    ("before", "previous"),
    [
        (None, None),
        (service(1, rollout="done"), 1),
        (service(2, previous=revision(1)), 1),
        (service(1, halted=True, rollout="failed"), None),
        (failed(service(2, previous=revision(1)), "why"), 1),
    ],
)
def test_what_serves_is_kept_to_go_back_to(before: Service | None, previous: int | None) -> None:
    after = wanted({"hello": before} if before else {}, Deploy(spec(replicas=4), ARTIFACT, 9), 5.0).service
    assert (after.previous.number if after.previous else None) == previous
    assert after.target.number == after.last_number == (before.last_number + 1 if before else 1)
    assert (after.replicas, after.rollout, after.target.created, after.halted) == (4, "rolling", 5.0, False)


def test_a_restart_is_a_rollout_of_the_same_content() -> None:
    decided = wanted({"hello": service(3, replicas=7, rollout="done")}, Restart("hello"), 5.0)
    assert decided.revision == 4
    assert decided.service.replicas == 7
    assert decided.service.target.spec == decided.service.previous.spec  # type: ignore[union-attr]


def test_scaling_changes_nothing_else() -> None:
    before = service(3, rollout="done")
    decided = wanted({"hello": before}, Scale("hello", 9), 5.0)
    assert decided.service.target == before.target
    assert (decided.service.replicas, decided.service.rollout, decided.text) == (9, "done", "from 2 to 9 replicas")


@pytest.mark.parametrize(
    ("state", "command", "code"),
    [
        ({}, Scale("nobody", 2), "not_found"),
        ({"rollout": "removing"}, Scale("hello", 2), "conflict"),
        ({"rollout": "removing"}, Deploy(spec(), ARTIFACT, 9), "conflict"),
        ({"rollout": "failed", "halted": True}, Restart("hello"), "conflict"),
        ({"rollout": "failed", "halted": True}, Scale("hello", 2), "conflict"),
    ],
)
def test_what_cannot_be_is_refused(state: dict[str, Any], command: Any, code: str) -> None:
    with pytest.raises(Refused) as refused:
        wanted({"hello": service(**state)}, command, 5.0)
    assert refused.value.code == code


@pytest.mark.parametrize("state", [{}, {"rollout": "removing"}, {"rollout": "failed", "halted": True}])
def test_whatever_is_can_be_removed(state: dict[str, Any]) -> None:
    assert wanted({"hello": service(**state)}, Undeploy("hello"), 5.0).service.rollout == "removing"
