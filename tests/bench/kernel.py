"""The actor kernel: its parts `kernel_messages` (against stock Pykka) and `kernel_growth`, one after the other."""

from __future__ import annotations

from tests.bench import kernel_growth, kernel_messages
from tests.bench.table import Row


def run(rounds: int = kernel_messages.ROUNDS) -> list[Row]:
    """Measure; medians of interleaved rounds."""
    return kernel_messages.run(rounds) + kernel_growth.run(rounds)
