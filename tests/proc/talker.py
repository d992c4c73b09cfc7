"""`python -m tests.proc.talker NAME ADDRESS HOME|TOKEN [PEER]`: a node on one of two machines, told what to do.

Each line of input is a command, each line of output its outcome as JSON; ends with its input.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import psutil

import tucano
from tucano.actors.kernel import Actor, Child, Message, Refused


class Number(Message, frozen=True):
    """One more than the one before."""

    number: int
    padding: bytes = b""


class Ask(Message, frozen=True):
    """Answered with its text."""

    text: str


class Ledger(Actor):
    """Keeps account of numbers."""

    Inbox = Number | Ask

    def __init__(self) -> None:
        super().__init__()
        self.came = self.last = self.late = 0

    def receive(self, message: Number | Ask) -> Any:
        if isinstance(message, Ask):
            return f"{message.text} {self.came} {self.last} {self.late}"
        self.came += 1
        self.late += message.number <= self.last  # came twice, or after one that was said later
        self.last = max(self.last, message.number)
        return None


class Talker:
    """What each command does."""

    def __init__(self, node: tucano.Node, peer: str) -> None:
        self._node = node
        self._ledger = node.ref(f"{peer}/ledger")
        self._said = 0

    def ask(self, text: str = "", timeout: str = "10") -> Any:
        """Ask once."""
        began = time.monotonic()
        try:
            answer = self._ledger.ask(Ask(text), timeout=float(timeout))
        except Refused as refused:
            answer = refused.code
        return [answer, time.monotonic() - began]

    def tell(self, many: str, size: str = "0") -> Any:
        """Tell the next numbers; how many have been taken, and the last."""
        padding, taken = bytes(int(size)), 0
        for _ in range(int(many)):
            self._said += 1
            taken += self._ledger.tell(Number(self._said, padding))
        return [taken, self._said]

    def news(self) -> Any:
        """Who came and went."""
        return [[event.what, event.who, event.detail] for event in self._node.events() if event.what[:5] == "node_"]

    def own(self) -> Any:
        """The node's own address, and its memory in MiB."""
        return [self._node.address, psutil.Process().memory_info().rss >> 20]

    def near(self) -> Any:
        """Ask an actor of this very node."""
        return self._node.ref("ledger").ask(Ask(""), timeout=10).split()


def main(name: str, address: str, secret: str, peer: str = "") -> None:
    keys: dict[str, Any] = {"token" if Path(secret).is_file() else "keys": Path(secret)}
    with tucano.Node(name, [Child("ledger", Ledger)], listen=f"{address}:0", **keys) as node:
        at = peer.partition("@")
        if peer:
            node.connect(at[0], at[2])
        talker = Talker(node, at[0] or "edge")
        print(json.dumps(node.address), flush=True)
        for line in sys.stdin:
            command, *arguments = line.split()
            print(json.dumps(getattr(talker, command)(*arguments)), flush=True)


if __name__ == "__main__":
    from tests.proc import talker

    talker.main(*sys.argv[1:])  # by its name, which the messages have
