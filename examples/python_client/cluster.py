"""The wire: one DEALER, a msgpack map each way. `ask` for one answer, `look` until one comes, `follow` for a stream."""

import base64
import hashlib
import json
import time
from pathlib import Path

import msgpack
import zmq

RENEW = 5  # seconds between two renewals of a stream; it ends 60 s after its follower's last word


class Failed(Exception):
    """What was wanted was not done: a code of the wire's, or `usage`, `nobody`, `failed`; and why."""

    def __init__(self, code, why):
        super().__init__(why)
        self.code = code


class Cluster:
    def __init__(self, door, token=None):
        self.door = door
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.IMMEDIATE, 1)  # nothing is queued for a controller that is not there
        self.socket.setsockopt(zmq.SNDTIMEO, 5000)
        if token:
            self.socket.curve_serverkey = token["controller"].encode()
            self.socket.curve_publickey = token["public"].encode()
            self.socket.curve_secretkey = token["secret"].encode()
        self.socket.connect(door)
        self.last_id = 0

    def send(self, op, args, number=None):
        """Send a request; returns its number, which the answer bears."""
        if number is None:
            number = self.last_id = self.last_id + 1
        try:
            self.socket.send(msgpack.packb({"v": 1, "id": number, "op": op, "args": args}))
        except zmq.Again:
            raise Failed("nobody", f"nobody answers at {self.door}, or not to this key") from None
        return number

    def receive(self, seconds):
        """The next answer or item, or None."""
        if not self.socket.poll(max(0, seconds) * 1000):
            return None
        return msgpack.unpackb(self.socket.recv_multipart()[-1])

    def ask(self, op, seconds=10.0, **args):
        number, deadline = self.send(op, args), time.monotonic() + seconds
        while (answer := self.receive(deadline - time.monotonic())) is not None:
            if answer["id"] == number and "item" not in answer:
                if "error" in answer:
                    raise Failed(answer["error"]["code"], f"{op}: {answer['error']['message']}")
                return answer["ok"]
        raise Failed("nobody", f"{op}: {self.door} has not answered within {seconds:g} s")

    def look(self, op, patience=30.0, **args):
        """Ask what may be asked twice, again and again while the controller is away: it may be restarting."""
        deadline = time.monotonic() + patience
        while True:
            try:
                return self.ask(op, **args)
            except Failed as failed:
                if failed.code not in ("nobody", "unavailable", "timeout") or time.monotonic() > deadline:
                    raise
                time.sleep(0.25)

    def follow(self, since):
        """All events after number `since`, as they happen.

        Asked for again and again under one number: that keeps the stream, and finds it again behind a controller that
        has restarted. The answer to each has what came before it, so items count only after it.
        """
        number, renew_at, is_answered = None, 0.0, False
        while True:
            try:
                if time.monotonic() >= renew_at:
                    number, is_answered = self.send("events", {"since": since, "follow": True}, number), False
                    renew_at = time.monotonic() + RENEW
                answer = self.receive(renew_at - time.monotonic())
            except Failed:
                continue  # it is away: `send` has waited a while
            if answer is None or answer["id"] != number:
                continue
            if "error" in answer:
                raise Failed(answer["error"]["code"], f"events: {answer['error']['message']}")
            is_answered = is_answered or "ok" in answer
            for event in answer.get("ok", answer.get("item"))["events"]:
                if is_answered and (since < 0 or event["seq"] > since):
                    since = event["seq"]
                    yield event


def read_token(path):
    """The keys in a token: `tucano1.BODY.CHECK`, BODY base64url of JSON, CHECK the beginning of its SHA-256."""
    try:
        text = "".join(Path(path).read_text().split())
    except (OSError, UnicodeDecodeError) as error:
        raise Failed("usage", f"the token cannot be read: {error}") from None
    prefix, _, rest = text.partition(".")
    body, _, check = rest.partition(".")
    if prefix != "tucano1" or hashlib.sha256(body.encode()).hexdigest()[:8] != check:
        raise Failed("usage", f"{path} holds no token, or not a whole one: copy the whole line")
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
