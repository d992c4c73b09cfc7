"""The same promise, kept by the real proxy over real sockets: what comes out is what its parsers said, and no more."""

from __future__ import annotations

import contextlib
import random
import re
import socket
from collections.abc import Iterator

from tests.actors.test_proxy_kit import Instance, Stage, Wire, until
from tests.outside import model
from tests.outside.differential import Differs
from tucano.actors.proxy.rules import Refused

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) [A-Z]")
_ABOUT_CLIENT = b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\r\n"
_MADE_ID = re.compile(rb"X-Request-Id: [0-9a-f]{28}\r\n")
_ASK = b"%b / HTTP/1.1\r\nHost: hello\r\n\r\n"


class Recorder:
    """An instance that keeps the bytes of each request that it read to its end, and answers it."""

    def __init__(self) -> None:
        self.came: list[bytes] = []
        self.answer: bytes | None = None  # sent instead, and then the connection is closed

    def __call__(self, instance: Instance, wire: Wire) -> None:
        """Serve a connection."""
        data = b""
        while piece := wire.file.read1(1 << 16):
            data += piece
            while data:
                read = model.requests(data)  # of what came through; its whole is compared afterwards
                if not read.asked:
                    break
                first = read.asked[0]
                if self.answer is not None:
                    wire.send(self.answer)
                    return
                self.came.append(first.raw)
                data = data[len(first.raw) :]
                wire.send(_OK[:-2] if first.method == b"HEAD" else _OK)
        if data:
            self.came.append(b"cut: " + data)


class Sockets:
    """A proxy with one recording instance, and messages of a grammar that are sent through it.

    Args:
        stage: The proxy.
        chance: How the bytes are cut into pieces.
    """

    def __init__(self, stage: Stage, chance: random.Random) -> None:
        self._stage = stage
        self._chance = chance
        self._recorder = Recorder()
        stage.serve(self._recorder)

    def requests(self, data: bytes) -> None:
        """Send a client's bytes, cut anywhere; compare what reached the instance and what was answered.

        Raises:
            Differs: Something else came than the parsers say.
        """
        recorder = self._recorder
        recorder.came = []
        statuses = [int(found) for found in _STATUS.findall(self._talk(data))]
        expected = model.requests(data)
        whole = [onward(asked) for asked in expected.asked if asked.service == "hello"]
        said: list[int] = [200 if asked.service == "hello" else 404 for asked in expected.asked]
        if expected.refused is not None:
            said.append(expected.refused.status)
            if statuses[-1:] == [400]:
                said[-1] = 400  # a beginning that was broken already, before the rest of it came
        came = [one for one in map(_without_id, list(recorder.came)) if not one.startswith(b"cut: ")]
        if 404 in statuses:  # said before the body came, or after it, which may have been refused
            first = statuses.index(404)
            matches = came == whole[: len(came)] and statuses[:first] == said[:first]
        else:
            matches = came == whole and statuses == said
        if not matches:
            raise Differs(f"{came!r}, {statuses}\ninstead of {whole!r}, {said}\nof {data!r}")

    def answer(self, data: bytes, method: bytes) -> None:
        """Let the instance answer with these bytes and close; compare what reached the client.

        Raises:
            Differs: Something else came than the parsers say.
        """
        self._recorder.answer = data
        try:
            came = self._talk(_ASK % method)
            (backend,) = self._stage.proxy._serving.result().table.backends()
            until(lambda: not backend.connections)  # else the next request may meet this one's end
        finally:
            self._recorder.answer = None
        try:
            expected = model.answer(data, method)
        except Refused:
            expected = None
        tail = _without_id(came.replace(b"X-Tucano-Instance: hello-0\r\n", b""))
        if expected is not None:
            matches = tail == expected.interim + expected.onward
        else:  # nothing that a strict reader takes for a whole answer of the instance
            matches = b"HTTP/1.1 502 " in came or not whole(tail, method)
        if not matches:
            raise Differs(f"{came!r}\ninstead of {expected!r}\nof {data!r}")

    def _talk(self, data: bytes) -> bytes:
        """Send in pieces, say that this is all, read to the end."""
        came = b""
        with contextlib.closing(socket.create_connection(self._stage.address)) as sock:
            sock.settimeout(20)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(OSError):  # it has heard enough, and cut
                for piece in self._pieces(data):
                    sock.sendall(piece)
                sock.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while piece := sock.recv(1 << 16):
                    came += piece
        return came

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        cuts = sorted(self._chance.randrange(len(data) + 1) for _ in range(self._chance.randrange(4)))
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            yield data[start:end]


def _without_id(message: bytes) -> bytes:
    return _MADE_ID.sub(b"", message)


def onward(asked: model.Asked) -> bytes:
    """A request as the instance must get it, with the lines about the client."""
    head, _, body = asked.onward.partition(b"\r\n\r\n")
    return head + b"\r\n" + _ABOUT_CLIENT + body


def whole(data: bytes, method: bytes) -> bool:
    """Whether a strict reader takes the bytes for a whole answer that does not end with the connection."""
    try:
        read = model.answer(data, method)
    except Refused:
        return False
    return read is not None and not read.until_close
