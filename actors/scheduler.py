"""The worker's scheduler: the clock that has the collector measure, and sends what it finds to the controller."""

from __future__ import annotations

from typing import assert_never

from tucano.actors.kernel import Actor
from tucano.actors.messages import collector as collector_messages
from tucano.actors.messages import worker_mgr
from tucano.actors.messages.scheduler import Measured, MeasureDue

PATIENCE = 5.0
"""Seconds that a measurement may take."""


_Inbox = MeasureDue | Measured


class Scheduler(Actor):
    """Sends metrics at a steady beat.

    Args:
        collector: address of who measures.
        controller: address of who wants to know.
        interval: seconds between two measurements; each is up to a tenth longer or shorter, so that a thousand workers
            do not speak at once.

    """

    Inbox = _Inbox

    def __init__(
        self, collector: str = "collector", controller: str = "controller/worker_mgr", interval: float = 1.0
    ) -> None:
        super().__init__()
        self._collector = self.address(collector)
        self._controller = self.address(controller)
        self._interval = interval

    def on_start(self) -> None:
        """Begin."""
        self._wait()

    def receive(self, message: _Inbox) -> None:
        """Handle one message."""
        match message:
            case MeasureDue():
                self.pipe(self._collector, collector_messages.Measure(), PATIENCE, Measured)
            case Measured(result):
                if isinstance(result, worker_mgr.Metrics):  # else the collector is being restarted: next time
                    self._controller.tell(result)
                self._wait()
            case _:
                assert_never(message)

    def _wait(self) -> None:
        self.after(self._interval * self.chance.uniform(0.9, 1.1), MeasureDue())
