"""What holds for every test: it leaves no thread, no process and no socket behind."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import psutil
import pytest
from hypothesis import HealthCheck, settings

from tests.helpers import eventually

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # no clock decides
settings.load_profile("house")


def threads() -> set[str]:
    return {f"{thread.name}:{thread.ident}" for thread in threading.enumerate() if thread.is_alive()}


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


def sockets() -> set[str]:
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names only
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
        if target.startswith("socket:"):
            found.add(target)
    return found


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    before = {look: look() for look in (threads, children, sockets)}
    yield
    # counted, since a client that outlives the test may have connected anew
    for look, was in before.items():
        eventually(lambda look=look, was=was: len(look()) <= len(was), f"the test left no {look.__name__} behind")  # type: ignore[misc]
