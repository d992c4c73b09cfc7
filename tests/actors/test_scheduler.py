from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.actors.worker_kit import FAST, Probe
from tests.helpers import eventually
from tucano.actors.collector import Collector
from tucano.actors.kernel import Child, System
from tucano.actors.messages.worker_mgr import Metrics
from tucano.actors.scheduler import Scheduler


@pytest.fixture
def heard() -> list[Any]:
    return []


@pytest.fixture
def system(heard: list[Any]) -> Iterator[System]:
    made = System("w1")
    made.run(
        [
            Child("worker_mgr", Probe, {"heard": heard, "deaf": threading.Event()}),
            Child("collector", Collector),
            Child("scheduler", Scheduler, {"controller": "w1/worker_mgr", "interval": 0.02}),
        ],
        law=FAST,
    )
    yield made
    assert made.stop(10)


def test_metrics_are_sent_again_and_again(system: System, heard: list[Any]) -> None:
    eventually(lambda: len(heard) > 3)
    assert all(isinstance(message, Metrics) for message in heard)


def test_it_goes_on_when_the_collector_crashes(
    system: System, heard: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    eventually(lambda: heard)
    with monkeypatch.context() as broken:
        broken.setattr(Collector, "_usages", None)
        eventually(lambda: next(info for info in system.snapshot() if info.name == "collector").restarts > 0)
    before = len(heard)
    eventually(lambda: len(heard) > before + 2)
    assert next(info for info in system.snapshot() if info.name == "scheduler").restarts == 0
