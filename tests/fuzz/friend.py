"""A legitimate conversation beside the fuzzing: each answer is checked, and so is the order of what is told."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

import tucano
from tucano.actors.kernel import Actor, Message, Refused
from tucano.client import ClusterError

CLUSTER = hashlib.sha256(b"fuzz").hexdigest()[:16]
PATIENCE = 60.0
"""Seconds that an answer may take: the machine is busy, and an answer that is late is not wrong."""


class Say(Message, frozen=True):
    """A number, 1 more than the one before; answered with its double."""

    secret: str
    number: int


class Total(Message, frozen=True):
    """Answered with how many numbers came, the last, and how many came late: twice, or after a later one."""

    secret: str


class Echo(Actor):
    """Whom the friend talks to; a stranger does not know the secret."""

    Inbox = Say | Total

    def __init__(self, secret: str) -> None:
        super().__init__()
        self._secret = secret
        self._came = self._last = self._late = 0

    def receive(self, message: Say | Total) -> list[int] | int:
        if message.secret != self._secret:
            return 0
        if isinstance(message, Total):
            return [self._came, self._last, self._late]
        self._came += 1
        self._late += message.number <= self._last
        self._last = max(self._last, message.number)
        return message.number * 2


class Sink(Actor):
    """Takes whatever message there is."""

    Inbox = Message

    def receive(self, message: Message) -> int:
        return len(repr(message))


class Friend:
    """Talks to the target until told to stop, on the bridge and at the clients' door.

    Attributes:
        checked: answers that were right.
        refused: asks and tells that were, in words: on a machine that is too busy a node may be taken for silent.
        wrong: answers that were not right, in words.

    """

    def __init__(self, bridge: str, door: str, secret: str) -> None:
        self.checked = 0
        self.refused: list[str] = []
        self.wrong: list[str] = []
        self._secret = secret
        self._stop = threading.Event()
        self._node = tucano.Node("friend", listen="127.0.0.1:0", cluster="fuzz")
        self._node.connect("target", bridge.removeprefix("tcp://"))
        self._client = tucano.connect(address=door, timeout=PATIENCE)
        self._threads = [threading.Thread(target=run) for run in (self._talk, self._administer)]

    def __enter__(self) -> Friend:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._client.close()
        self._node.stop()

    def _talk(self) -> None:
        echo = self._node.ref("target/echo")
        number = 0
        while not self._stop.wait(0.005):
            try:
                for _ in range(10):
                    number += 1
                    if not echo.tell(Say(self._secret, number)):
                        raise Refused("full", "a tell was not taken")
                number += 1
                self._check(echo.ask(Say(self._secret, number), timeout=PATIENCE), 2 * number)
                came, last, late = echo.ask(Total(self._secret), timeout=PATIENCE)
                self._check([last, late, came == number or bool(self.refused)], [number, 0, True])
            except Refused as refused:
                (self.wrong if refused.code == "timeout" else self.refused).append(f"{refused.code}: {refused}")

    def _administer(self) -> None:
        while not self._stop.wait(0.02):
            try:
                self._check({node.name for node in self._client.nodes()} >= {"target"}, True)
                try:
                    self._client.scale("nobody", 2)
                except ClusterError as error:
                    self._check(error.code, "not_found")
            except ClusterError as error:
                self.wrong.append(f"at the door: {error.code}: {error}")

    def _check(self, got: Any, wanted: Any) -> None:
        if got == wanted:
            self.checked += 1
        else:
            self.wrong.append(f"{got!r} instead of {wanted!r}")
