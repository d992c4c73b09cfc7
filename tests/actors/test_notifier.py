from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.helpers import eventually
from tucano.actors.kernel import Child, System
from tucano.actors.messages.notifier import Notify
from tucano.actors.notifier import Notifier

Start = Callable[..., System]


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[Any]]]:
    posted: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if posted[-1]["subject"] == "refuse" else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/secret-path", posted
    server.shutdown()
    thread.join()
    server.server_close()


def test_notices_are_posted_to_the_webhook_in_order(node: Start, webhook: tuple[str, list[Any]]) -> None:
    url, posted = webhook
    here = node(Child("notifier", Notifier, {"webhook": url}))
    for subject in ("refuse", "worker-1"):
        eventually(lambda subject=subject: here.ref("notifier").tell(Notify("worker_lost", subject, "gone")))  # type: ignore[misc]
    eventually(lambda: len(posted) == 2)
    assert {k: v for k, v in posted[1].items() if k != "at"} == {
        "kind": "worker_lost", "subject": "worker-1", "text": "gone"
    }  # fmt: skip


def test_a_webhook_that_is_not_there_harms_nobody_and_is_not_named(
    node: Start, caplog: pytest.LogCaptureFixture
) -> None:
    here = node(Child("notifier", Notifier, {"webhook": "http://127.0.0.1:1/secret-path"}))
    here.ref("notifier").ask(Notify("worker_lost", "worker-1", "gone"), timeout=5)
    eventually(lambda: "did not take a notice" in caplog.text)
    assert "secret-path" not in caplog.text
    assert here.snapshot()[-1].restarts == 0
