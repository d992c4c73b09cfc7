"""The front with TLS: real handshakes, whose certificates the test has made."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actors.test_proxy_kit import Instance, Stage, Wire, answers, staged, until
from tests.certs import make, needs_openssl, number, tls, trusting
from tucano.actors.proxy import Certificates, Secure, Timeouts
from tucano.actors.proxy.head import Heads
from tucano.actors.proxy.redirect import secure_url

pytestmark = needs_openssl
GET = b"GET / HTTP/1.1\r\nHost: hello.example.org\r\n\r\n"
HOSTS = {"hello.example.org": ["hello.example.org"], "*.wild.org": ["*.wild.org"], "default": ["other.net"]}


class Secured:
    """A stage with a TLS front and an inside front."""

    def __init__(self, path: Path, stage: Stage, listener: socket.socket, certificates: Certificates) -> None:
        self.path = path
        self.stage = stage
        self.address: tuple[str, int] = listener.getsockname()
        self.certificates = certificates
        self.trust = trusting(*path.glob("*/cert.pem"))

    def wire(self, host: str | None = "hello.example.org") -> Wire:
        """A new TLS connection."""
        wire = Wire(tls(self.address, host, self.trust))
        self.stage.wires.append(wire)
        return wire


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls")
    for host, names in HOSTS.items():
        make(path / host, *names)
    return path


@pytest.fixture(params=[False], ids=[""])
def secured(kept: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Secured]:
    path = tmp_path / "tls"
    shutil.copytree(kept, path)
    certificates = Certificates(path)
    assert certificates.look() == []
    listener = socket.create_server(("127.0.0.1", 0))
    secure = Secure(listener.dup(), certificates, redirect=request.param)
    with listener, staged(secure=secure, access_log=tmp_path / "log") as stage:
        yield Secured(path, stage, listener, certificates)


redirecting = pytest.mark.parametrize("secured", [True], indirect=True, ids=["redirecting"])


def test_a_request_over_tls_is_told_to_be_one(secured: Secured) -> None:
    (one,) = secured.stage.serve()
    spoofed = (
        b"GET / HTTP/1.1\r\nHost: hello.example.org:8443\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-Proto: ws\r\n\r\n"
    )
    with secured.wire() as wire:
        assert isinstance(wire.sock, ssl.SSLSocket)
        assert wire.sock.selected_alpn_protocol() is None
        for _ in range(3):
            assert wire.ask(spoofed).status == 200
    assert secured.stage.ask(spoofed).status == 200
    for head, proto in ((one.heads[0], b"https"), (one.heads[3], b"http")):
        assert head.value(b"x-forwarded-proto") == proto
        assert head.value(b"x-forwarded-for") == b"127.0.0.1"
        assert head.value(b"forwarded") == b'host="hello.example.org:8443";for=127.0.0.1;proto=%b' % proto


def test_the_name_that_the_client_says_chooses_the_certificate(secured: Secured, tmp_path: Path) -> None:
    shown = {}
    for host in ("hello.example.org", "a.wild.org", "HELLO.example.org"):
        with secured.wire(host) as wire:
            assert isinstance(wire.sock, ssl.SSLSocket)
            shown[host] = number(wire.sock)
    assert shown["hello.example.org"] == shown["HELLO.example.org"] != shown["a.wild.org"]
    with secured.wire("other.net"):
        pass  # the default's own name
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        secured.wire("a.b.wild.org")  # a wildcard stands for one label
    shutil.rmtree(secured.path / "default")
    assert secured.certificates.look() == []
    with pytest.raises(ssl.SSLError):
        secured.wire("other.net")
    until(lambda: "(TLS handshake: no certificate for that host)" in (tmp_path / "log").read_text())


def test_old_versions_of_tls_are_refused_and_alpn_is_http_1(secured: Secured) -> None:
    secured.stage.serve()
    secured.trust.set_alpn_protocols(["h2", "http/1.1"])
    with secured.wire() as wire:
        assert isinstance(wire.sock, ssl.SSLSocket)
        assert wire.sock.selected_alpn_protocol() == "http/1.1"
        assert wire.sock.version() == "TLSv1.3"
        assert wire.ask(GET).status == 200
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        secured.trust.minimum_version = secured.trust.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        secured.wire()


def test_large_bodies_go_both_ways(secured: Secured) -> None:
    (one,) = secured.stage.serve()
    body = os.urandom(3_000_000)
    with secured.wire() as wire:
        head = b"POST / HTTP/1.1\r\nHost: hello.example.org\r\nContent-Length: %d\r\n\r\n" % len(body)
        answer = wire.ask(head + body)
        assert answer.body.endswith(body)
        assert wire.ask(GET).status == 200
    assert one.bodies[0] == body


def test_an_answer_that_closes_ends_with_a_goodbye(secured: Secured) -> None:
    secured.stage.serve()
    with secured.wire() as wire:
        assert wire.ask(b"GET / HTTP/1.1\r\nHost: hello\r\nConnection: close\r\n\r\n").status == 200
        assert wire.closed()  # an end without it would be an error of the socket
    with secured.wire() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: absent\r\nContent-Length: 500000\r\n\r\n" + b"x" * 100_000)
        assert wire.reply().status == 404
        assert wire.closed()
    until(lambda: not secured.stage.open())


def test_who_reads_slowly_gets_all_of_a_last_answer(kept: Path, tmp_path: Path) -> None:
    body = os.urandom(2_000_000)
    certificates = Certificates(kept)
    certificates.look()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        secure = Secure(listener.dup(), certificates)
        with staged(secure=secure, timeouts=Timeouts(linger=0.01)) as stage:
            stage.serve(answers(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body))
            trust = trusting(kept / "hello.example.org" / "cert.pem")
            with Wire(tls(listener.getsockname(), "hello.example.org", trust)) as wire:
                wire.send(b"GET / HTTP/1.1\r\nHost: hello\r\nConnection: close\r\n\r\n")
                assert wire.head() is not None
                got, pause = b"", threading.Event()
                while data := wire.file.read(100_000):
                    got += data
                    pause.wait(0.01)  # a slow reader
                assert got == body


def test_a_websocket_is_a_tunnel_over_tls_too(secured: Secured) -> None:
    def echo(instance: Instance, wire: Wire) -> None:
        instance.heads.append(wire.head())  # type: ignore[arg-type]
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
        while data := wire.file.read1(65_536):
            if data.endswith(b"bye"):
                wire.send(data)
                return
            wire.send(data)

    (one,) = secured.stage.serve(echo)
    asked = b"GET / HTTP/1.1\r\nHost: hello\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    for last in (b"bye", b""):  # the instance ends the tunnel, the client does
        with secured.wire() as wire:
            wire.send(asked)
            head = wire.head()
            assert head is not None
            assert head.first.startswith(b"HTTP/1.1 101")
            wire.send(b"x" * 100_000)
            assert wire.exactly(100_000) == b"x" * 100_000
            wire.send(last)
            if last:
                assert wire.exactly(3) == last
                assert wire.closed()
        until(lambda: not secured.stage.open())
    assert one.heads[0].value(b"x-forwarded-proto") == b"https"


def test_plain_http_at_the_tls_port_and_tls_at_the_plain_one_are_closed_and_logged(
    secured: Secured, tmp_path: Path
) -> None:
    secured.stage.serve()
    with Wire(socket.create_connection(secured.address)) as wire:
        wire.send(GET)
        assert wire.closed()
    with pytest.raises(ssl.SSLError):
        tls(secured.stage.address, "hello.example.org", secured.trust)
    with secured.wire() as wire:
        assert wire.ask(GET).status == 200  # others are not touched
    until(lambda: len((tmp_path / "log").read_text().splitlines()) == 3)
    plain, strange, good = (tmp_path / "log").read_text().splitlines()
    assert '"(TLS handshake: plain HTTP, at the port with TLS)" 400' in plain
    assert '"(TLS, at the port without it)" 400' in strange
    assert '"GET / HTTP/1.1" 200' in good


def test_who_says_nothing_holds_up_nobody_and_is_cut_at_the_end(secured: Secured) -> None:
    secured.stage.serve()
    with Wire(socket.create_connection(secured.address)) as silent, secured.wire() as wire:
        assert wire.ask(GET).status == 200
        wire.close()
        secured.stage.proxy.stop(0.1)
        assert silent.closed()


def test_a_handshake_that_takes_too_long_is_closed_and_logged(kept: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        secure = Secure(listener.dup(), Certificates(kept))
        with staged(secure=secure, access_log=tmp_path / "log", timeouts=Timeouts(handshake=0.2)):
            with Wire(socket.create_connection(listener.getsockname())) as silent:
                assert silent.closed()
            until(lambda: "TLS handshake: SSL handshake is taking longer" in (tmp_path / "log").read_text())


def test_a_handshake_that_is_under_way_at_the_end_may_still_ask(secured: Secured) -> None:
    secured.stage.serve()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = secured.trust.wrap_bio(incoming, outgoing, server_hostname="hello.example.org")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with socket.create_connection(secured.address, timeout=10) as raw:
        raw.sendall(outgoing.read())
        incoming.write(raw.recv(65_536))
        stopping = threading.Thread(target=secured.stage.proxy.stop, args=(5.0,))
        stopping.start()
        until(lambda: not _accepts(secured.stage.address))
        client.do_handshake()
        client.write(GET)
        raw.sendall(outgoing.read())
        answer = b""
        while b"Connection: close" not in answer:
            try:
                answer += client.read(65_536)
            except ssl.SSLWantReadError:
                incoming.write(raw.recv(65_536))
    stopping.join()
    assert b" 200 " in answer


def _accepts(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_certificate_that_changes_is_for_new_handshakes_and_kept_connections_go_on(secured: Secured) -> None:
    secured.stage.serve()
    with secured.wire() as kept:
        assert kept.ask(GET).status == 200
        assert isinstance(kept.sock, ssl.SSLSocket)
        make(secured.path / "hello.example.org", "hello.example.org")
        assert secured.certificates.look() == []
        secured.trust = trusting(secured.path / "hello.example.org" / "cert.pem")
        with secured.wire() as new:
            assert isinstance(new.sock, ssl.SSLSocket)
            assert number(new.sock) != number(kept.sock)
            assert new.ask(GET).status == 200
        assert kept.ask(GET).status == 200


def test_a_pair_that_does_not_match_leaves_the_one_before_in_use_and_is_told_of_once(
    secured: Secured, tmp_path: Path
) -> None:
    secured.stage.serve()
    cert, _ = make(tmp_path / "other", "hello.example.org")
    there = secured.path / "hello.example.org" / "cert.pem"
    before = there.read_bytes()
    for broken, why in ((cert.read_bytes(), "KEY_VALUES_MISMATCH"), (b"nonsense", "PEM"), (None, "No such file")):
        if broken is None:
            there.unlink()
        else:
            there.write_bytes(broken)
        assert secured.certificates.look() == []  # half a pair may have been written
        ((host, trouble),) = secured.certificates.look()
        assert host == "hello.example.org"
        assert why in trouble
        assert secured.certificates.look() == []
        with secured.wire() as wire:
            assert wire.ask(GET).status == 200
    there.write_bytes(before)
    assert secured.certificates.look() == secured.certificates.look() == []


@redirecting
def test_who_comes_without_tls_is_sent_to_it_if_the_host_has_a_certificate(secured: Secured) -> None:
    (one,) = secured.stage.serve()
    shutil.rmtree(secured.path / "default")
    secured.certificates.look()
    port = secured.address[1]
    ask = b"POST /a/b?c=%%20 HTTP/1.1\r\nHost: %b\r\nContent-Length: 2\r\n\r\nhi"
    with secured.stage.wire() as wire:
        for host, location in (
            (b"hello.example.org:%d" % secured.stage.address[1], b"https://hello.example.org:%d/a/b?c=%%20" % port),
            (b"x.wild.org", b"https://x.wild.org/a/b?c=%20"),
        ):
            answer = wire.ask(ask % host)
            assert answer.status == 308
            assert answer.head.value(b"location") == location
        assert wire.ask(ask % b"hello").status == 200
    assert len(one.heads) == 1
    with secured.wire() as wire:
        assert wire.ask(GET).status == 200


@pytest.mark.parametrize(
    ("host", "port", "secure_port", "url"),
    [
        (b"a.org", 80, 443, b"https://a.org/x"),
        (b"a.org:80", 80, 443, b"https://a.org/x"),
        (b"a.org:8080", 8080, 8443, b"https://a.org:8443/x"),
        (b"a.org", 80, 8443, b"https://a.org:8443/x"),
        (b"a.org", 8080, 8443, b"https://a.org/x"),  # 80 and 443 are mapped to ours
        (b"[::1]:80", 80, 443, None),
    ],
)
def test_where_a_request_is_sent_keeps_host_path_and_the_mapping_of_ports(
    host: bytes, port: int, secure_port: int, url: bytes | None
) -> None:
    head = b"GET /x HTTP/1.1\r\nHost: %b\r\n\r\n" % host
    assert secure_url(Heads().parse(head, len(head) - 4), port, secure_port) == url


def test_the_front_for_the_machines_own_programs_serves(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, staged(inside=listener.dup()) as stage:
        (one,) = stage.serve()
        with Wire(socket.create_connection(listener.getsockname())) as wire:
            assert wire.ask(GET).status == 200
        assert len(one.heads) == 1
