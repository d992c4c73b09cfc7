"""What guided fuzzing has found to be of interest: one msgpack array of byte strings for each decoder."""

from __future__ import annotations

from pathlib import Path

import msgspec

_HERE = Path(__file__).parent


def load(decoder: str) -> list[bytes]:
    """The samples for one decoder; none if nothing was found yet."""
    file = _HERE / f"{decoder}.msgpack"
    return msgspec.msgpack.decode(file.read_bytes(), type=list[bytes]) if file.exists() else []


def save(decoder: str, samples: list[bytes]) -> None:
    """Keep samples, the shortest first."""
    (_HERE / f"{decoder}.msgpack").write_bytes(msgspec.msgpack.encode(sorted(samples, key=lambda one: (len(one), one))))
