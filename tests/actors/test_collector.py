from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest

from tests.helpers import eventually
from tucano.actors.collector import Collector
from tucano.actors.kernel import Child, Ref, System
from tucano.actors.messages.collector import Measure, Track
from tucano.actors.messages.worker_mgr import Metrics

BUSY = "while True: pass"
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}])"
LARGE = "import sys; x = bytearray(100 << 20); print('there', flush=True); sys.stdin.read()"


@pytest.fixture
def collector() -> Iterator[Ref]:
    system = System("w1")
    system.run([Child("collector", Collector)])
    eventually(lambda: system.ref("collector").is_alive())
    yield system.ref("collector")
    assert system.stop(10)


@contextmanager
def process(program: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that leads a session, as services do, killed with all of it at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as started:
        try:
            yield started
        finally:
            with suppress(ProcessLookupError):  # it was killed by the test
                os.killpg(started.pid, 9)


def measure(collector: Ref) -> Metrics:
    metrics = collector.ask(Measure(), timeout=10)
    assert isinstance(metrics, Metrics)
    return metrics


def test_the_node_is_measured(collector: Ref) -> None:
    metrics = measure(collector)
    assert metrics.node == "w1"
    assert 0 <= metrics.cpu <= 1
    assert 0 < metrics.memory_used < psutil.virtual_memory().total
    assert metrics.instances == ()


@pytest.mark.parametrize("program", [BUSY, CHILD])
def test_cpu_of_an_instance_is_that_of_all_its_processes(collector: Ref, program: str) -> None:
    with process(program) as busy:
        collector.tell(Track((("busy-1", busy.pid),)))
        usage: Callable[[], float] = lambda: sum(each.cpu for each in measure(collector).instances)  # noqa: E731
        eventually(lambda: usage() > 0.1, "it is seen to be busy")
        assert all(usage() <= (os.cpu_count() or 1) for _ in range(50)), "however short the interval"


def test_memory_of_an_instance_is_what_is_resident(collector: Ref) -> None:
    with process(LARGE) as large:
        assert large.stdout is not None
        assert large.stdout.readline() == b"there\n"
        collector.tell(Track((("large-1", large.pid),)))
        (usage,) = measure(collector).instances
        assert usage.id == "large-1"
        assert 100 << 20 < usage.memory < 500 << 20


def test_what_was_used_before_it_was_tracked_does_not_count(collector: Ref) -> None:
    with process(BUSY) as busy:
        used = psutil.Process(busy.pid).cpu_times
        eventually(
            lambda: used().user > 1.5, "it is older than the second by which the time of its creation may be off"
        )
        measure(collector)
        collector.tell(Track((("busy-1", busy.pid),)))
        (first,) = measure(collector).instances
        assert first.cpu == 0


def test_vanished_processes_are_left_out(collector: Ref) -> None:
    with process(LARGE) as first, process(LARGE) as second:
        collector.tell(Track((("a-1", first.pid), ("b-1", second.pid))))
        assert [usage.id for usage in measure(collector).instances] == ["a-1", "b-1"]
        first.kill()
        first.wait(10)
        assert [usage.id for usage in measure(collector).instances] == ["b-1"]
        collector.tell(Track(()))
        assert measure(collector).instances == ()
