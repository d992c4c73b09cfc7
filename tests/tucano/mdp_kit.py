"""What the tests of the users' ZeroMQ front share: clients as others write them, REP and ROUTER instances, a front."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator

import zmq

from tucano.actors.messages import model
from tucano.actors.proxy import Service, Target
from tucano.actors.proxy.mdp_queue import Limits
from tucano.actors.proxy.zmtp import Peer, pack, unpack
from tucano.mdp_front import MdpFront
from tucano.mdp_handover import Handover

HOST = "127.0.0.1"
Frames = list[bytes]


class Instance:
    """A service's process, as a thread: a REP or ROUTER socket that answers each request with `answer(body)`."""

    def __init__(self, name: str, kind: int, answer: Callable[[Frames], Frames], port: int = 0) -> None:
        self.name = name
        self._context = zmq.Context()
        self._socket = self._context.socket(kind)
        self._socket.set(zmq.LINGER, 0)
        self._socket.bind(f"tcp://{HOST}:{port or '*'}")
        self.port = int(self._socket.get_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
        self._end = self._context.socket(zmq.PAIR)
        self._end.bind("inproc://end")
        self._ender = self._context.socket(zmq.PAIR)
        self._ender.connect("inproc://end")
        self._answer = answer
        self.taken = 0
        self.hold = False  # takes requests and does not answer
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def target(self, *, ready: bool = True) -> Target:
        return Target(self.name, HOST, self.port, ready)

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._end, zmq.POLLIN)
        while self._end not in (ready := dict(poller.poll())):
            if self._socket in ready:
                frames = self._socket.recv_multipart()
                self.taken += 1
                at = frames.index(b"") + 1 if self._socket.type == zmq.ROUTER else 0
                if not self.hold:
                    self._socket.send_multipart(frames[:at] + self._answer(frames[at:]))
        self._socket.close()
        self._end.close()

    def close(self) -> None:
        if self._thread.is_alive():
            self._ender.send(b"")
            self._thread.join()
            self._ender.close()
            self._context.term()


ZMQ = model.Route(protocol="zmq")


GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)
READY = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03REQ"


class Wire:
    """A client by bytes: what it sends is in the socket, at once."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port))
        self.socket.settimeout(20)
        self._peer = Peer(b"DEALER", self.socket.sendall)
        self._heard: list[bytes] = []
        while not self._peer.up:
            self._peer.feed(self.socket.recv(65_536))

    def say(self, *frames: bytes) -> None:
        self.socket.sendall(pack(frames))

    def hear(self) -> Frames:
        while not self._heard:
            data = self.socket.recv(65_536)
            assert data, "the connection has ended"
            self._heard += self._peer.feed(data)
        return unpack(self._heard.pop(0))

    def hear_all(self) -> None:
        while True:
            self.hear()

    def ask(self, *frames: bytes) -> Frames:
        self.say(*frames)
        return self.hear()


class Stage:
    def __init__(self) -> None:
        self.listener = socket.create_server((HOST, 0))
        self.address = f"tcp://{HOST}:{self.listener.getsockname()[1]}"
        self.context = zmq.Context()
        self.instances: list[Instance] = []
        self.clients: list[zmq.Socket[bytes]] = []
        self.wires: list[Wire] = []
        self.way = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.front = self.start()

    def start(self, *targets: Target, **limits: float) -> MdpFront:
        """A front that has these instances from its first moment."""
        self.front = MdpFront(
            self.listener.dup(),
            chance=random.Random(7),
            handover=Handover(*(end.dup() for end in self.way)),
            limits=Limits(**limits),  # type: ignore[arg-type]
        )
        self.route(*targets)
        self.front.start()
        return self.front

    def instance(self, name: str = "one", kind: int = zmq.REP, port: int = 0) -> Instance:
        self.instances.append(Instance(name, kind, lambda body: [name.encode(), *body], port))
        return self.instances[-1]

    def route(self, *targets: Target, expected: bool = False, repeat: bool = False) -> None:
        self.front.apply({"echo": Service("echo", targets, expected, ZMQ, model.Balance(repeat=repeat))})

    def client(self, kind: int = zmq.REQ, name: bytes = b"") -> zmq.Socket[bytes]:
        client = self.context.socket(kind)
        client.set(zmq.LINGER, 0)
        if name:
            client.set(zmq.IDENTITY, name)
        client.set(zmq.HEARTBEAT_IVL, 20)
        client.set(zmq.HEARTBEAT_TIMEOUT, 20_000)
        client.set(zmq.RCVTIMEO, 20_000)
        client.connect(self.address)
        self.clients.append(client)
        return client

    def wire(self) -> Wire:
        self.wires.append(Wire(self.listener.getsockname()[1]))
        return self.wires[-1]

    def close(self) -> None:
        self.front.stop(0.0)
        for wire in self.wires:
            wire.socket.close()
        for instance in self.instances:
            instance.close()
        for client in self.clients:
            client.close()
        self.context.term()
        for one in (self.listener, *self.way):
            one.close()


class MajordomoClient:
    """A client by the letter of RFC 7/MDP: a REQ socket, requests and replies of four frames and more."""

    def __init__(self, stage: Stage, name: bytes = b"") -> None:
        self._socket = stage.client(name=name)

    @contextlib.contextmanager
    def watched(self, events: int) -> Iterator[zmq.Socket[bytes]]:
        """A socket where it is said when one of these happens to the client's."""
        monitor = self._socket.get_monitor_socket(events)
        try:
            yield monitor
        finally:
            self._socket.disable_monitor()
            monitor.close(0)

    def ask(self, service: bytes, *body: bytes) -> Frames:
        self._socket.send_multipart([b"MDPC01", service, *body])
        header, named, *reply = self._socket.recv_multipart()
        assert (header, named) == (b"MDPC01", service)
        assert reply
        return reply
