"""`tucano demo`: a cluster of its own, a service on it, things killed under load, and nothing left behind."""

from __future__ import annotations

import http.client
import importlib.resources
import os
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from tucano import render
from tucano.actors.proc import process
from tucano.client.answers import InstanceInfo, Progress, ServiceDetail
from tucano.client.failures import ClientError
from tucano.home import Home, is_process
from tucano.local import Cluster, local_cluster
from tucano.terminal import mark

SERVICE = "hello"
"""The packaged sample."""

WORKERS = 2
SENDERS = 4
"""Threads that send requests, each on a kept connection."""

PAUSE = 0.01
"""Seconds between two requests of one sender."""

PATIENCE = 30.0
"""Seconds that anything may take to be mended."""

_GO_ON = """\
Your own service:
  tucano up --workers 2 --detach      a cluster that stays
  tucano deploy DIR                   a directory with a tucano.toml
  tucano services | show NAME | logs -f NAME | scale NAME 5 | events -f
  tucano down                         stops everything
The sample is in {sample}"""


class Broken(ClientError):
    """Something that the demonstration promises did not hold."""


def run(keep: bool = False) -> int:
    """Run the demonstration.

    Args:
        keep: leave the cluster's directory for a look into its logs.

    Returns:
        The exit status: 0 if all of it held.

    """
    place = Path(tempfile.mkdtemp(prefix="tucano-demo-"))
    known: set[tuple[int, float]] = set()
    held = False
    began = time.monotonic()
    try:
        with importlib.resources.as_file(importlib.resources.files("tucano") / "samples" / SERVICE) as sample:
            _say(f"Starting a cluster with {WORKERS} workers in {place}")
            with local_cluster(WORKERS, home=place) as cluster:
                _Show(cluster, known).all_of_it(sample, began)
                _say("\nTaking everything down")
            held = True
            how = _GO_ON.format(sample=sample)
    except ClientError as error:
        _say(f"{mark(False)} {error}\n\nFor the logs: tucano demo --keep")
    except KeyboardInterrupt:
        _say("\nstopped; everything is taken down")
    finally:
        if not keep:
            shutil.rmtree(place, ignore_errors=True)  # looked at below
    if left := _left(place, known):
        held = False
        _say(f"{mark(False)} still there: {', '.join(left)}")
    elif not keep and place.exists():
        held = False
        _say(f"{mark(False)} {place} could not be removed")
    elif held:
        _say(
            f"{mark(True)} no process{'' if keep else ' and no file'} left; it took {time.monotonic() - began:.0f} s\n"
        )
        _say(how)
    if keep:
        _say(f"\nKept: {place}")
    return 0 if held else 1


class _Show:
    """The demonstration on a cluster that runs.

    Args:
        cluster: it.
        known: where processes that belong to it are noted, by pid and time of creation.

    """

    def __init__(self, cluster: Cluster, known: set[tuple[int, float]]) -> None:
        self._cluster = cluster
        self._known = known

    def all_of_it(self, sample: Path, began: float) -> None:
        """Everything, in order.

        Raises:
            Broken: a promise did not hold.
            ClientError: the cluster refused something.

        """
        nodes = self._cluster.client.nodes()
        self._note(*(node.pid for node in nodes), self._cluster.running.pid)
        _say(f"{mark(True)} {', '.join(node.name for node in nodes)} are up after {_since(began)}\n")
        self._deploy(sample)
        self._ask_around()
        with _Traffic(self._cluster.running.http_port) as traffic:
            traffic.wait_for(100)
            self._kill_instance()
            self._kill_worker()
            traffic.wait_for(traffic.sent + 200)
        _say("\n" + traffic.told())
        if traffic.failed:
            raise Broken(f"{render.plural(len(traffic.failed), 'request')} failed: {traffic.failed[0]}")
        _say(f"{mark(True)} none failed")

    def _deploy(self, sample: Path) -> None:
        """Deploy the sample, step by step."""
        _say(f"Deploying {sample.name}: a build step on each worker, then 3 replicas")
        began = time.monotonic()
        before: Progress | None = None

        def tell(now: Progress) -> None:
            nonlocal before
            for line in render.step(before, now):
                _say(f"    {line}")
            before = now

        self._cluster.deploy(sample, progress=tell, timeout=PATIENCE)
        self._shown()
        _say(f"{mark(True)} {SERVICE} serves after {_since(began)}\n")

    def _ask_around(self) -> None:
        """Send requests one by one and tell who answered."""
        wanted = self._shown().instances
        _say(f"Asking: curl -H 'Host: {SERVICE}' {self._cluster.url}/")
        answered: Counter[str] = Counter()
        for _ in range(60):
            response = self._cluster.get(SERVICE)
            if response.status != 200:
                raise Broken(f"{SERVICE} answered {response.status}: {response.body[:200]!r}")
            answered[response.headers["X-Tucano-Instance"]] += 1
        for one in wanted:
            _say(f"    {one.id} on {one.node}: {answered[one.id]:>3} of {answered.total()} answers")
        if set(answered) != {one.id for one in wanted}:
            raise Broken("the requests did not reach every instance")
        _say(f"{mark(True)} balanced over {render.plural(len(answered), 'instance')}\n")

    def _kill_instance(self) -> None:
        """One process of the service is gone, without a word."""
        victim = self._shown().instances[0]
        _say(f"While requests flow: kill -9 {victim.pid}, which is {victim.id} on {victim.node}")
        began = time.monotonic()
        os.kill(victim.pid, signal.SIGKILL)

        def is_back() -> bool:
            now = next((one for one in self._shown().instances if one.id == victim.id), None)
            return now is not None and now.state == "ready" and now.restarts == victim.restarts + 1

        self._wait(is_back, f"{victim.id} did not come back")
        _say(f"{mark(True)} back after {_since(began)}, at the same port, with another pid")

    def _kill_worker(self) -> None:
        """A worker is gone, with all services that it ran."""
        shown = self._shown()
        load = Counter(one.node for one in shown.instances)
        name = load.most_common(1)[0][0]
        pid = next(node.pid for node in self._cluster.client.nodes() if node.name == name)
        victims = [one for one in shown.instances if one.node == name]
        services = render.plural(len(victims), "instance")
        _say(f"While requests flow: kill -9 {pid}, which is {name}, and its {services}")
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        for one in victims:
            process.kill_session(one.pid)
        dead = {one.pid for one in victims}

        def is_mended() -> bool:
            now = self._shown()
            return now.ready == now.replicas == len(now.instances) and not dead & {one.pid for one in now.instances}

        self._wait(is_mended, f"{SERVICE} was not mended")
        where = ", ".join(
            f"{node}: {count}" for node, count in sorted(Counter(map(_node, self._shown().instances)).items())
        )
        _say(f"{mark(True)} all replicas ready again after {_since(began)} ({where})")

    def _shown(self) -> ServiceDetail:
        """The service now; its processes are noted."""
        shown = self._cluster.client.show(SERVICE)
        self._note(*(one.pid for one in shown.instances))
        return shown

    def _note(self, *pids: int) -> None:
        """Remember processes, to see at the end that they are gone."""
        for pid in filter(None, pids):
            try:
                self._known.add((pid, psutil.Process(pid).create_time()))
            except psutil.NoSuchProcess:
                continue  # gone already

    def _wait(self, condition: Callable[[], bool], complaint: str) -> None:
        """Look until it is so."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise Broken(f"{complaint} within {PATIENCE:g} s:\n{render.show(self._shown(), time.time())}")
            time.sleep(0.02)


class _Traffic:
    """Users, who ask on and on and count what they get.

    Attributes:
        failed: what went wrong, a line each.

    """

    def __init__(self, port: int) -> None:
        self.failed: list[str] = []
        self._answers: list[str] = []  # which instance; appended to by all senders, which lists allow
        self._port = port
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, name=f"user-{n}") for n in range(SENDERS)]

    @property
    def sent(self) -> int:
        """Requests that have been answered, or failed."""
        return len(self._answers) + len(self.failed)

    def __enter__(self) -> _Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int) -> None:
        """Wait until that many requests have been sent."""
        while self.sent < count and any(thread.is_alive() for thread in self._threads):
            time.sleep(PAUSE)

    def told(self) -> str:
        """How many, and who answered."""
        instances = ", ".join(f"{name}: {count}" for name, count in sorted(Counter(self._answers).items()))
        return f"{self.sent} requests were sent meanwhile, {len(self.failed)} failed ({instances})"

    def _send(self) -> None:
        """One user on one connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        while not self._stop.wait(PAUSE):
            try:
                connection.request("GET", "/", headers={"Host": SERVICE})
                answer = connection.getresponse()
                body, instance = answer.read().decode(), answer.headers.get("X-Tucano-Instance", "")
                if answer.status == 200 and instance and instance in body:
                    self._answers.append(instance)
                else:
                    self.failed.append(f"{answer.status} {answer.reason}: {body[:200]!r}")
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(f"{type(error).__name__}: {error}")
                connection.close()  # the next request opens another
        connection.close()


def _left(place: Path, known: set[tuple[int, float]]) -> list[str]:
    """What of the cluster lives on: what was noted, and whatever names its directory."""
    deadline = time.monotonic() + 5.0
    while left := [f"process {pid}" for pid in sorted({*_alive(known), *_of(Home(place))})]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def _alive(known: set[tuple[int, float]]) -> Iterator[int]:
    """Of the noted processes, those that live."""
    return (pid for pid, created in known if is_process(pid, created))


def _of(home: Home) -> Iterator[int]:
    """Processes that have a directory in their command line or work in it."""
    place = str(home.path)
    for one in psutil.process_iter():
        try:
            if one.pid != os.getpid() and (place in " ".join(one.cmdline()) or one.cwd().startswith(place)):
                yield one.pid
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # ended meanwhile, or another user's


def _node(one: InstanceInfo) -> str:
    return one.node


def _since(began: float) -> str:
    """How long it took."""
    return f"{time.monotonic() - began:.2f} s"


def _say(text: str) -> None:
    """Print at once, in a pipe as well."""
    print(text, flush=True)
