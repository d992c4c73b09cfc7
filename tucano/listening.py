"""Listening sockets, and who has a port that cannot be had."""

from __future__ import annotations

import contextlib
import ipaddress
import socket

import psutil

LOOPBACK = "127.0.0.1"


class CannotListen(Exception):
    """An address or a port cannot be had; the text says why and what to do."""


def resolve(host: str) -> str:
    """The IPv4 address that a host's name stands for, as other machines are to call it.

    Raises:
        CannotListen: there is none, or it names no particular machine.

    """
    try:
        found = socket.gethostbyname(host)
    except OSError as error:
        raise CannotListen(f"{host!r} is no IPv4 address or known name ({error.strerror})") from error
    if ipaddress.ip_address(found).is_unspecified:
        raise CannotListen(f"{host} is every address: name the one by which other machines reach this one")
    return found


def listen_many(host: str, port: int, option: str, many: int) -> list[socket.socket]:
    """So many listening sockets at one port, which share its connections (SO_REUSEPORT); see `listen`.

    Raises:
        CannotListen: see `listen`.

    """
    if many < 2:
        return [listen(host, port, option) for _ in range(many)]
    listen(host, port, option).close()  # nobody has it: with the others' SO_REUSEPORT we would share it unasked
    first = listen(host, port, option, shared=True)
    port = int(first.getsockname()[1])
    return [first, *(listen(host, port, option, shared=True) for _ in range(1, many))]


def listen(host: str, port: int, option: str, *, shared: bool = False) -> socket.socket:
    """A listening socket.

    Args:
        host: IPv4 address.
        port: TCP port, 0 for any free one.
        option: of a command (`--port`) or key in `tucano.toml` by which another port can be chosen, for the error.
        shared: let other sockets of this user listen at the same port.

    Raises:
        CannotListen: it cannot be had; says who has it, as far as this user may know.

    """
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
    try:
        listening.bind((host, port))
        listening.listen(4096)
    except OSError as error:
        listening.close()
        if not _is_here(host):
            raise CannotListen(f"{host} is no address of this machine ({error.strerror})") from error
        any_free = ", or 0 for any free one" if option.startswith("--") else ""
        raise CannotListen(
            f"port {port} {_whose(port)} ({error.strerror}): choose another with {option}{any_free}"
        ) from error
    return listening


def _is_here(host: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


def _whose(port: int) -> str:
    """Who has a port, as far as this user may know."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            if connection.pid is None:
                return "is in use by another user's process"
            with contextlib.suppress(psutil.Error):  # it ended meanwhile, or may not be looked at
                name = psutil.Process(connection.pid).name()  # its arguments may hold another's secrets
                return f"is in use by process {connection.pid} ({name})"
            return f"is in use by process {connection.pid}"
    return "cannot be had"
