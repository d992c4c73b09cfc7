"""Values that many tests of components need."""

from __future__ import annotations

from typing import Any

from tucano.actors.messages.model import Health, Instance, Revision, Run, Service, Spec, Worker

ARTIFACT = "a" * 64


def spec(name: str = "hello", replicas: int = 2, script: str = "true", **options: Any) -> Spec:
    return Spec(name, Run(script), replicas=replicas, health=Health(), **options)


def revision(number: int = 1, **options: Any) -> Revision:
    return Revision(number, spec(**options), ARTIFACT, 100, 0.0)


def service(number: int = 1, replicas: int = 2, **options: Any) -> Service:
    return Service("hello", replicas, revision(number), last_number=number, **options)


def instance(identifier: str = "hello-1", state: Any = "ready", number: int = 1, **options: Any) -> Instance:
    options = {"node": "worker-1", "since": 0.0, "host": "127.0.0.1", "port": 1, **options}
    return Instance(identifier, "hello", number, state=state, served=state == "ready", **options)


def worker(name: str = "worker-1", state: Any = "ready", **options: Any) -> Worker:
    return Worker(name, state, 0.0, **options)
