"""Certificates in a home: what is kept, what is refused, what is told."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.certs import make, needs_openssl
from tests.tucano.test_cli import data, good, tucano
from tucano.certs import CertError, Certs, examine
from tucano.home import Home

pytestmark = needs_openssl


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make(tmp_path_factory.mktemp("pair"), "www.example.org", "*.wild.org")


def test_a_pair_is_kept_where_only_its_owner_can_read_it(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    home = tmp_path / "home"
    added = data(home, "tls", "add", "WWW.example.org", "--cert", pair[0], "--key", pair[1])
    assert added["host"] == "www.example.org"
    assert added["names"] == ["www.example.org", "*.wild.org"]
    assert added["until"] == pytest.approx(time.time() + 30 * 86_400, abs=3600)
    for path in (home / "tls").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)
    assert (home / "tls").stat().st_mode & 0o777 == 0o700
    for host in ("*.wild.org", "default"):
        good(home, "tls", "add", host, "--cert", pair[0], "--key", pair[1])
    assert [one["host"] for one in data(home, "tls", "list")["certificates"]] == [
        "*.wild.org", "default", "www.example.org",
    ]  # fmt: skip
    assert "www.example.org, *.wild.org" in good(home, "tls", "list")
    good(home, "tls", "remove", "default")
    assert len(data(home, "tls", "list")["certificates"]) == 2


@pytest.mark.parametrize("host", ["", "a b", "*", "*.*.org", "a.*.org", "../up", ".", "..", "a..b", "-a.org", "ä.org"])
def test_a_host_that_cannot_be_is_refused(tmp_path: Path, pair: tuple[Path, Path], host: str) -> None:
    with pytest.raises(CertError, match="HOST is a DNS name"):
        Certs(Home(tmp_path)).add(host, *pair)
    assert not Home(tmp_path).tls.exists()


def test_files_that_cannot_be_used_are_refused_with_what_is_wrong(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    _, other = make(tmp_path / "other", "www.example.org")
    text, locked = tmp_path / "text.pem", tmp_path / "locked.pem"
    text.write_text("nonsense")
    command = ["openssl", "pkey", "-in", str(pair[1]), "-aes128", "-passout", "pass:x", "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    for cert, key, said in (
        (pair[0], other, "do not belong together"),
        (text, pair[1], "is no PEM file"),
        (pair[0], text, "is no PEM file"),
        (pair[0], locked, "has a password"),
        (pair[0], tmp_path / "absent", "cannot be read: No such file"),
    ):
        done = tucano(tmp_path / "home", "tls", "add", "www.example.org", "--cert", cert, "--key", key)
        assert done.returncode == 1
        assert said in done.stderr
    assert not (tmp_path / "home" / "tls").exists()


def test_what_clients_will_not_accept_is_kept_with_a_warning(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    home = tmp_path / "home"
    old = make(tmp_path / "old", "www.example.org", days=-1)
    for host, files, said in (("www.example.org", old, "has expired"), ("other.org", pair, "Hostname mismatch")):
        done = tucano(home, "tls", "add", host, "--cert", files[0], "--key", files[1])
        assert done.returncode == 0
        assert said in done.stderr
    assert [one["trouble"] for one in data(home, "tls", "list")["certificates"]] == [
        "Hostname mismatch, certificate is not valid for 'other.org'", "it has expired",
    ]  # fmt: skip
    assert examine("default", *pair).trouble == ""


def test_a_host_that_is_not_there_cannot_be_removed(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    done = tucano(tmp_path, "tls", "remove", "www.example.org")
    assert done.returncode == 1
    assert "there are: none" in done.stderr
    Certs(Home(tmp_path)).add("www.example.org", *pair)
    (Home(tmp_path).tls / "www.example.org" / "key.pem").write_text("spoilt")
    assert "no PEM" in data(tmp_path, "tls", "list")["certificates"][0]["trouble"]
    with pytest.raises(CertError, match=r"there are: www\.example\.org"):
        Certs(Home(tmp_path)).remove("../tls")


def test_a_redirect_without_tls_is_wrong_usage(tmp_path: Path) -> None:
    done = tucano(tmp_path, "up", "--https-redirect")
    assert done.returncode == 2
    assert "--https-port" in done.stderr


@pytest.mark.skipif(not shutil.which("curl"), reason="asks with curl, which is absent")
def test_a_cluster_with_tls_and_a_redirect_is_what_curl_follows(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    home = tmp_path / "home"
    good(home, "tls", "add", "www.example.org", "--cert", pair[0], "--key", pair[1])
    up = data(
        home, "up", "--detach", "--workers", 1, "--port", 0, "--https-port", 0, "--https-redirect", "--inside-port", 0
    )
    try:
        assert all(up[port] for port in ("http_port", "https_port", "inside_port"))
        command = [
            "curl", "-sSL", "--http1.1", "--noproxy", "*", "--cacert", str(pair[0]), "-w", "%{url_effective}",
            "--resolve", f"www.example.org:{up['http_port']}:127.0.0.1",
            "--resolve", f"www.example.org:{up['https_port']}:127.0.0.1",
            f"http://www.example.org:{up['http_port']}/x",
        ]  # fmt: skip
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        assert "404 Not Found: no service is called www" in done.stdout
        assert done.stdout.endswith(f"https://www.example.org:{up['https_port']}/x")
        found = data(home, "status")
        assert found["https_port"] == up["https_port"]
    finally:
        good(home, "down")
