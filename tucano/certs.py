"""Certificates of a home's balancers: which hosts have one, and whether it is any good.

```
HOME/tls/HOST/cert.pem   the chain, the host's own certificate first
HOME/tls/HOST/key.pem    its private key
```

HOST is exact, `*.DOMAIN` (which stands for one label), or `default`. Directories have mode 700, files 600. Balancers
look at them each second (`actors/proxy/certificates.py`): nothing has to be restarted.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import ssl
from pathlib import Path

import msgspec

from tucano.actors.proxy.certificates import DEFAULT, load
from tucano.home import Home, write_atomically

_HOST = re.compile(
    r"(?=.{1,253}\Z)(\*\.)?[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_NOT_YET = 9  # X509_V_ERR_CERT_NOT_YET_VALID


class CertError(Exception):
    """A certificate that cannot be used; the text says why, and what to do."""


class Cert(msgspec.Struct, frozen=True):
    """A host's certificate.

    Attributes:
        host: exact, `*.DOMAIN` or `default`.
        names: the DNS names that it is for; empty if it is not valid.
        until: when it expires, seconds since the epoch; None if it is not valid.
        trouble: why clients will not accept it, whoever signed it; empty if they will.

    """

    host: str
    names: list[str] = []
    until: float | None = None
    trouble: str = ""


class Certs:
    """The certificates of one home.

    Args:
        home: whose.

    """

    def __init__(self, home: Home) -> None:
        self.path = home.tls

    def add(self, host: str, cert: Path, key: Path) -> Cert:
        """Keep a certificate and its key for a host, in place of the ones before.

        Raises:
            CertError: a host that cannot be, or files that cannot be used, or do not match.

        """
        host = host.lower()
        if not _HOST.fullmatch(host):
            raise CertError(
                f"HOST is a DNS name, `*.DOMAIN`, or `{DEFAULT}`, not {host!r} (other letters: in punycode)"
            )
        found = examine(host, cert, key)
        place = self.path / host
        for directory in (self.path, place):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            directory.chmod(0o700)
        write_atomically(place / "key.pem", key.read_bytes(), durable=True)
        write_atomically(place / "cert.pem", cert.read_bytes(), durable=True)
        return found

    def list(self) -> list[Cert]:
        """All certificates, by host."""
        found = []
        for place in sorted(self.path.iterdir()) if self.path.exists() else []:
            try:
                found.append(examine(place.name, place / "cert.pem", place / "key.pem"))
            except CertError as error:
                found.append(Cert(place.name, trouble=str(error)))
        return found

    def remove(self, host: str) -> None:
        """Forget a host's certificate.

        Raises:
            CertError: there is none.

        """
        known = [one.host for one in self.list()]
        if host not in known:
            raise CertError(f"no certificate is kept for {host!r}; there are: {', '.join(known) or 'none'}")
        shutil.rmtree(self.path / host)


def examine(host: str, cert: Path, key: Path) -> Cert:
    """Whether a certificate and a key belong together, and what clients will say of it: tried by a handshake in memory.

    Raises:
        CertError: they cannot be used.

    """
    try:
        server = load(cert, key)
        client = ssl.create_default_context()
        client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # whoever signed it
        client.load_verify_locations(cafile=cert)
    except ssl.SSLError as error:
        raise CertError(_in_words(error, cert, key)) from error
    except ValueError as error:
        raise CertError(f"{key}: {error}") from error
    except OSError as error:
        raise CertError(f"{error.filename or f'{cert} or {key}'} cannot be read: {error.strerror}") from error
    client.check_hostname = host != DEFAULT
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asked = host.replace("*", "any", 1) if host != DEFAULT else None
    ends = (client.wrap_bio(there, back, server_hostname=asked), server.wrap_bio(back, there, server_side=True))
    try:
        for end in ends * 2:
            with contextlib.suppress(ssl.SSLWantReadError):  # it is the other end's turn
                end.do_handshake()
    except ssl.SSLCertVerificationError as error:
        return Cert(host, trouble=_refusal(error))
    shown = ends[0].getpeercert() or {}
    names = [str(pair[1]) for pair in shown.get("subjectAltName", ()) if pair[0] == "DNS"]
    return Cert(host, names, float(ssl.cert_time_to_seconds(str(shown["notAfter"]))))


def _in_words(error: ssl.SSLError, cert: Path, key: Path) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{cert} and {key} do not belong together: the key is another certificate's"
    return f"{cert} or {key} is no PEM file of a certificate or a private key ({error.reason or error})"


def _refusal(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _EXPIRED:
        return "it has expired"
    if error.verify_code == _NOT_YET:
        return "it is not valid yet"
    return error.verify_message.removesuffix(".")
