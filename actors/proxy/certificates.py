"""Certificates by host, read from a directory and read again when they change."""

import hashlib
import ssl
from pathlib import Path
from typing import Final

DEFAULT: Final = "default"  # the host whose certificate is shown to who names no other that is known

_FILES: Final = ("cert.pem", "key.pem")


def context() -> ssl.SSLContext:
    """What holds for every host: TLS 1.2 or newer, HTTP/1.1, and no renegotiation, which only attacks use."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_RENEGOTIATION
    made.set_alpn_protocols(["http/1.1"])
    return made


def load(cert: Path, key: Path) -> ssl.SSLContext:
    """A context that proves a host by its certificate chain and private key, both PEM.

    Raises:
        ValueError: The key has a password, which nobody could type.
        OSError: A file cannot be read, is no PEM, or the two do not match (`ssl.SSLError`).
    """

    def ask() -> bytes:
        raise ValueError("the key has a password: give one without, `openssl pkey -in KEY -out PLAIN`")

    made = context()
    made.load_cert_chain(cert, key, password=ask)
    return made


def names(host: str) -> tuple[str, str, str]:
    """The directories that may hold a host's certificate, best first: its own, its domain's wildcard, the default."""
    host = host.lower()
    return host, "*." + host.partition(".")[2], DEFAULT


class Certificates:
    """The certificates of one machine. `look` may be called from any one thread, all else from any.

    Args:
        directory: Holds `HOST/cert.pem` and `HOST/key.pem`; a HOST is exact, `*.DOMAIN` (one label more), or `default`.

    Attributes:
        server: The context to begin a handshake with: it chooses by the name that the client says.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[str, ssl.SSLContext] = {}
        self._read: dict[str, bytes] = {}  # by host: the hash of what is in use
        self._seen: dict[str, tuple[tuple[int, int, int], ...]] = {}  # by host: what its files looked like
        self._refused: dict[str, bytes] = {}  # by host: the hash of what could not be used
        self.server = context()
        self.server.sni_callback = self._choose

    def covers(self, host: str) -> bool:
        """Whether a client that asks for this host is shown a certificate."""
        return self._find(host) is not None

    def look(self) -> list[tuple[str, str]]:
        """Read what has changed. New handshakes get it; connections that are there are not touched.

        What cannot be used leaves in use what was before, and is told of when it is still so at the next look: a pair
        is two files, and may have been read between the writing of the one and of the other.

        Returns:
            Hosts, each with why its certificate cannot be used; each trouble once.
        """
        troubles = []
        there = (
            {path.name for path in self._directory.iterdir() if path.is_dir()} if self._directory.is_dir() else set()
        )
        for host in sorted(there):
            try:
                self._look_at(host)
            except (OSError, ValueError) as error:
                said = hashlib.sha256(f"{self._seen.get(host)} {error}".encode()).digest()
                if self._refused.get(host) == said:
                    troubles.append((host, str(error)))
                    self._refused[host] = b"told" + said
                elif self._refused.get(host) != b"told" + said:
                    self._refused[host] = said
        for known in (self._known, self._read, self._seen, self._refused):
            for host in known.keys() - there:
                del known[host]
        return troubles

    def _look_at(self, host: str) -> None:
        paths = [self._directory / host / name for name in _FILES]
        found = tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in (path.stat() for path in paths))
        if found == self._seen.get(host) and host not in self._refused:
            return
        self._seen[host] = found
        content = hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).digest()
        if content != self._read.get(host):
            self._known[host] = load(*paths)
            self._read[host] = content
        self._refused.pop(host, None)

    def _find(self, host: str) -> ssl.SSLContext | None:
        for name in names(host):
            found = self._known.get(name)
            if found is not None:
                return found
        return None

    def _choose(self, tls: ssl.SSLObject, host: str | None, _: ssl.SSLContext) -> int | None:
        found = self._find(host or DEFAULT)
        if found is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        tls.context = found
        return None
