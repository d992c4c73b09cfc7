"""A million frames against one node, while a friend talks to it."""

from __future__ import annotations

import json
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from tests.fuzz.corpus import load
from tests.fuzz.friend import Friend
from tests.fuzz.mutate import Mutator
from tests.fuzz.strangers import Strangers
from tests.helpers import eventually

ROUND = 2400
"""Frames to the bridge in one round, at whose end each must have been taken or refused."""

REQUESTS = 300
"""Requests to the clients' door in one round, each of which must have been answered or refused."""

GROWTH = 32 << 20
"""Bytes that the node may have grown by in the second half of the run: in the first, what is bounded fills up."""

RECEIVERS = ("sink", "sink", "sink", "echo", "nobody", "node", "root")


class Target:
    """The node in its process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in: IO[str] = process.stdin
        self._out: IO[str] = process.stdout
        said = json.loads(self._out.readline())
        self.bridge: str = said["bridge"]
        self.door: str = said["door"]

    def look(self) -> dict[str, Any]:
        """What it has taken, refused and become.

        Raises:
            BrokenPipeError, JSONDecodeError: it has crashed.

        """
        print(file=self._in, flush=True)
        seen: dict[str, Any] = json.loads(self._out.readline())
        return seen


@contextmanager
def target(directory: Path, secret: str) -> Iterator[Target]:
    """A node to be fuzzed."""
    command = [sys.executable, "-m", "tests.fuzz.target", str(directory), secret]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Target(process)


class Report(NamedTuple):
    """What a run has shown.

    Attributes:
        faults: what must not be; empty if all was well.
        figures: what was counted.

    """

    faults: list[str]
    figures: dict[str, Any]


def run(frames: int, seed: int) -> Report:
    """Send so many frames; what a seed sends is the same each time, but not when it arrives."""
    started, secret = time.monotonic(), secrets.token_hex(8)
    mutator = Mutator(random.Random(seed), [*load("frame"), *load("request")], RECEIVERS)
    with tempfile.TemporaryDirectory(prefix="tucano-fuzz-") as name, target(Path(name), secret) as node:
        strangers = Strangers(node.bridge, node.door, mutator)
        try:
            with Friend(node.bridge, node.door, secret) as friend:
                looks = list(_rounds(frames, strangers, node))
                last = node.look()
                for _ in range(20):
                    strangers.send_garbage(old=True)
                checked = friend.checked
                eventually(lambda: friend.checked > checked + 10 or friend.wrong, "the friend is answered", within=60)
        finally:
            strangers.close()
    settled = looks[len(looks) // 2]
    faults = [*friend.wrong, *last["crashes"], *last["why"]]
    if last["rss"] - settled["rss"] > GROWTH:
        faults.append(f"memory has grown by {(last['rss'] - settled['rss']) >> 20} MiB in the second half")
    if last["threads"] > settled["threads"]:
        faults.append(f"{last['threads']} threads, where there were {settled['threads']}")
    if last["door_refused"] != strangers.odd:
        faults.append(f"the door has refused {last['door_refused']} messages instead of {strangers.odd}")
    if not friend.checked:
        faults.append("nobody has been answered")
    quarters = [looks[min(len(looks) - 1, len(looks) * part // 4)] for part in range(5)]
    figures = {
        "seconds": round(time.monotonic() - started, 1), "sent": sum(strangers.sent.values()),
        "by what they were": dict(strangers.sent.most_common()), "came by": dict(strangers.came_by.most_common()),
        "bridge: taken": last["taken"], "bridge: refused": last["refused"],
        "refused because": dict(sorted(last["reasons"].items(), key=lambda item: -item[1])[:20]),
        "letters: handled by actors": last["handled"], "letters: refused": last["letters_refused"],
        "letters: for nobody": last["dead"], "door: answered": strangers.answers, "door: refused": strangers.odd,
        "MiB at start, quarters and end": [look["rss"] >> 20 for look in quarters],
        "threads then": [look["threads"] for look in quarters], "files then": [look["files"] for look in quarters],
        "friend's answers checked": friend.checked, "friend refused": friend.refused[:5],
    }  # fmt: skip
    return Report(faults, figures)


def _rounds(frames: int, strangers: Strangers, node: Target) -> Iterator[dict[str, Any]]:
    """Round after round; after each, what the node has become."""
    sent = asked = done = 0
    while done < frames:
        sent += strangers.visit(min(ROUND, max(240, frames - done)))
        if done * 10 // frames != (done - ROUND) * 10 // frames:
            sent += strangers.send_large()
            strangers.send_too_large()
        strangers.send_garbage()
        asked += strangers.ask(min(REQUESTS, frames))
        done = sent + asked

        def all_counted(sent: int = sent) -> dict[str, Any] | None:
            look = node.look()
            return look if look["taken"] + look["refused"] >= sent else None

        try:
            look = eventually(all_counted, f"{sent} frames are taken or refused", within=60)
        except AssertionError as error:
            raise SystemExit(f"frames were neither taken nor refused: {error}; {node.look()}") from error
        if look["crashes"] or look["why"]:
            raise SystemExit(f"FAULT: {look['crashes']} {look['why']}")
        if look["taken"] + look["refused"] != sent:
            raise SystemExit(f"{look['taken']} frames taken and {look['refused']} refused of {sent}: {look['reasons']}")
        yield look
