"""The clients' door, by itself."""

from __future__ import annotations

import zmq

from tests.helpers import eventually
from tucano.transport.door import Client
from tucano.transport.security import Guest
from tucano.transport.zmq_door import ZmqDoor


class Crowd:
    """A door that answers twice from its own thread, as one does that is too busy; and a client."""

    def __init__(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        with context, context.socket(zmq.ROUTER) as probe:
            address = f"tcp://127.0.0.1:{probe.bind_to_random_port('tcp://127.0.0.1')}"
        self.door = ZmqDoor(address)
        self.door.start(self._answer)
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.set(zmq.LINGER, 0)
        self.socket.set(zmq.RCVTIMEO, 20_000)
        self.socket.set(zmq.SNDHWM, 0)
        self.socket.connect(address)

    def _answer(self, client: Client, frame: bytes, guest: Guest) -> None:
        for _ in range(2):
            self.door.send(client, frame)

    def close(self) -> None:
        self.socket.close()
        self.context.term()
        self.door.close()


def test_a_rush_that_the_door_itself_has_to_answer_does_not_stop_it() -> None:
    crowd = Crowd()
    try:
        for _ in range(40):
            for _ in range(200):
                crowd.socket.send(b"x")
            assert [crowd.socket.recv() for _ in range(400)] == [b"x"] * 400
    finally:
        crowd.close()


def test_messages_of_too_many_parts_are_refused_and_counted() -> None:
    crowd = Crowd()
    try:
        for parts in ([b"a", b"b"], [b"", b"", b"c"], [b""] * 50):
            crowd.socket.send_multipart(parts)
        eventually(lambda: crowd.door.refused == 3)
        crowd.socket.send_multipart([b"", b"fine"])
        assert crowd.socket.recv_multipart() == [b"", b"fine"]
    finally:
        crowd.close()
