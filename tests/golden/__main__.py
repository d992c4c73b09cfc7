"""`python -m tests.golden`: adds the bytes of new messages, and of fields that were added to old ones; changes none."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.golden import examples
from tucano.actors.kernel import Refused
from tucano.transport import wire

PLACE = Path(__file__).parent
Shape = dict[str, Any]


def read(name: str) -> dict[str, Any]:
    """What is kept; nothing if there is no such file yet."""
    path = PLACE / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def shape(value: Any) -> Shape:
    """An example as it is kept."""
    return {"fields": examples.plain(value), "hex": examples.codec.encode(value)[1].hex()}


def extends(new: Any, old: Any) -> bool:
    """Whether a newer shape has all that the older one has, first and unchanged."""
    if isinstance(new, dict) and isinstance(old, dict):
        return list(new)[: len(old)] == list(old) and all(extends(new[key], old[key]) for key in old)
    if isinstance(new, list | tuple) and isinstance(old, list | tuple):
        return len(new) == len(old) and all(map(extends, new, old))
    return bool(new == old)


def understood(kind: type[Any], old: Shape) -> bool:
    """Whether a type still reads what it wrote once."""
    try:
        value = examples.codec.decode(kind.TAG, bytes.fromhex(old["hex"]))
    except Refused:
        return False
    return extends(examples.plain(value), old["fields"])


def renew() -> list[str]:
    """Add what is new to the files; returns what would have to change, and therefore was not written."""
    wrong = []
    kept = read("messages")
    for tag, kind in examples.kinds().items():
        now, before = shape(examples.example(kind)), kept.get(tag, [])
        if before and now == before[-1]:
            continue
        if all(understood(kind, old) and extends(now["fields"], old["fields"]) for old in before):
            kept[tag] = [*before, now]
            print(f"added {tag}{' with further fields' if before else ''}")
        else:
            wrong.append(f"{tag}: a new field comes last and has a default; for any other change make VERSION = 2")
    _write("messages", dict(sorted(kept.items())))
    letters = {name: wire.encode([letter]).hex() for name, letter in examples.letters().items()}
    clients = {name: frame.hex() for name, frame in examples.clients().items()}
    for name, now in (("letters", letters), ("clients", clients)):
        before = read(name)
        wrong += [f"{name}: {key} has other bytes" for key in before if now.get(key) != before[key]]
        _write(name, {**now, **before})
    return wrong


def _write(name: str, content: dict[str, Any]) -> None:
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
    (PLACE / f"{name}.json").write_text("{\n" + lines.replace('}, {"fields"', '},\n    {"fields"') + "\n}\n")


if __name__ == "__main__":
    refused = renew()
    print(*(f"refused: {line}" for line in refused), sep="\n", file=sys.stderr)
    sys.exit(1 if refused else 0)
