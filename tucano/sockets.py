"""The listening sockets of tcp services: the parent holds them, balancers ask it for them.

So they outlive a balancer: who connects while it is being replaced waits in the socket's queue. Balancers ask at a Unix
socket in the home, which only this user may use: one request, one answer, each a message of msgpack; the socket itself
comes along (SCM_RIGHTS, unix(7)).

| request | answer |
|---|---|
| `{what: "listen", who, host, port}` | `{why: ""}` and the socket, the same one whoever asks; or why not |
| `{what: "keep", who, ports}` | `{why: ""}`; what `who` has asked for beyond these, and nobody else has, is closed |
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import socket
import struct
import threading
from collections.abc import Collection, Iterator
from typing import Annotated

import msgspec

from tucano.home import Home
from tucano.listening import CannotListen, listen

log = logging.getLogger("tucano.sockets")

PATIENCE = 5.0
"""Seconds that either side waits for the other."""

_MAX_REQUEST = 65_536

_Who = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]


class Listen(msgspec.Struct, frozen=True, tag_field="what", tag="listen", forbid_unknown_fields=True):
    """Who wants a listening socket, and where."""

    who: _Who
    host: str
    port: _Port


class Keep(msgspec.Struct, frozen=True, tag_field="what", tag="keep", forbid_unknown_fields=True):
    """Who wants which ports, and no others."""

    who: _Who
    ports: tuple[_Port, ...]


class Answer(msgspec.Struct, frozen=True):
    """Why not; empty if it is done."""

    why: str = ""


class SocketKeeper:
    """The parent's side, in a thread of its own.

    Args:
        home: in which it is asked.

    """

    def __init__(self, home: Home) -> None:
        self._held: dict[tuple[str, int], tuple[socket.socket, set[str]]] = {}
        home.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home.path / NAME).unlink(missing_ok=True)  # of a parent that was killed: the home is ours
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with _address(home) as address:
            self._door.bind(address)
        (home.path / NAME).chmod(0o600)
        self._door.listen()
        self._thread = threading.Thread(target=self._run, name="tucano-sockets", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let go of everything."""
        self._door.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._door.close()
        for listening, _ in self._held.values():
            listening.close()

    def _run(self) -> None:
        while True:
            try:
                asker, _ = self._door.accept()
            except OSError:
                return  # closed
            with asker:
                asker.settimeout(PATIENCE)
                try:
                    self._answer(asker)
                except OSError as error:
                    log.warning("who asked for a socket has gone: %s", error)

    def _answer(self, asker: socket.socket) -> None:
        _, user, _ = struct.unpack("3i", asker.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
        found: list[socket.socket] = []
        if user != os.getuid():
            answer = Answer(f"this is asked by user {user}, and answered to user {os.getuid()} alone")
        else:
            try:
                request = msgspec.msgpack.decode(asker.recv(_MAX_REQUEST), type=Listen | Keep)
                if isinstance(request, Listen):
                    found.append(self._listen(request))
                else:
                    self._keep(request)
                answer = Answer()
            except (CannotListen, msgspec.MsgspecError, ValueError) as error:
                answer = Answer(str(error))
        socket.send_fds(asker, [msgspec.msgpack.encode(answer)], [one.fileno() for one in found])

    def _listen(self, wanted: Listen) -> socket.socket:
        key = str(ipaddress.ip_address(wanted.host)), wanted.port
        if key not in self._held:
            self._held[key] = listen(*key, "route.port"), set()
        listening, holders = self._held[key]
        holders.add(wanted.who)
        return listening

    def _keep(self, wanted: Keep) -> None:
        for key, (listening, holders) in list(self._held.items()):
            if key[1] not in wanted.ports:
                holders.discard(wanted.who)
            if not holders:
                del self._held[key]
                listening.close()


class ParentSockets:
    """A balancer's side; see `tucano.actors.proxy.tcp.Sockets`.

    Args:
        home: whose parent is asked.
        who: the balancer's name.
        host: where it listens.

    """

    def __init__(self, home: Home, who: str, host: str) -> None:
        self._home = home
        self._who = who
        self._host = host

    def listen(self, port: int) -> socket.socket:
        """The listening socket at a port, of which this process has a copy of its own.

        Raises:
            OSError: it cannot be had; the text says who has it, as far as this user may know.

        """
        found = self._ask(Listen(self._who, self._host, port))
        if not found:
            raise OSError(f"cannot listen at {port}: the parent has sent no socket")
        for descriptor in found[1:]:
            os.close(descriptor)
        return socket.socket(fileno=found[0])

    def keep(self, ports: Collection[int]) -> None:
        """Give back what was asked for, by us or by an earlier balancer of our name, beyond these ports.

        Raises:
            OSError: the parent cannot be asked.

        """
        self._ask(Keep(self._who, tuple(ports)))

    def _ask(self, request: Listen | Keep) -> list[int]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as parent:
            parent.settimeout(PATIENCE)
            try:
                with _address(self._home) as address:
                    parent.connect(address)
                parent.send(msgspec.msgpack.encode(request))
                data, descriptors, _, _ = socket.recv_fds(parent, _MAX_REQUEST, 1, socket.MSG_CMSG_CLOEXEC)
            except OSError as error:
                raise OSError(f"cannot ask the parent for a socket, at {self._home.path / NAME}: {error}") from error
        why = msgspec.msgpack.decode(data, type=Answer).why if data else "the parent did not answer"
        if why:
            raise OSError(f"cannot listen: {why}" if isinstance(request, Listen) else why)
        return descriptors


NAME = "sockets"
"""The Unix socket in the home."""


@contextlib.contextmanager
def _address(home: Home) -> Iterator[str]:
    """Its address, which is bounded to 107 bytes (unix(7)), while a home's path is not: so by a descriptor."""
    folder = os.open(home.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{NAME}"
    finally:
        os.close(folder)
