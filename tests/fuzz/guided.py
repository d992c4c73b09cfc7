"""Guided by coverage: atheris on the decoders, each in a process of its own; what it finds of interest is kept."""

from __future__ import annotations

import gzip
import importlib
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from tests.fuzz.corpus import load, save

NAMES = ("frame", "message", "identity", "request", "token", "artifact", "zmtp")
KEPT = 120
"""Samples of one decoder that are kept, of all sizes."""
SMALL = 2048
"""Bytes of the largest sample that is kept."""


def seeds(name: str) -> list[bytes]:
    """Where a decoder's run begins: what is legitimate, and what earlier runs have found."""
    from tests.fuzz.mutate import Mutator
    from tests.tucano.mdp_kit import GREETING, READY
    from tucano.actors.disk.artifact import pack
    from tucano.actors.proxy import zmtp
    from tucano.token import Token
    from tucano.transport.wire import Peer, routing_id

    mutator = Mutator(random.Random(1), (), ("sink", "echo"))
    made: list[bytes] = []
    match name:
        case "frame":
            made = [mutator.frame("stranger-1")[1] for _ in range(200)]
        case "message":
            made = [bytes([at]) + mutator.body(at - 1) for at in range(1, mutator.tags + 1)]
        case "identity":
            peer = Peer("0" * 16, "worker-1", 1_700_000_000_000, "tcp://10.0.0.7:4711")
            made = [routing_id(peer), routing_id(peer, "bulk")]
        case "request":
            made = [mutator.request(number)[1] for number in range(300)]
        case "token":
            fields: dict[str, Any] = dict.fromkeys(Token.__struct_fields__, "x" * 40)
            made = [msgspec.json.encode({**fields, "role": "node"})]
        case "artifact":
            with tempfile.TemporaryDirectory() as place:
                (Path(place) / "in" / "sub").mkdir(parents=True)
                (Path(place) / "in" / "sub" / "run.sh").write_text("exec true")
                (Path(place) / "in" / "link").symlink_to("sub/run.sh")
                pack(Path(place) / "in", Path(place) / "out")
                made = [gzip.decompress((Path(place) / "out").read_bytes())]
        case "zmtp":
            bodies = [[b"", b"MDPC01", b"echo", b"x"], [b"MDPC02", b"\x01", b"echo", b"", b"y" * 300], [b"", b"MDPC01"]]
            asked = GREETING + READY + b"".join(map(zmtp.pack, bodies)) + b"\x04\x07\x04PING\0\0"
            answers = b"".join(zmtp.pack([number.to_bytes(8), b"", b"z"]) for number in range(1, 12))
            router = READY.replace(b"\x19", b"\x1c").replace(b"\x03REQ", b"\x06ROUTER")
            old = b"\xff" + bytes(8) + b"\x7f\x01\x05\x00\x00" + zmtp.pack(bodies[0])
            made = [b"\xff\0" + asked, b"\x05\0" + asked, b"\xff\x01" + GREETING + router + answers, b"\x02\0" + old]
    return [*made, *load(name)]


def guided(seconds: int, only: str | None) -> int:
    """Fuzz the decoders one after the other; 1 if one has raised what it must not."""
    names = [only] if only else NAMES
    worst = 0
    for name in names:
        with tempfile.TemporaryDirectory(prefix="tucano-guided-") as place:
            for number, seed in enumerate(seeds(name)):
                (Path(place) / f"seed-{number}").write_bytes(seed)
            options = f"-max_total_time={seconds // len(names)} -max_len=20000 -timeout=10 -rss_limit_mb=2048"
            command = [sys.executable, "-m", "tests.fuzz.guided", name, place, *options.split()]
            command.append(f"-artifact_prefix={place}/fault-")
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
            runs = [line for line in done.stderr.splitlines() if "DONE" in line or line.startswith("Done")]
            print(f"{name}: {runs[-1] if runs else 'no figures'}", flush=True)
            if done.returncode:
                worst = 1
                print(done.stdout[-3000:], done.stderr[-3000:])
                for fault in Path(place).glob("fault-*"):
                    print(f"FAULT: {name} with {fault.read_bytes()[:500]!r}")
            found = {path.read_bytes() for path in Path(place).iterdir() if not path.name.startswith("fault-")}
            small = sorted((one for one in found if 0 < len(one) <= SMALL), key=lambda one: (len(one), one))
            save(name, [small[at * len(small) // KEPT] for at in range(KEPT)] if len(small) > KEPT else small)
    return worst


def _fuzz(name: str) -> None:
    """In the process of one decoder; ends it."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["tucano", "msgpack"]):
        from tests.fuzz.decoders import DECODERS

    atheris.Setup([sys.argv[0], *sys.argv[2:]], DECODERS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    _fuzz(sys.argv[1])
