"""A small web service: a page, a health check, and an end without a lost request."""

import contextlib
import os
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection, in a thread of its own."""

    server: "Server"
    server_version = "hello"
    sys_version = ""
    protocol_version = "HTTP/1.1"  # connections are kept
    timeout = 60  # s; of a client that says nothing
    wbufsize = -1  # head and body leave in one packet ...
    disable_nagle_algorithm = True  # ... at once

    def do_GET(self):
        """The page, the health check, or nothing there."""
        path = self.path.partition("?")[0]
        if path == "/healthz":
            self.answer(200, "ok\n")
        elif path == "/":
            self.answer(200, self.server.page)
        else:
            self.answer(404, f"nothing at {path}\n")

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def answer(self, status, text):
        """One complete answer."""
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        # A body that nobody reads would be taken for the next request.
        if self.server.ending or {"content-length", "transfer-encoding"} & {name.lower() for name in self.headers}:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_request(self, code=0, *_):
        """One line for each request; the health check would fill the log."""
        if "/healthz" not in self.requestline:
            print(f"{self.client_address[0]} {self.requestline!r} {int(code)}", flush=True)

    def log_message(self, template, *args):
        """What http.server has to say about broken requests."""
        print(f"{self.client_address[0]} {template % args!r}", flush=True)


class Server(ThreadingHTTPServer):
    """A server that can end: it answers what was asked, then closes."""

    daemon_threads = False  # so that server_close waits for the open requests
    request_queue_size = 128  # instead of 5: many may knock at once

    def __init__(self, host, port, page):
        """Listen."""
        self.page = page
        self.ending = False
        self.connections = set()
        self.lock = threading.Lock()
        super().__init__((host, port), Handler)

    def server_bind(self):
        """Without HTTPServer's question to the DNS, which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address

    def process_request_thread(self, request, client_address):
        """One connection, from its first request to its end."""
        with self.lock:
            self.connections.add(request)
        try:
            if self.ending:
                hush(request)
            super().process_request_thread(request, client_address)
        finally:
            with self.lock:
                self.connections.discard(request)

    def handle_error(self, request, client_address):
        """A client that went away is no error of ours."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def end(self):
        """Take no more connections; of the open ones, answer what has arrived and no more."""
        self.shutdown()
        self.ending = True
        with self.lock:
            for connection in self.connections:
                hush(connection)


def hush(connection):
    """What has arrived can still be read, then it looks as if the client had said its last."""
    with contextlib.suppress(OSError):  # the client has closed it
        connection.shutdown(socket.SHUT_RD)


def main():
    """Serve until SIGTERM."""
    page = Path("page.txt").read_text(encoding="utf-8")
    page = page.format(
        greeting=os.environ.get("GREETING", "Hello"),
        instance=os.environ.get("TUCANO_INSTANCE", "-"),
        process=os.getpid(),
    )
    server = Server(os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8000")), page)
    # From a thread: `shutdown` waits for the loop, which is just what the signal interrupts.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.end).start())
    print(f"listening on {server.server_name}:{server.server_port}", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    print("ended", flush=True)


if __name__ == "__main__":
    main()
