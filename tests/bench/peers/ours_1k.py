"""Tucano with messages of 1 KiB, in the clear: beside `ours_curve`."""

from __future__ import annotations

import msgspec

from tests.bench.peers import ours

SAY = msgspec.structs.replace(ours.SAY, text="x" * 992)
"""1 KiB of msgpack."""

serve = ours.serve


def connect(address: str) -> ours.Ours:
    """A node beside the server's."""
    return ours.Ours(address, SAY)
