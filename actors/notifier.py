"""The notifier: tells people what they may want to know now, by a webhook."""

from __future__ import annotations

import http.client
import json
import logging
import queue
import threading
import urllib.error
import urllib.request
from typing import Final, assert_never

from tucano.actors.kernel import Actor
from tucano.actors.messages.notifier import Notify

log = logging.getLogger(__name__)

WAITING: Final = 100
"""Notices that may wait for a slow webhook; further ones are only logged."""

TIMEOUT: Final = 10.0
"""Seconds that the webhook has to answer."""


class Notifier(Actor):
    """Logs each notice and, if there is a webhook, posts it there as JSON: `{"kind", "subject", "text", "at"}`.

    Args:
        webhook: an http or https URL, empty for none.

    """

    Inbox = Notify

    def __init__(self, webhook: str = "") -> None:
        super().__init__()
        self._webhook = webhook
        self._waiting: queue.Queue[bytes | None] = queue.Queue(WAITING)
        self._sender: threading.Thread | None = None

    def on_start(self) -> None:
        """Start the thread that posts: a slow webhook must not keep the actor waiting."""
        if self._webhook:
            self._sender = threading.Thread(target=self._post_all, name="tucano-notifier", daemon=True)
            self._sender.start()

    def on_stop(self) -> None:
        """Let the thread end after what it is at."""
        while self._sender is not None:
            try:
                self._waiting.put_nowait(None)
                return
            except queue.Full:
                self._waiting.get_nowait()

    on_crash = on_stop

    def receive(self, message: Notify) -> None:
        """Handle one message."""
        match message:
            case Notify(kind, subject, text):
                self.insist(self.ref.node)
                log.warning("%s %s: %s", kind, subject, text)
                if self._sender is None:
                    return
                notice = {"kind": kind, "subject": subject, "text": text, "at": self.wall()}
                try:
                    self._waiting.put_nowait(json.dumps(notice).encode())
                except queue.Full:
                    log.error("the webhook is too slow: a notice about %s was not posted", subject)
            case _:
                assert_never(message)

    def _post_all(self) -> None:
        while (notice := self._waiting.get()) is not None:
            try:
                request = urllib.request.Request(
                    self._webhook, notice, {"Content-Type": "application/json", "User-Agent": "tucano"}
                )
                with urllib.request.urlopen(request, timeout=TIMEOUT):
                    pass
            except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
                reason = getattr(error, "reason", type(error).__name__)  # the URL may hold a secret: it is not logged
                log.error("the webhook did not take a notice: %s", reason)
