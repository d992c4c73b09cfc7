"""Certificates that tests make, by the machine's own openssl."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(
    not shutil.which("openssl"), reason="makes certificates with openssl, which is absent"
)


def make(directory: Path, *names: str, days: int = 30) -> tuple[Path, Path]:
    """A self-signed certificate for these names, and its key; with negative `days` it has expired.

    Returns:
        The paths of `cert.pem` and `key.pem` in the directory.

    """
    directory.mkdir(parents=True, exist_ok=True)
    cert, key, request = (directory / name for name in ("cert.pem", "key.pem", "request.pem"))
    alternatives = "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(key)]
    what = ["-subj", f"/CN={names[0]}", "-addext", alternatives]
    _openssl("req", *new, *what, "-out", str(request), "-new")
    _openssl(
        "x509", "-req", "-in", str(request), "-signkey", str(key), "-copy_extensions", "copy", "-days", str(days),
        "-out", str(cert),
    )  # fmt: skip
    request.unlink()
    return cert, key


def trusting(*certs: Path) -> ssl.SSLContext:
    """A client's context that trusts these and no others."""
    made = ssl.create_default_context()
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for cert in certs:
        made.load_verify_locations(cafile=cert)
    return made


def tls(address: tuple[str, int], host: str | None, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A TLS connection to `address` that asks for `host`."""
    raw = socket.create_connection(address, timeout=10)
    try:
        return context.wrap_socket(raw, server_hostname=host)
    except BaseException:
        raw.close()
        raise


def number(connection: ssl.SSLSocket) -> str:
    """The serial number of the certificate that the other side showed."""
    shown = connection.getpeercert()
    assert shown is not None
    return str(shown["serialNumber"])


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)
