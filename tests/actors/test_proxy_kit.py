"""What the tests of the proxy share: a proxy on real sockets, scripted instances, a client that reads answers raw."""

import contextlib
import io
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import psutil

from tucano.actors.proxy import Proxy, Service, Target

PATIENCE = 10.0  # seconds a test waits for what must happen


def until(what: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait until `what` is true."""
    deadline = time.monotonic() + patience
    pause = threading.Event()
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        pause.wait(0.002)


class Head(NamedTuple):
    first: bytes
    lines: list[bytes]

    def values(self, name: bytes) -> list[bytes]:
        """The values of all lines of that name."""
        split = [line.partition(b":") for line in self.lines]
        return [value.strip() for key, _, value in split if key.lower() == name.lower()]

    def value(self, name: bytes) -> bytes | None:
        """The only value of that name, if there is one."""
        values = self.values(name)
        assert len(values) < 2, values
        return values[0] if values else None


class Reply(NamedTuple):
    status: int
    head: Head
    body: bytes
    trailers: list[bytes]


class Wire:
    """One end of a connection, read as HTTP/1 by someone who trusts nothing but the bytes."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        self.sock = sock
        self.file: io.BufferedReader = sock.makefile("rb")

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        with contextlib.suppress(OSError):  # the other side may have reset it
            self.sock.shutdown(socket.SHUT_RDWR)
        self.file.close()
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.sock.sendall(data)

    def head(self) -> Head | None:
        """The next head; None if the other side closed before it."""
        lines = []
        while (line := self.file.readline()) not in (b"\r\n", b""):
            assert line.endswith(b"\r\n"), line
            lines.append(line[:-2])
        if not line:
            assert not lines, lines
            return None
        return Head(lines[0], lines[1:])

    def chunks(self) -> tuple[bytes, list[bytes]]:
        """A chunked body and its trailers."""
        body = b""
        while size := int(self.file.readline().partition(b";")[0], 16):
            body += self.exactly(size)
            assert self.file.read(2) == b"\r\n"
        trailers = []
        while (line := self.file.readline()) != b"\r\n":
            trailers.append(line[:-2])
        return body, trailers

    def exactly(self, size: int) -> bytes:
        """So many bytes."""
        data = self.file.read(size)
        if len(data) < size:
            raise EOFError(f"{len(data)} of {size} bytes")
        return data

    def body(self, head: Head) -> tuple[bytes, list[bytes]]:
        """The body of a message that is not delimited by its end."""
        if head.value(b"transfer-encoding") is not None:
            return self.chunks()
        return self.exactly(int(head.value(b"content-length") or 0)), []

    def reply(self, method: str = "GET") -> Reply:
        """The next answer."""
        head = self.head()
        if head is None:
            raise EOFError("no answer")
        status = int(head.first.split()[1])
        trailers: list[bytes] = []
        if method == "HEAD" or status in (204, 304) or status < 200:
            body = b""
        elif head.value(b"content-length") is None and head.value(b"transfer-encoding") is None:
            body = self.file.read()
        else:
            body, trailers = self.body(head)
        return Reply(status, head, body, trailers)

    def ask(self, request: bytes, method: str = "GET") -> Reply:
        """Send a request and read its answer."""
        self.send(request)
        return self.reply(method)

    def closed(self) -> bool:
        """The other side has closed, or closes now; nothing more came."""
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True


Script = Callable[["Instance", Wire], None]


def polite(instance: "Instance", wire: Wire) -> None:
    """Answer each request with its own head and body."""
    while (head := wire.head()) is not None:
        body, _ = wire.body(head)
        instance.heads.append(head)
        instance.bodies.append(body)
        answer = b"\n".join([head.first, *head.lines, b"", body])
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)


class Instance:
    """A backend that does to each connection what its script says, in a thread."""

    def __init__(self, name: str = "one", script: Script = polite, port: int = 0) -> None:
        self.name = name
        self.script = script
        self.heads: list[Head] = []
        self.bodies: list[bytes] = []
        self.errors: list[BaseException] = []
        self.go = threading.Event()  # for scripts that wait
        self._wires: list[Wire] = []
        self._threads: list[threading.Thread] = []
        self.listener = socket.create_server(("127.0.0.1", port), backlog=2048)
        self.port: int = self.listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def target(self, *, ready: bool = True) -> Target:
        """As a target."""
        return Target(self.name, "127.0.0.1", self.port, ready)

    @property
    def connections(self) -> int:
        """Connections that were ever made."""
        return len(self._wires)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return  # closed
            wire = Wire(sock)
            self._wires.append(wire)
            thread = threading.Thread(target=self._play, args=(wire,))
            self._threads.append(thread)
            thread.start()

    def _play(self, wire: Wire) -> None:
        try:
            self.script(self, wire)
        except (OSError, EOFError, ValueError) as error:
            self.errors.append(error)  # the proxy closed in the middle: some tests want just that
        finally:
            wire.close()

    def close(self) -> None:
        """Stop listening and cut all connections."""
        self.go.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._accepting.join()
        for wire in self._wires:
            with contextlib.suppress(OSError):
                wire.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


def answers(*parts: bytes, close: bool = False) -> Script:
    """A script that sends the same bytes to each request, whatever it was."""

    def script(instance: Instance, wire: Wire) -> None:
        while (head := wire.head()) is not None:
            instance.heads.append(head)
            instance.bodies.append(wire.body(head)[0])
            for part in parts:
                wire.send(part)
            if close:
                return

    return script


class Stage:
    """A proxy and the instances behind it; leaves nothing behind."""

    def __init__(self, **options: Any) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self.listener.getsockname()
        self.proxy = Proxy(self.listener, chance=random.Random(7), **options)
        self.instances: list[Instance] = []
        self.wires: list[Wire] = []
        self.proxy.start()

    def instance(self, name: str = "one", script: Script = polite, port: int = 0) -> Instance:
        """One more instance."""
        instance = Instance(name, script, port)
        self.instances.append(instance)
        return instance

    def serve(self, script: Script = polite, count: int = 1, **options: Any) -> list[Instance]:
        """Service `hello`, with instances that follow the script; `options` are fields of `Service`."""
        instances = [self.instance(f"hello-{number}", script) for number in range(count)]
        self.route(*(one.target() for one in instances), **options)
        return instances

    def route(self, *targets: Target, expected: bool = False, **options: Any) -> None:
        """Make these the targets of `hello`, the only service."""
        self.proxy.apply({"hello": Service("hello", targets, expected, **options)})

    def wire(self) -> Wire:
        """A new client connection."""
        wire = Wire(socket.create_connection(self.address))
        self.wires.append(wire)
        return wire

    def open(self) -> int:
        """Requests that are open, held ones too."""
        return sum(stats.in_flight for stats in self.proxy.stats().values())

    def ask(self, request: bytes = b"GET / HTTP/1.1\r\nHost: hello\r\n\r\n", method: str = "GET") -> Reply:
        """Ask on a connection of its own."""
        with self.wire() as wire:
            return wire.ask(request, method)

    def close(self) -> None:
        """Stop all."""
        for wire in self.wires:
            wire.close()
        for instance in self.instances:
            instance.go.set()
        self.proxy.stop(5.0)
        for instance in self.instances:
            instance.close()


def open_sockets() -> set[int]:
    """The descriptors of this process's TCP sockets."""
    return {one.fd for one in psutil.Process().net_connections("tcp")}


@contextlib.contextmanager
def staged(**options: Any) -> Iterator[Stage]:
    """A stage that must leave no thread and no socket behind."""
    threads, sockets = set(threading.enumerate()), open_sockets()
    stage = Stage(**options)
    try:
        yield stage
    finally:
        stage.close()
    assert set(threading.enumerate()) <= threads
    assert open_sockets() <= sockets
