from __future__ import annotations

import pytest

from tucano.client import verdict
from tucano.client.answers import InstanceInfo, ServiceDetail


def shown(**fields: object) -> ServiceDetail:
    known: dict[str, object] = {"name": "hello", "replicas": 1, "revision": 2, "last_revision": 2, "state": "rolling"}
    return ServiceDetail(**{**known, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (shown(), verdict.GoingOn),
        (shown(state="done"), verdict.Done),
        (shown(state="done", revision=1, last_revision=1), verdict.GoingOn),  # an old look at it
        (shown(state="failed", revision=1, last_revision=1, detail="of the one before"), verdict.GoingOn),
        (shown(state="failed", revision=1, detail="it exited"), verdict.Failed),
        (shown(state="failed", detail=""), verdict.Failed),
        (shown(state="done", revision=3, last_revision=3), verdict.Failed),
        (shown(state="removing"), verdict.Failed),
        (None, verdict.Failed),
    ],
)
def test_a_rollout_is_judged_by_its_own_revision(service: ServiceDetail | None, expected: type) -> None:
    outcome = verdict.rollout(service, 2)
    assert type(outcome) is expected
    if isinstance(outcome, verdict.Failed):
        assert outcome.why


ONE, TWO = InstanceInfo(id="a", state="ready"), InstanceInfo(id="b", state="stopping")


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (shown(ready=1, instances=[ONE]), verdict.Done),
        (shown(ready=1, instances=[ONE, TWO]), verdict.GoingOn),  # the surplus has not ended yet
        (shown(ready=0, instances=[TWO]), verdict.GoingOn),
        (shown(replicas=5), verdict.Failed),
        (None, verdict.Failed),
    ],
)
def test_a_service_is_scaled_when_it_has_as_many_as_wanted_and_no_more(
    service: ServiceDetail | None, expected: type
) -> None:
    assert type(verdict.scaled(service, 1)) is expected


@pytest.mark.parametrize(
    ("service", "expected"),
    [(None, verdict.Done), (shown(state="removing"), verdict.GoingOn), (shown(), verdict.Failed)],
)
def test_a_service_is_gone_when_nobody_knows_it(service: ServiceDetail | None, expected: type) -> None:
    assert type(verdict.undeployed(service)) is expected
