"""A gateway that speaks the wire over a real ZeroMQ ROUTER, with services that a test moves by hand."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import psutil
import zmq

from tucano.home import Home, Running

Hook = Callable[[str, dict[str, Any]], None]


class Refuse(Exception):
    """Raised by a hook: refuse with this code."""


class Die(Exception):
    """Raised by a hook: the controller is gone before it answers."""


class StandIn:
    """The gateway of a cluster that exists in this process only.

    Attributes:
        before: called with each operation before it is carried out; may raise `Refuse` or `Die`.
        after: called after it was carried out, before the answer is sent.
        asked: all operations, in order.

    """

    def __init__(self, home: Path) -> None:
        self.home = Home(home)
        self.services: dict[str, dict[str, Any]] = {}
        self.artifacts: dict[str, bytes] = {}
        self.partial: dict[str, bytes] = {}
        self.logs: dict[str, bytes] = {}
        self.events: list[dict[str, Any]] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.before: Hook = lambda op, args: None
        self.after: Hook = lambda op, args: None
        self.on_deploy: Callable[[dict[str, Any]], None] = lambda service: self.finish(service["name"])
        self.version = 1
        self.traces = 0
        self.handled = 0
        self.requests = 0
        self.port = 0
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._told = 0
        self.start()

    def start(self) -> None:
        """Open the door, at the same port if there was one."""
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = 0
        self._streams: list[tuple[list[bytes], int]] = []
        if self.port:
            self._socket.bind(f"tcp://127.0.0.1:{self.port}")
        else:
            self.port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self._stop.clear()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        created = psutil.Process().create_time()
        nodes = {"controller": os.getpid(), "worker-1": os.getpid()}
        self.home.announce(Running(os.getpid(), created, 8080, self.port, 1, nodes, ready=True))

    def kill(self) -> None:
        """The controller is gone, with all that it had not answered."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def close(self) -> None:
        """The cluster is gone."""
        self.kill()
        self.home.retract()

    def say(self, kind: str, subject: str, text: str = "") -> None:
        """Something happened."""
        with self._lock:
            seq = len(self.events) + 1
            self.events.append({"seq": seq, "at": time.time(), "kind": kind, "subject": subject, "text": text})

    def change(self, name: str, **fields: Any) -> None:
        """A service is different now."""
        with self._lock:
            self.services[name].update(fields)
            self.say("service_changed", name)

    def finish(self, name: str) -> None:
        """The rollout is done: all instances are ready."""
        with self._lock:
            service = self.services[name]
            number = service["last_revision"]
            self.change(
                name, state="done", revision=number, ready=service["replicas"],
                instances=[instance(f"{name}-{number}{n}", revision=number) for n in range(service["replicas"])],
            )  # fmt: skip

    def _serve(self) -> None:
        try:
            while not self._stop.is_set():
                with self._lock:
                    fresh, self._told = self.events[self._told :], len(self.events)
                if fresh:
                    for route, identifier in self._streams:
                        self._socket.send_multipart(
                            [*route, msgpack.packb({"id": identifier, "item": {"events": fresh}})]
                        )
                if self._socket.poll(5):
                    self._handle(self._socket.recv_multipart())
        except Die:
            pass  # what the test wanted
        finally:
            self._context.destroy(linger=0)

    def _handle(self, frames: list[bytes]) -> None:
        *route, frame = frames
        request = msgpack.unpackb(frame)
        op, args = request["op"], request["args"]
        with self._lock:
            self.asked.append((op, args))
        answer: dict[str, Any] = {"id": request["id"]}
        try:
            self.before(op, args)
            with self._lock:
                answer["ok"] = self._perform(op, args)
            if op == "events" and args["follow"]:
                self._streams.append((route, request["id"]))
            self.after(op, args)
        except Refuse as refuse:
            code, _, message = str(refuse).partition(": ")
            answer["error"] = {"code": code, "message": message}
        self._socket.send_multipart([*route, msgpack.packb(answer)])

    def _perform(self, op: str, args: dict[str, Any]) -> Any:
        match op:
            case "ping":
                return {}
            case "status":
                return {"cluster": "c" * 16, "version": "0", "http_port": 8080, "zmq_port": self.port, "uptime": 1.5,
                        "services": len(self.services), "nodes": NODES, "a_new_field": 1}  # fmt: skip
            case "nodes":
                return {"nodes": NODES}
            case "services":
                keys = ("name", "replicas", "ready", "state", "revision", "detail")
                return {"services": [{key: one[key] for key in keys} for one in self.services.values()]}
            case "show":
                return self._service(args["name"])
            case "artifact":
                return {"has": args["artifact"] in self.artifacts, "next": len(self.partial.get(args["artifact"], b""))}
            case "upload":
                return self._upload(**args)
            case "deploy":
                return self._deploy(args["spec"], args["artifact"])
            case "scale":
                service = self._service(args["name"])
                service["replicas"] = args["replicas"]
                self.finish(args["name"])
                return self._accepted(args["name"], service["revision"])
            case "restart":
                service = self._service(args["name"])
                return self._deploy({**service["spec"], "replicas": service["replicas"]}, service["artifact"])
            case "undeploy":
                service = self._service(args["name"])
                del self.services[args["name"]]
                return self._accepted(args["name"], service["revision"])
            case "events":
                since = args["since"]
                return {"events": self.events[since:] if since < 0 else [e for e in self.events if e["seq"] > since]}
            case "logs":
                return self._log(**args)
            case "ps":
                self.handled += 1000
                shown = [
                    {"node": "controller", "pid": 1, "actors": self._actors(), "events": LIFECYCLE},
                    {"node": "worker-1", "state": "gone", "since": time.time() - 7200},
                ]
                return {"nodes": [one for one in shown if args["node"] in (None, one["node"])]}
            case "trace":
                if int(args["id"], 16) > self.traces:
                    raise Refuse(f"not_found: no node remembers a conversation {args['id']}")
                return {"trace": args["id"], "began": 1.0, "duration": 0.25, "participants": ["a/x", "b/y"],
                        "unanswered": [], "spans": SPANS}  # fmt: skip
            case "traces":
                known = range(self.traces, 0, -1)
                return {"traces": [{"trace": f"{n:016x}", "at": 1.0, "what": "m.Go/1", "spans": 3} for n in known]}
            case "traffic":
                self.requests += 50
                return {"services": [{"service": "hello", "requests": self.requests}]}
            case _:
                raise Refuse(f"unknown_op: no operation is called {op}")

    def _actors(self) -> list[dict[str, Any]]:
        crash = "Traceback:\n  deep inside\nKeyError: 'x'\n"
        waits = [{"on": "controller/discovery", "what": "discovery.Put/1", "seconds": 0.3}]
        return [
            {"name": "root", "kind": "Tree", "phase": "up"},
            {"name": "gateway", "kind": "Gateway", "phase": "up", "parent": "root", "handled": self.handled,
             "p50": 0.001, "p99": 0.02, "last_crash": crash, "waits": waits},
        ]  # fmt: skip

    def _service(self, name: str) -> dict[str, Any]:
        if name not in self.services:
            raise Refuse(f"not_found: no service is called {name!r}")
        return self.services[name]

    def _upload(self, artifact: str, size: int, offset: int, data: bytes) -> dict[str, int]:
        have = self.partial.get(artifact, b"")
        if offset == len(have):
            have = self.partial[artifact] = have + data
        if len(have) == size:
            self.artifacts[artifact] = self.partial.pop(artifact)
        return {"next": len(have)}

    def _deploy(self, spec: dict[str, Any], artifact: str) -> dict[str, Any]:
        name = spec["name"]
        before = self.services.get(name)
        number = before["last_revision"] + 1 if before else 1
        self.services[name] = {
            "name": name, "replicas": spec["replicas"], "ready": 0, "state": "rolling", "revision": number,
            "detail": "", "last_revision": number, "previous": before and before["revision"], "spec": spec,
            "artifact": artifact, "created": time.time(), "instances": [],
        }  # fmt: skip
        self.on_deploy(self.services[name])
        return self._accepted(name, number)

    def _accepted(self, name: str, revision: int) -> dict[str, Any]:
        self.traces += 1
        return {"service": name, "revision": revision, "trace": f"{self.traces:016x}"}

    def _log(self, *, offset: int, limit: int, build: bool, **instance: str) -> dict[str, Any]:
        id_ = instance["id"]
        key = f"{id_}.build" if build else id_
        if key not in self.logs:
            raise Refuse(f"not_found: no instance is called {id_!r}")
        data = self.logs[key]
        begin = max(0, len(data) + offset) if offset < 0 else min(offset, len(data))
        return {"data": data[begin : begin + limit], "next": min(begin + limit, len(data))}


NODES = [
    {"name": "controller", "role": "controller", "state": "ready", "pid": 11, "since": 1.0,
     "cpus": None, "memory": None, "cpu": None, "memory_used": None, "instances": 0},
    {"name": "worker-1", "role": "worker", "state": "ready", "pid": 12, "since": 1.0, "cpus": 2,
     "memory": 8_000_000_000, "cpu": 0.25, "memory_used": 1_500_000_000, "instances": 2},
]  # fmt: skip


LIFECYCLE = [{"seq": 1, "at": 1.0, "what": "actor_crashed", "who": "gateway", "detail": "KeyError('x')"}]

SPANS = [
    {"span": "a.1", "kind": "ask", "sender": "a/x", "to": "b/y", "what": "m.Go/1", "at": 0.0, "begun": 1.0,
     "took": 0.01, "outcome": "done"},
    {"span": "b.1", "parent": "a.1", "kind": "answer", "sender": "b/y", "to": "a/x", "what": "m.Gone/1", "at": 0.25,
     "answers": "a.1"},
]  # fmt: skip


def instance(name: str, **fields: Any) -> dict[str, Any]:
    """One instance as `show` tells of it."""
    known = {"id": name, "node": "worker-1", "pid": 100, "port": 20100, "state": "ready", "restarts": 0, "revision": 1}
    return {**known, "detail": "", "since": time.time(), **fields}


def write_service(directory: Path, name: str = "hello", replicas: int = 2, **files: str) -> Path:
    """A service's directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "tucano.toml").write_text(
        f'[service]\nname = "{name}"\nreplicas = {replicas}\n'
        '[run]\nscript = "python3 app.py"\nenv = { TOKEN = "s3cret" }\n'
    )
    (directory / "app.py").write_text("print('hello')\n")
    for file, text in files.items():
        (directory / file).write_text(text)
    return directory
