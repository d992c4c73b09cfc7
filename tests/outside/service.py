"""A service as people write them, on the standard library's server, and a balancer before it."""

from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.actors.test_proxy_kit import Stage
from tucano.actors.proxy import Service, Target

BLOCK = b"0123456789abcdef" * 1024


def payload(size: int) -> bytes:
    """So many bytes, always the same."""
    return (BLOCK * (size // len(BLOCK) + 1))[:size]


class Handler(BaseHTTPRequestHandler):
    """`/echo` answers what it got; `/large/N`, `/chunks/N` and `/end/N` send N bytes, framed in the three ways."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """See the class."""
        kind, _, size = self.path[1:].partition("/")
        match kind:
            case "echo":
                self._say(str(self.headers).encode())
            case "large":
                self._say(payload(int(size)))
            case "chunks":
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.send_header("Trailer", "X-Sum")
                self.end_headers()
                body = payload(int(size))
                for start in range(0, len(body), 5000):
                    piece = body[start : start + 5000]
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.wfile.write(b"0\r\nX-Sum: %s\r\n\r\n" % size.encode())
            case "end":
                self.send_response(200)
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(payload(int(size)))
            case "gzip":
                self._say(gzip.compress(b"squeezed"), ("Content-Encoding", "gzip"))
            case "redirect":
                self.send_response(302)
                self.send_header("Location", "/large/5")
                self.send_header("Content-Length", "0")
                self.end_headers()
            case "page":
                self._say((Path(__file__).parent / "page.html").read_bytes(), ("Content-Type", "text/html"))
            case _:
                self.send_error(404)

    def do_HEAD(self) -> None:
        """The head of the same."""
        self.do_GET()

    def do_POST(self) -> None:
        """Echo, or keep what is reported."""
        body = self._body()
        if self.path == "/report":
            self.server.reports.append(body.decode())
        self._say(body)

    def do_PUT(self) -> None:
        """The same."""
        self.do_POST()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") is None:
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline() != b"\r\n":  # trailers
            pass
        return body

    def _say(self, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(200)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """The service.

    Attributes:
        reports: What was posted to `/report`.
    """

    daemon_threads = False
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reports: list[str] = []


@contextlib.contextmanager
def http_service() -> Iterator[Server]:
    """The service in threads."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def balanced(ports: dict[str, int]) -> Iterator[int]:
    """A balancer before services, one instance each, by name and port; its own port."""
    stage = Stage()
    try:
        stage.proxy.apply(
            {
                name: Service(name, (Target(f"{name}-1", "127.0.0.1", port, ready=True),), expected=False)
                for name, port in ports.items()
            }
        )
        yield stage.address[1]
    finally:
        stage.close()
