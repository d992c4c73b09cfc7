"""`python -m tests.fuzz.target DIRECTORY SECRET`: the node that is fuzzed, in a process of its own.

A real bridge and a real clients' door, with the controller's own actors behind the latter, and two for the bridge: an
echo, and a sink that takes every message that there is. Prints where it listens; for each line of input it prints what
it has taken, refused and become, as JSON; ends with its input.
"""

from __future__ import annotations

import collections
import json
import logging
import os
import re
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import zmq

from tests.fuzz.friend import CLUSTER, Echo, Sink
from tucano.actors.deployer import Deployer
from tucano.actors.discovery import Discovery
from tucano.actors.disk.artifact_store import Store
from tucano.actors.gateway import Gateway
from tucano.actors.kernel import Child, Law, System
from tucano.actors.kernel.reply import Asker
from tucano.actors.node import Node
from tucano.actors.worker_mgr import WorkerMgr
from tucano.transport.wire import Caller
from tucano.transport.zmq_door import ZmqDoor
from tucano.transport.zmq_link import ZmqLink

LATELY = 1_000_000_000_000
"""Incarnations of real nodes, milliseconds since the epoch, are above."""


class CountedLink(ZmqLink):
    """A link that says what became of each frame."""

    def __init__(self, *args: Any, **named: Any) -> None:
        self.taken = self.letters = 0
        self.reasons: collections.Counter[str] = collections.Counter()
        super().__init__(*args, **named)

    def _hear(self, caller: Caller, frame: bytes) -> None:
        super()._hear(caller, frame)
        self.taken += caller.peer.incarnation < LATELY  # a stranger's: the friend's is of today

    def _refuse(self, why: object) -> None:
        self.reasons[re.sub(r"[0-9]+", "N", re.sub(r" - at `.*`|[b ]['\"].*|(?<=tcp:).*", "", str(why)))[:50]] += 1
        super()._refuse(why)


class Firm(System):
    """Actors that no letter stops: a node may stop those of another, and chance would find the bit for it."""

    def stop_actor(self, name: str, asker: Asker) -> None:
        """See `System.stop_actor`."""
        asker.answer(False)


class Faults(logging.Handler):
    """What was logged as an error: none is to be."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.found) < 20 and "does not hear us" not in record.getMessage():
            self.found.append(self.format(record)[-2000:])


def main(directory: Path, secret: str) -> None:
    """Run until the input ends."""
    faults = Faults()
    logging.getLogger("tucano").addHandler(faults)
    logging.getLogger("tucano").propagate = False
    logging.getLogger("tucano").setLevel(logging.ERROR)
    link = CountedLink("target", CLUSTER)
    doors: list[ZmqDoor] = []
    with link._context.socket(zmq.ROUTER) as probe:
        address = f"tcp://127.0.0.1:{probe.bind_to_random_port('tcp://127.0.0.1')}"

    def door() -> ZmqDoor:
        doors.append(ZmqDoor(address))
        return doors[-1]

    system = Firm("target", link=link)
    about = {"cluster": CLUSTER, "version": "0", "node": "target", "since": 0.0, "http_port": 1, "zmq_port": 1}
    system.run(
        [
            Child("node", Node),
            Child("discovery", Discovery, {"path": directory / "record.sqlite"}),
            Child("deployer", Deployer),
            Child("worker_mgr", WorkerMgr),
            Child("gateway", Gateway, {
                "make_door": door, "artifacts": partial(Store, directory / "artifacts"), "about": about,
            }),
            Child("echo", Echo, {"secret": secret}),
            Child("sink", Sink),
        ],
        law=Law(intensity=1_000_000),
    )  # fmt: skip
    system.wait_until_up()
    process = psutil.Process()
    print(json.dumps({"bridge": link.address, "door": address}), flush=True)
    for _ in sys.stdin:
        actors = system.snapshot()
        print(json.dumps({
            "taken": link.taken, "refused": link.refused, "reasons": link.reasons, "crashes": faults.found,
            "rss": process.memory_info().rss, "threads": threading.active_count(),
            "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - names only
            "depth": sum(actor.depth for actor in actors), "restarts": sum(actor.restarts for actor in actors),
            "dead": system.dead_letters, "handled": sum(actor.handled for actor in actors),
            "letters_refused": sum(n for (what, _), n in system.channel._repeats.items() if what == "message_refused"),
            "why": [a.last_crash for a in actors if a.last_crash],
            "door_refused": sum(door.refused for door in doors),
        }), flush=True)  # fmt: skip
    system.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
