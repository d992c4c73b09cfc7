"""A cluster inside a program or a test: it lives as long as a `with` block, or as its program.

```python
with tucano.local_cluster(workers=2) as cluster:
    cluster.deploy("hello")
    status, headers, body = cluster.get("hello")
```

It is a process of its own (no threads here, nothing is forked, the main module is not imported again), bound to this
one by a pipe: when this program ends, even by kill -9, the pipe closes and the cluster stops and clears up.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import NamedTuple

from tucano import stopping
from tucano.client import Client
from tucano.client.answers import Accepted, OnProgress, ServiceInfo
from tucano.home import Home, Running
from tucano.launch import Launch

STOP = 60.0
"""Seconds that a cluster may take to stop."""


class Response(NamedTuple):
    """A service's answer."""

    status: int
    headers: Message
    body: bytes


class Cluster:
    """A cluster that runs.

    Attributes:
        home: its directory.
        running: its process and ports.
        client: for all that is not here.

    """

    def __init__(self, home: Home, launch: Launch, running: Running) -> None:
        self.home = home.path
        self.running = running
        self.client = Client(home)
        self._home = home
        self._launch = launch

    @property
    def url(self) -> str:
        """Where users' requests go; the `Host` header names the service."""
        return self.running.users

    def deploy(
        self,
        directory: Path | str,
        replicas: int | None = None,
        *,
        timeout: float = 900.0,
        progress: OnProgress | None = None,
    ) -> Accepted:
        """Deploy a directory and wait until it serves; see `Client.deploy`."""
        return self.client.deploy(directory, replicas=replicas, timeout=timeout, progress=progress)

    def services(self) -> list[ServiceInfo]:
        """What runs."""
        return self.client.services()

    def get(
        self, service: str, path: str = "/", timeout: float = 30.0, headers: Mapping[str, str] | None = None
    ) -> Response:
        """One GET to a service, through the balancer; a status of 400 and above is an answer, too."""
        request = urllib.request.Request(self.url + path, headers={"Host": service, **(headers or {})})
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # not through a proxy of the environment
        try:
            with direct.open(request, timeout=timeout) as answer:
                return Response(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as answer:
            with answer:
                return Response(answer.code, answer.headers, answer.read())

    def stop(self) -> None:
        """Stop services and nodes, in order; what does not stop in time is killed. Harmless the second time."""
        self.client.close()
        stop(self._launch, self._home)


@contextmanager
def local_cluster(
    workers: int = 2,
    *,
    home: Path | None = None,
    http_port: int = 0,
    balancers: int = 1,
    https_port: int | None = None,
    inside_port: int | None = None,
    mdp_port: int | None = None,
) -> Iterator[Cluster]:
    """A cluster on this machine, for the time of a `with` block.

    Args:
        workers: how many.
        home: its directory, which stays; without, a temporary one that is removed.
        http_port: where users' requests come in; 0 means any free one.
        balancers: how many processes share that port.
        https_port: the same with TLS, for hosts whose certificate is in the home (`tucano tls add`); None for none.
        inside_port: the same for programs of this machine only; None for none.
        mdp_port: where those to ZeroMQ services come in; 0 likewise, None that they cannot.

    Raises:
        StartFailed: it did not start.

    """
    place = home or Path(tempfile.mkdtemp(prefix="tucano-"))
    its_home = Home(place)
    arguments = ["--home", str(its_home.path)]
    for option, value in (
        ("workers", workers), ("balancers", balancers), ("port", http_port), ("https-port", https_port),
        ("inside-port", inside_port), ("mdp-port", mdp_port),
    ):  # fmt: skip
        arguments += [] if value is None else [f"--{option}", str(value)]
    if home is None:
        arguments.append("--sweep")
    launch = Launch("tucano.local", its_home, arguments, lifeline=True)
    try:
        cluster = Cluster(its_home, launch, launch.wait_until_ready())
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        stop(launch, its_home)
        if home is None:
            shutil.rmtree(place, ignore_errors=True)  # its own process has done so, unless it was killed


def stop(launch: Launch, home: Home, timeout: float = STOP) -> None:
    """Stop a cluster that was launched with a lifeline, whatever state it is in."""
    process = launch.process
    if process.stdin is not None:
        process.stdin.close()
    for go_on in (process.terminate, process.kill):  # the first, for a cluster that is stopping, means: at once
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            go_on()
    process.wait()
    if home.path.exists():
        stopping.clear(home, grace=2.0)


def _main() -> int:
    """The cluster's process: a parent with a lifeline, which removes a temporary home at its end."""
    from tucano import parent

    parser = parent.parser()
    parser.add_argument("--sweep", action="store_true", help="remove the home at the end")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    launcher = os.getppid()
    status = 1
    try:
        home = Home(given.home)
        status = parent.run(home, parent.plan(home, given), lifeline=True)
    except parent.CannotStart as error:
        print(f"tucano: {error}", file=sys.stderr)
    finally:
        # A launcher that lives wants to read why the cluster did not start, and removes the home itself.
        if given.sweep and (status == 0 or os.getppid() != launcher):
            shutil.rmtree(given.home, ignore_errors=True)  # the launcher may be at it, too
    return status


if __name__ == "__main__":
    sys.exit(_main())
