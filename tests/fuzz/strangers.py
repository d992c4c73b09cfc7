"""Raw sockets at the two doors: who is not to be trusted, and how much they have sent."""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
from collections import Counter

import msgpack
import zmq

from tests.fuzz.friend import CLUSTER
from tests.fuzz.mutate import Mutator
from tucano.transport.link import LANES
from tucano.transport.wire import Peer, routing_id

VISITS = 24
"""Connections to the bridge at once."""

NAMES = 60
"""Nodes that the strangers say to be."""


class Strangers:
    """Sends rounds of frames to the bridge, and of requests to the clients' door.

    Args:
        bridge: address.
        door: address.
        mutator: what is sent.

    Attributes:
        sent: frames, by what they were.
        came_by: connections, by whose they said to be.
        answers: that came from the clients' door.
        items: of streams, which came from there, too.
        odd: messages to the door that have too many parts to be answered.

    """

    def __init__(self, bridge: str, door: str, mutator: Mutator) -> None:
        self.sent: Counter[str] = Counter()
        self.came_by: Counter[str] = Counter()
        self.answers = self.items = self.odd = 0
        self._bridge, self._door, self._mutator = bridge, door, mutator
        self._chance: random.Random = mutator.chance
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._numbers = itertools.count(1)
        self._drain = self._context.socket(zmq.ROUTER)  # takes what is said back, and forgets it
        self._drain.set(zmq.ROUTER_HANDOVER, 1)
        self._address = f"tcp://127.0.0.1:{self._drain.bind_to_random_port('tcp://127.0.0.1')}"
        self._visits: list[zmq.Socket[bytes]] = []

    def visit(self, frames: int) -> int:
        """Send frames to the bridge by many connections; how many."""
        self.leave()
        names = self._chance.sample(range(NAMES), VISITS)
        for name in names:
            self._visits.append(self._connect(f"stranger-{name}", frames // VISITS))
        with contextlib.suppress(zmq.Again):
            while True:
                self._drain.recv_multipart(zmq.NOBLOCK, copy=False)
        return frames // VISITS * VISITS

    def leave(self) -> None:
        """Let go of the connections; to be called when all that they sent has been taken."""
        for one in self._visits:
            one.close(0)
        self._visits.clear()

    def send_large(self) -> int:
        """Frames of many megabytes, by a connection of their own."""
        dealer = self._dealer(routing_id(self._peer("stranger-large")))
        for _ in range(3):
            self._send(dealer, *self._mutator.large())
        return 3

    def send_too_large(self) -> None:
        """What ZeroMQ cuts off: it comes to nobody."""
        dealer = self._dealer(routing_id(self._peer("stranger-larger")))
        dealer.send(bytes(17 << 20))
        self.sent["too large: cut off"] += 1

    def send_garbage(self, *, old: bool = False) -> None:
        """Bytes that are not even ZeroMQ's; or are taken for ZMTP 1.0, in which anything is a message."""
        greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)
        for address in (self._bridge, self._door):
            host, _, port = address.removeprefix("tcp://").rpartition(":")
            with contextlib.suppress(OSError), socket.create_connection((host, int(port))) as raw:
                start = b"" if old else self._chance.choice((b"\xff", greeting, greeting[:40]))
                raw.sendall(start + self._chance.randbytes(500))
            self.sent["no ZeroMQ at all"] += 1

    def ask(self, requests: int) -> int:
        """Send requests to the clients' door, and read the answers; how many were sent."""
        kind = self._chance.choice((zmq.DEALER, zmq.REQ))
        client = self._context.socket(zmq.DEALER)
        client.set(zmq.LINGER, 0)
        client.set(zmq.RCVTIMEO, 60_000)
        client.connect(self._door)
        wanted = 0
        for _ in range(requests):
            name, frame = self._mutator.request(next(self._numbers))
            self.sent[f"request {name}"] += 1
            if self._chance.random() < 0.02:
                client.send_multipart([b"x"] * self._chance.randrange(2, 40) + [frame])
                self.odd += 1
                continue
            client.send_multipart([b"", frame] if kind == zmq.REQ else [frame])
            wanted += 1
        while wanted:
            answer = msgpack.unpackb(client.recv_multipart()[-1], strict_map_key=False)
            wanted -= "item" not in answer
            self.answers += "item" not in answer
            self.items += "item" in answer
        client.close()
        return requests

    def close(self) -> None:
        """Let go of all sockets."""
        self.leave()
        self._drain.close()
        self._context.destroy(0)

    def _connect(self, name: str, frames: int) -> zmq.Socket[bytes]:
        chance, peer = self._chance, self._peer(name)
        if chance.random() < 0.7:
            said, identity = "a stranger's", routing_id(peer, chance.choice(LANES))
        else:
            said, identity = self._mutator.identity(peer)
            said = f"one {said}"
        self.came_by[said] += 1
        dealer = self._dealer(identity)
        for _ in range(frames):
            self._send(dealer, *self._mutator.frame(name))
        return dealer

    def _send(self, dealer: zmq.Socket[bytes], name: str, frame: bytes) -> None:
        if self._chance.random() < 0.01:
            dealer.send_multipart(self._chance.choice(([frame, b""], [b"", frame], [b"x"] * 30)))
            self.sent["of several parts"] += 1
        else:
            dealer.send(frame)
            self.sent[name] += 1

    def _dealer(self, identity: bytes) -> zmq.Socket[bytes]:
        dealer = self._context.socket(zmq.DEALER)
        dealer.set(zmq.ROUTING_ID, identity)
        dealer.set(zmq.LINGER, -1)
        dealer.set(zmq.SNDHWM, 0)
        dealer.set(zmq.SNDTIMEO, 60_000)
        dealer.connect(self._bridge)
        self._visits.append(dealer)
        return dealer

    def _peer(self, name: str) -> Peer:
        number = next(self._numbers) if self._chance.random() < 0.95 else 1
        address = "tcp://127.0.0.1:1" if name.endswith("7") else self._address  # some cannot be answered
        return Peer(CLUSTER, name, number, address)
