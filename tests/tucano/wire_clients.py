"""Three clients of one wire behind one face: `tucano.connect`, the example in pyzmq, and the example in Node.js."""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

import msgspec

import tucano
from tucano.client import ClientError, Event

EXAMPLES = Path(__file__).parents[2] / "examples"


class Done(NamedTuple):
    """How a command ended: its exit status, and what it printed."""

    status: int
    out: str
    said: str


class Lines:
    """Lines that come in, one by one."""

    def __init__(self) -> None:
        self._came: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.put = self._came.put

    def wait_for(self, *texts: str) -> str:
        """The next line that has all of these in it."""
        while True:
            line = self._came.get(timeout=60)
            if all(text in line for text in texts):
                return line


class WireClient(Protocol):
    """A client of the cluster that a token is for."""

    def run(self, *words: object) -> Done:
        """A command, to its end."""
        ...

    def stream(self, *words: object) -> contextlib.AbstractContextManager[Lines]:
        """A command that goes on, and what it prints meanwhile."""
        ...


class Program:
    """A client that is a program: its command line takes the words."""

    def __init__(self, command: Sequence[object], token: Path | None) -> None:
        self._command = [str(part) for part in command]
        self._env = {key: value for key, value in os.environ.items() if not key.startswith("TUCANO_")}
        if token is not None:
            self._env["TUCANO_TOKEN_FILE"] = str(token)

    def run(self, *words: object) -> Done:
        """See `WireClient.run`."""
        command = [*self._command, *map(str, words)]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, timeout=150, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        assert "    at " not in done.stderr, done.stderr  # Node.js's
        return Done(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def stream(self, *words: object) -> Iterator[Lines]:
        """See `WireClient.stream`."""
        command, lines = [*self._command, *map(str, words)], Lines()
        with subprocess.Popen(command, env=self._env, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            reader = threading.Thread(target=_pass_on, args=(process.stdout, lines))
            reader.start()
            try:
                yield lines
            finally:
                process.kill()
                reader.join()


def _pass_on(output: IO[str], lines: Lines) -> None:
    for line in output:
        lines.put(line)


class Library:
    """The Python library, by the same words."""

    def __init__(self, token: Path) -> None:
        self._token = token

    def run(self, *words: object) -> Done:
        """See `WireClient.run`."""
        op, *given = map(str, words)
        out = io.StringIO()
        try:
            with tucano.connect(token=self._token) as client:
                print(_said(client, op, *given), file=out)
        except ClientError as error:
            return Done(1, out.getvalue(), str(error))
        return Done(0, out.getvalue(), "")

    def stream(self, *words: object) -> contextlib.AbstractContextManager[Lines]:
        """See `WireClient.stream`; by the command line, which is the library's."""
        json_lines = ["--json"] if words[0] == "events" else []
        return Program([sys.executable, "-m", "tucano"], self._token).stream(*words, *json_lines)


def _said(client: tucano.client.Client, op: str, *given: str) -> Any:
    """What the programs print for a command."""
    match op, *given:
        case ("nodes",):
            return json.dumps({"nodes": [_plain(one) for one in client.nodes()]})
        case ("services",):
            return json.dumps({"services": [_plain(one) for one in client.services()]})
        case "show", name:
            return json.dumps(_plain(client.show(name)))
        case "deploy", directory, *replicas:
            done = client.deploy(directory, replicas=int(*replicas) if replicas else None)
            return f"{done.service}: revision {done.revision} serves"
        case "restart", name:
            done = client.restart(name)
            client.wait_for_rollout(name, done.revision)
            return f"{name}: revision {done.revision} serves"
        case "scale", name, replicas_wanted:
            client.scale(name, int(replicas_wanted))
            client.wait_until_scaled(name, int(replicas_wanted))
            return f"{name}: {replicas_wanted} of {replicas_wanted} ready"
        case "undeploy", name:
            client.undeploy(name)
            client.wait_until_gone(name)
            return f"{name}: gone"
        case "logs", name:
            found = [(one.id, client.read_log(one.id).data.decode()) for one in client.show(name).instances]
            return "\n".join(f"{one} | {line}" for one, text in found for line in text.splitlines())
        case _:
            return "\n".join(_event(event) for event in client.events(-50))


def _event(event: Event) -> str:
    return json.dumps(_plain(event))


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)


def python_client(token: Path | None) -> Program:
    """The example in pyzmq; it may not find the library."""
    return Program([sys.executable, EXAMPLES / "python_client" / "admin.py"], token)
