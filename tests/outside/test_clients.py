"""Other people's HTTP clients, through the balancer, to a service of the standard library's server."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import httpx
import pytest
from websockets.sync.server import ServerConnection, serve

from tests.helpers import eventually
from tests.outside.service import Server, balanced, http_service, payload

MB = 1_000_000
FOUND = {
    "large": 3 * MB, "chunks": 3 * MB, "end": 3 * MB, "gzip": "squeezed", "redirect": 5, "posted": 2 * MB, "head": "77",
    "missing": 404, "many": 40_000,
}  # fmt: skip


@pytest.fixture
def server() -> Iterator[Server]:
    with http_service() as made:
        yield made


@pytest.fixture
def port(server: Server) -> Iterator[int]:
    own: int = server.server_address[1]
    with balanced({"hello": own, "localhost": own}) as balancer:
        yield balancer


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed here")
    return path


def curl(port: int, *options: str, data: bytes = b"") -> bytes:
    command = [program("curl"), "-sS", "--max-time", "30", "-H", "Host: hello", *options]
    command = [option.replace("BASE", f"http://127.0.0.1:{port}") for option in command]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def test_curl_gets_all_three_framings(port: int) -> None:
    for path in ("large", "chunks", "end"):
        assert curl(port, f"BASE/{path}/300000") == payload(300_000)
        assert curl(port, "--http1.0", f"BASE/{path}/300000") == payload(300_000)


def test_curl_uses_its_connection_again(port: int) -> None:
    told = curl(port, "-w", "%{num_connects}", "-o", "/dev/null", "BASE/large/9", "-o", "/dev/null", "BASE/chunks/9")
    assert told == b"10"


def test_curl_sends_what_it_announces_after_100_continue(port: int) -> None:
    body = payload(3 * MB)
    assert curl(port, "--data-binary", "@-", "-H", "Expect: 100-continue", "BASE/echo", data=body) == body
    assert curl(port, "-T", "-", "-H", "Expect: 100-continue", "BASE/echo", data=body) == body


def test_curl_asks_for_the_head_and_for_http_2_and_gets_http_1(port: int) -> None:
    head = curl(port, "-I", "BASE/large/77")
    assert b"Content-Length: 77\r\n" in head
    assert b"X-Tucano-Instance: hello-1\r\n" in head
    assert curl(port, "--http2", "BASE/large/5") == payload(5)
    assert curl(port, "-L", "--compressed", "BASE/redirect", "BASE/gzip") == payload(5) + b"squeezed"


def test_httpx_streams_both_ways_over_connections_that_it_keeps(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Host": "hello"}) as client:
        for path in ("large", "chunks", "end"):
            assert client.get(f"/{path}/1000000").content == payload(MB)
        pieces = (payload(50_000) for _ in range(20))
        assert client.post("/echo", content=pieces).content == payload(50_000) * 20
        with client.stream("GET", "/large/50000000") as answer:
            assert next(answer.iter_raw())
        assert client.head("/large/77").headers["content-length"] == "77"
        assert client.get("/gzip").text == "squeezed"


def test_aiohttp_asks_many_at_once_and_streams(port: int) -> None:
    async def ask() -> None:
        async def pieces() -> Iterator[bytes]:  # type: ignore[misc]
            for _ in range(20):
                yield payload(50_000)

        base = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession(base, headers={"Host": "hello"}) as session:

            async def get(path: str) -> bytes:
                async with session.get(path) as answer:
                    return await answer.read()

            for path in ("large", "chunks", "end"):
                assert await get(f"/{path}/1000000") == payload(MB)
            assert await asyncio.gather(*(get("/large/1000") for _ in range(50))) == [payload(1000)] * 50
            async with session.post("/echo", data=pieces(), expect100=True) as answer:
                assert await answer.read() == payload(50_000) * 20

    asyncio.run(ask())


def test_node_fetches(port: int) -> None:
    script = Path(__file__).parent / "node_client.mjs"
    command = [program("node"), str(script), f"http://localhost:{port}"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == FOUND | {"streamed": MB}


def test_chromium_reads_a_page_that_asks_for_everything(server: Server, tmp_path: Path) -> None:
    browser = program("chromium")

    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with serve(echo, "127.0.0.1", 0) as sockets:
        thread = threading.Thread(target=sockets.serve_forever)
        thread.start()
        with balanced({"hello": server.server_address[1], "socket": sockets.socket.getsockname()[1]}) as port:
            command = [
                browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                f"--user-data-dir={tmp_path}", "--remote-debugging-port=0", f"http://hello.localhost:{port}/page",
            ]  # fmt: skip
            quiet = subprocess.DEVNULL
            with subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True) as process:
                try:
                    eventually(lambda: server.reports, "the page reports", within=60.0)
                finally:
                    os.killpg(process.pid, signal.SIGKILL)
        sockets.shutdown()
        thread.join()
    assert json.loads(server.reports[0]) == FOUND | {"after": 10, "socket": "1000 hello"}
