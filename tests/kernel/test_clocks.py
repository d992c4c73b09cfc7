"""Nodes whose clocks disagree by hours: what travels says how much time is left, never until when."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.contract.kit import PATIENCE, Add, Diary, Do, Total, part, parts
from tests.helpers import eventually
from tucano.actors.kernel import Down, Refused, System, Threads, TimedOut
from tucano.transport.zmq_link import ZmqLink

HOURS = 3600.0


class Skewed:
    """A clock that is wrong about the time of day, and counts from elsewhere."""

    def __init__(self, skew: float) -> None:
        self._skew = skew

    def now(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time() + self._skew


@pytest.fixture(params=[-30 * HOURS, 30 * HOURS])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[System, System, Diary]]:
    """One node is right, the other is off by more than a day."""
    links = [ZmqLink(name, "0123456789abcdef") for name in ("here", "there")]
    here = System("here", runtime=Threads(), link=links[0])
    there = System("there", runtime=Threads(clock=Skewed(request.param)), link=links[1])
    diary: Diary = []
    for system, children in ((here, parts("w", diary=diary)), (there, [part("a")])):
        system.run(children)
        system.wait_until_up()
    links[0].connect("there", links[1].address)
    eventually(lambda: links[0].connected("there") and links[1].connected("here"))
    yield here, there, diary
    assert here.stop(20)
    assert there.stop(20)


def test_asks_timeouts_watches_and_conversations_work_across_clocks_that_disagree(
    pair: tuple[System, System, Diary],
) -> None:
    here, there, diary = pair
    ref = here.ref("there/a")
    with here.trace() as trace:
        assert ref.tell(Add(3))
        assert ref.ask(Total(), timeout=PATIENCE) == 3
    assert {span.to for span in there.spans(trace) if span.outcome} == {"there/a"}
    later = there.ref("a").ask(Do(lambda actor: actor.reply_later()), timeout=0.2, block=False)
    with pytest.raises(TimedOut):
        later.get()
    with pytest.raises(Refused, match="no actor"):
        here.ref("there/nobody").ask(Total(), timeout=PATIENCE)
    here.ref("w").ask(Do(lambda actor: actor.watch(actor.address("there/a"))), timeout=PATIENCE)
    assert ref.stop(timeout=PATIENCE)
    eventually(lambda: [entry.why for entry in diary if isinstance(entry, Down)] == ["stopped"])
