"""`python -m tests.transport.other_node NAME ADDRESS`: a node in a process of its own that sends back what it gets.

It connects to the node `a` at the address, and ends when its standard input does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from tests.transport.box import CLUSTER, Box
from tucano.transport.link import CONTROL, Lane, Letter
from tucano.transport.zmq_link import ZmqLink


def say(line: str) -> None:
    """Print a line in one piece: two threads may say something at once."""
    os.write(1, f"{line}\n".encode())


class Echo(Box):
    """Sends back."""

    def __init__(self, link: ZmqLink) -> None:
        super().__init__()
        self._link = link

    def letters(self, node: str, batch: Sequence[Letter], lane: Lane = CONTROL) -> None:
        for letter in batch:
            self._link.send(node, letter, lane)

    def name_taken(self, node: str, why: str) -> None:
        say(f"taken {node} {why}")


if __name__ == "__main__":
    link = ZmqLink(sys.argv[1], CLUSTER)
    link.start(Echo(link))
    link.connect("a", sys.argv[2])
    say("connected")
    sys.stdin.read()
    link.close()
