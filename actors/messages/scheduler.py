"""The worker's scheduler: the clock that has the collector measure and sends what it finds."""

from __future__ import annotations

from typing import Any

from tucano.actors.kernel import Note


class MeasureDue(Note, frozen=True):
    """Note to self: time to measure."""


class Measured(Note, frozen=True):
    """Note to self: the collector's answer, or a `Refused`."""

    result: Any
