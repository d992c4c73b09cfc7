"""The parent: one small process that starts a cluster on this machine and looks after its nodes.

It holds the listening sockets, so that a controller or a balancer that dies is replaced with no refused connection.
What it looks after are processes; what they do is their own business: a parent that dies stops neither traffic nor
services, and the next one from the same home takes over.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil

from tucano import remains
from tucano.actors.keeper import Keeper
from tucano.actors.kernel import Child, Refused, System
from tucano.actors.messages.keeper import StopNode
from tucano.client import Client, ClusterError
from tucano.entrance import Entrance
from tucano.home import Home, HomeInUse, Running
from tucano.keys import Keys, KeysError
from tucano.listening import LOOPBACK, CannotListen
from tucano.plan import Here, Joined, Plan
from tucano.sockets import SocketKeeper
from tucano.transport.security import Insecure

log = logging.getLogger("tucano.parent")

READY = 60.0
"""Seconds that the nodes have to come up."""

GRACE = 24 * 3600.0
"""Seconds that nodes have to stop: workers wait for their services, which have their own. A second signal cuts it."""

ANSWER = 7.0
"""Seconds until a controller elsewhere that has never answered this home counts as not there; later on, as `READY`."""

TAKEN = 8.0
"""Seconds until who has a name in the cluster counts as another: if it were our own node of before, it had been missed
after three."""

WEBHOOK = "TUCANO_WEBHOOK"
"""Environment variable with the URL that notices are posted to: it may hold a secret, so it is no argument."""


class CannotStart(Exception):
    """The cluster cannot be started; its text says why and what to do."""


class Parent:
    """One cluster's processes.

    Args:
        home: all that the cluster keeps.
        plan: which nodes there are to be.

    """

    def __init__(self, home: Home, plan: Plan) -> None:
        self._home = home
        self._plan = plan
        self._system: System | None = None
        self._changing = threading.Lock()
        self._running: Running | None = None
        self.stop = threading.Event()
        self.hurry = threading.Event()

    def start(self) -> Running:
        """Start all nodes, without waiting for them.

        Raises:
            CannotStart: a port or the home is in use, or keys are missing.

        """
        webhook = os.environ.get(WEBHOOK, "")
        if webhook and not webhook.startswith(("http://", "https://")):
            raise CannotStart(f"{WEBHOOK} must be an http:// or https:// URL; unset it for no webhook")
        try:
            self._lock = self._home.lock()
        except HomeInUse as error:
            option = self._home.option
            raise CannotStart(f"{error}: `tucano status{option}` shows it, `tucano down{option}` stops it") from error
        for pid in remains.end_nodes(self._home):
            log.warning("ended process %d, a node whose parent had died", pid)
        try:
            self._running, commands = self._plan.prepare(self._home)
        except (CannotListen, KeysError, Insecure, HomeInUse) as error:
            raise CannotStart(str(error)) from error
        self._home.announce(self._running)
        self._sockets = SocketKeeper(self._home)
        _adopt_orphans()
        self._system = System("parent")
        self._system.run([Child(c.name, Keeper, {"command": c, "tell": self._on_pid}) for c in commands])
        return self._running

    def wait_until_ready(self) -> Running:
        """Wait until every node has said hello.

        Raises:
            CannotStart: not in time, nobody is at the controller's address, or another machine has the node's name.

        """
        assert self._running is not None
        names = set(self._plan.awaited)
        token = Keys(self._home).joined() if self._running.joined else None
        begun = time.monotonic()
        deadline = answer_by = begun + READY
        if token is not None and not self._home.belongs(token.cluster):
            answer_by = begun + ANSWER
        taken_until: float | None = None
        answered = False
        with Client(self._home, timeout=2.0) as client:
            missing, why = names, ""
            while missing and not self.stop.is_set():
                now = time.monotonic()
                if taken_until is not None and now > taken_until:
                    raise CannotStart(
                        f"the cluster hears another {', '.join(sorted(missing))}: a token is for one machine; stop the "
                        "other one, or make this machine a token of its own with `tucano key add NAME --role node`"
                    )
                if token is not None and not answered and now > answer_by:
                    raise CannotStart(f"nobody answers at {token.door}: is the controller up there, and its port open?")
                if now > deadline:
                    logs = ", ".join(str(self._home.log(name)) for name in sorted(missing))
                    raise CannotStart(f"not up within {READY:g} s: {', '.join(sorted(missing))}{why}; see {logs}")
                try:
                    ready = {node.name: node.pid for node in client.nodes() if node.state == "ready"}
                    with self._changing:
                        missing = {name for name in names if ready.get(name, -1) != self._running.nodes.get(name)}
                    answered = True
                    is_taken = token is not None and bool(missing & ready.keys())
                    taken_until = (taken_until or now + TAKEN) if is_taken else None
                except ClusterError as error:  # the controller is not up yet
                    if error.code == "forbidden":
                        raise CannotStart(str(error)) from error
                    why = f" ({error})"
                self.stop.wait(0.02)
        if token is not None and not missing:
            self._home.belong(token.cluster)
        with self._changing:
            self._running = msgspec.structs.replace(self._running, ready=True)
            self._home.announce(self._running)
            return self._running

    def wait_for_end(self) -> None:
        """Wait until told to stop; meanwhile bury the processes whose parent, a worker, has died."""
        assert self._system is not None
        while not self.stop.wait(0.5) and not self._system.ended.is_set():
            with self._changing:
                known = set(self._running.nodes.values()) if self._running else set()
            _bury_orphans(known)

    def end(self) -> None:
        """Stop all nodes: first the controller, so that it replaces nothing, then workers with their services."""
        system = self._system
        if system is None:
            return
        for names in self._plan.order:
            asked = [system.ref(name).ask(StopNode(GRACE), timeout=GRACE, block=False) for name in names]
            for name, future in zip(names, asked, strict=True):
                self._wait(system, name, future)
        system.stop()
        _bury_orphans(set())
        self._sockets.close()
        self._home.retract()
        for listening in self._plan.held:
            listening.close()
        os.close(self._lock)

    def _wait(self, system: System, name: str, future: Any) -> None:
        done = threading.Event()

        def wait() -> None:
            try:
                future.get(timeout=GRACE)
            except Refused as refused:
                log.error("%s: %s", name, refused)
            done.set()

        threading.Thread(target=wait, daemon=True).start()
        while not done.wait(0.1):
            if self.hurry.is_set():
                system.ref(name).tell(StopNode(0.0))
                remains.end_services(self._home, name)
                done.wait(5.0)
                return

    def _on_pid(self, name: str, pid: int) -> None:
        with self._changing:
            assert self._running is not None
            nodes = {**self._running.nodes, name: pid}
            self._running = msgspec.structs.replace(self._running, nodes=nodes)
            try:
                self._home.announce(self._running)
            except OSError as error:  # a full disk: the node runs all the same, and the next start announces it
                log.error("%s runs as %d, which cannot be written down: %s", name, pid, error)


def run(
    home: Home,
    plan: Plan,
    *,
    lifeline: bool = False,
    on_ready: Callable[[Running], None] | None = None,
) -> int:
    """Run a cluster in this process until it is told to stop: SIGTERM, SIGINT, or with `lifeline` the end of stdin.

    Returns:
        The exit status: 0 if it was told to stop.

    Raises:
        CannotStart: see `Parent`.

    """
    parent = Parent(home, plan)

    def on_signal(*_: object) -> None:
        if parent.stop.is_set():
            parent.hurry.set()
        parent.stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    if lifeline:
        threading.Thread(target=_hold_lifeline, args=(parent.stop,), daemon=True).start()
    try:
        parent.start()
        try:
            running = parent.wait_until_ready()
            if on_ready is not None and not parent.stop.is_set():
                on_ready(running)
            parent.wait_for_end()
        finally:
            parent.end()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0 if parent.stop.is_set() else 1


def _hold_lifeline(stop: threading.Event) -> None:
    while os.read(0, 1024):
        pass
    stop.set()


def _adopt_orphans() -> None:
    """Become the one that inherits processes whose parent dies, so that none stays as a zombie (prctl(2))."""
    pr_set_child_subreaper = 36
    if ctypes.CDLL(None, use_errno=True).prctl(pr_set_child_subreaper, 1, 0, 0, 0) != 0:
        log.warning("cannot adopt orphans: %s", os.strerror(ctypes.get_errno()))


def _bury_orphans(known: set[int]) -> None:
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, ChildProcessError):  # somebody was faster
            if child.pid not in known and child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)


def plan(home: Home, options: argparse.Namespace) -> Plan:
    """The plan that a command line describes; see `parser`.

    Raises:
        CannotStart: the home has joined no cluster.

    """
    entrance = Entrance(
        options.port, options.https_port, options.https_redirect, options.inside_port, options.mdp_port,
        options.access_log,
    )  # fmt: skip
    if not options.joined:
        return Here(
            options.workers, entrance, options.zmq_port, options.bridge_port, options.listen,
            balancers=options.balancers, services_host=options.services_host,
        )  # fmt: skip
    token = Keys(home).joined()
    if token is None:
        raise CannotStart(f"{home.path} has joined no cluster: `tucano {options.joined} --join FILE`")
    return Joined(token, options.address, options.bridge_port, entrance if options.joined == "balancer" else None)


def parser() -> argparse.ArgumentParser:
    """The command line of a parent; `tucano.cli` writes it."""
    made = argparse.ArgumentParser(prog="python -m tucano.parent", description="Run a cluster on this machine.")
    made.add_argument("--home", type=Path, help="what the cluster keeps (default: TUCANO_HOME, or the user's own)")
    made.add_argument("--workers", type=int, default=2)
    made.add_argument("--balancers", type=int, default=1)
    made.add_argument("--port", type=int, default=0, help="for end users' HTTP; 0: any free one")
    made.add_argument("--https-port", type=int, help="the same with TLS")
    made.add_argument("--https-redirect", action="store_true", help="send hosts with a certificate to TLS")
    made.add_argument("--inside-port", type=int, help="for this machine's own programs, on loopback")
    made.add_argument("--access-log", choices=("combined", "json"), default="combined", help="how its lines look")
    made.add_argument("--services-host", metavar="HOST", default=LOOPBACK, help="where services listen")
    made.add_argument("--mdp-port", type=int, help="for end users' ZeroMQ; 0: any free one; without: none")
    made.add_argument("--zmq-port", type=int, default=0, help="for administrators' ZeroMQ; 0: any free one")
    made.add_argument("--lifeline", action="store_true", help="stop when standard input ends")
    made.add_argument("--bridge-port", type=int, default=0, help="for nodes on other machines; 0: any free one")
    made.add_argument("--listen", metavar="HOST", help="where to listen (default: as the last time, or 127.0.0.1)")
    made.add_argument("--joined", choices=("worker", "balancer"), help="only the node whose token is in the home")
    made.add_argument("--address", metavar="HOST", help="where the cluster reaches that node")
    return made


def main() -> None:
    """Run the parent that the command line describes."""
    options = parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    home = Home(options.home) if options.home else Home.default()
    try:
        status = run(home, plan(home, options), lifeline=options.lifeline)
    except CannotStart as error:
        print(f"tucano: {error}", file=sys.stderr)
        status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
