"""The Python client: what the command line does, as methods.

```python
with tucano.connect() as cluster:
    cluster.deploy(Path("hello"))
    print(cluster.services())
```

A request that may be repeated without harm (a look, a piece of an upload, a scale) is repeated until its time is up,
so that a controller which is being restarted is a pause and not an error. The others are sent once.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path

from tucano.client import verdict, waiting
from tucano.client.answers import (
    Accepted,
    Event,
    LogChunk,
    NodeInfo,
    OnProgress,
    ServiceDetail,
    ServiceInfo,
    StatusInfo,
    TrafficInfo,
)
from tucano.client.connection import Connection
from tucano.client.failures import ClusterError, DeployFailed
from tucano.client.follower import Follower
from tucano.client.insight import Conversation, ConversationInfo, NodeActors
from tucano.client.reach import read_token, token_of_environment
from tucano.home import Home


def connect(
    home: Path | None = None,
    address: str | None = None,
    timeout: float = 10.0,
    *,
    token: str | Path | None = None,
) -> Client:
    """A client of a cluster, on this machine or, with a token, on another.

    Args:
        home: of the cluster, or that was logged in to one; without this, an address and a token, `TUCANO_TOKEN_FILE`
            (a file) and `TUCANO_TOKEN` are looked for in the environment, then the default home.
        address: of a gateway on this machine that wants no keys, such as `tcp://127.0.0.1:4100`, instead of a home.
        timeout: seconds that a request may take.
        token: that `tucano key add` printed, or the file that holds it, instead of a home.

    Raises:
        NoCluster: none runs there.
        BadKeys: the token, or the keys of the home, cannot be used.

    """
    found = read_token(token) if token is not None else None
    if found is None and home is None and address is None:
        found = token_of_environment()
    client = Client(Home(home) if home else Home.default(), address, timeout, found)
    client.reach()
    return client


class Client(Connection):
    """One cluster, for one or several threads; a request at a time. `Connection` says what it is made of."""

    # Looks

    def status(self, timeout: float | None = None) -> StatusInfo:
        """The cluster in one look."""
        return self.ask("status", {}, StatusInfo, timeout)

    def nodes(self) -> list[NodeInfo]:
        """Its processes."""
        return self.ask("nodes", {}, dict[str, list[NodeInfo]])["nodes"]

    def services(self) -> list[ServiceInfo]:
        """What it runs."""
        return self.ask("services", {}, dict[str, list[ServiceInfo]])["services"]

    def show(self, name: str, timeout: float | None = None) -> ServiceDetail:
        """All about one service; `ClusterError` with code `not_found` if there is none of that name."""
        return self.ask("show", {"name": name}, ServiceDetail, timeout)

    def ps(self, node: str | None = None) -> list[NodeActors]:
        """The actors of a node, or of all."""
        return self.ask("ps", {"node": node}, dict[str, list[NodeActors]])["nodes"]

    def trace(self, trace: str) -> Conversation:
        """What was said between all actors in one conversation, such as the one that a command began.

        Args:
            trace: its id, as `Accepted.trace` has it and `traces` lists it.

        Raises:
            ClusterError: `not_found`: no node remembers it; `bad_request`: it is no id.

        """
        return self.ask("trace", {"id": trace}, Conversation)

    def traces(self) -> list[ConversationInfo]:
        """The conversations that the nodes remember, the latest first."""
        return self.ask("traces", {}, dict[str, list[ConversationInfo]])["traces"]

    def traffic(self, service: str = "") -> list[TrafficInfo]:
        """Users' requests by service; of the named one, by instance, too."""
        return self.ask("traffic", {"service": service} if service else {}, dict[str, list[TrafficInfo]])["services"]

    def events(self, since: int = -20) -> list[Event]:
        """What happened after event number `since`; a negative number means that many of the last ones."""
        return self.ask("events", {"since": since, "follow": False}, dict[str, list[Event]])["events"]

    def read_log(self, instance: str, offset: int = -65_536, limit: int = 65_536, *, build: bool = False) -> LogChunk:
        """A piece of an instance's output, or of its build's.

        Args:
            instance: its id.
            offset: byte to begin at; negative counts from the end.
            limit: bytes at most.
            build: the build's output instead.

        """
        return self.ask("logs", {"id": instance, "offset": offset, "limit": limit, "build": build}, LogChunk)

    def follow_log(self, instance: str, *, build: bool = False, offset: int = -65_536) -> Generator[bytes]:
        """An instance's output as it comes, until the instance is gone; `b""` when nothing has come for a while."""
        while True:
            try:
                chunk = self.read_log(instance, offset, build=build)
            except ClusterError as error:
                if error.code == "not_found":
                    return
                raise
            offset = chunk.next
            yield chunk.data
            if not chunk.data:
                time.sleep(waiting.LOOK)

    def follow_events(self, last: int = 10) -> Generator[Event]:
        """The last events, then all others as they happen, without end.

        Args:
            last: how many of the past to begin with.

        Raises:
            ClusterError: `forbidden`: our key may not follow them, or no longer: it was revoked.

        """
        with Follower(self.reach, last) as follower:
            while True:
                if event := follower.next(1.0):
                    yield event

    # Commands

    def scale(self, name: str, replicas: int) -> Accepted:
        """Want so many instances of a service; `wait_until_scaled` waits for them."""
        return self.ask("scale", {"name": name, "replicas": replicas}, Accepted)

    def restart(self, name: str) -> Accepted:
        """Replace all instances by new ones of the same content; `wait_for_rollout` waits for them."""
        return self.ask("restart", {"name": name}, Accepted)

    def undeploy(self, name: str) -> Accepted:
        """Stop a service and forget it; `wait_until_gone` waits for its end."""
        return self.ask("undeploy", {"name": name}, Accepted)

    def deploy(
        self,
        directory: Path | str,
        *,
        replicas: int | None = None,
        wait: bool = True,
        timeout: float = 900.0,
        progress: OnProgress | None = None,
    ) -> Accepted:
        """Deploy the directory of a service: check, pack, upload what the cluster lacks, roll out, wait.

        Args:
            directory: where its `tucano.toml` is.
            replicas: instances wanted, instead of what the file says.
            wait: until the new revision serves.
            timeout: seconds for all of it.
            progress: told of each step.

        Raises:
            SpecError: the `tucano.toml` is wrong; nothing has been sent.
            ArtifactError: the directory cannot be packed; nothing has been sent.
            DeployFailed: it did not become ready; the revision before, if there was one, still serves.
            ClusterError: the cluster refused it, or it was not done in time.

        """
        from tucano.client import delivery  # half of the time that importing the client would take, and few need it

        deadline = time.monotonic() + timeout
        accepted = delivery.deliver(self, Path(directory), replicas, deadline, progress)
        if wait:
            try:
                self.wait_for_rollout(accepted.service, accepted.revision, deadline - time.monotonic(), progress)
            except DeployFailed as failed:
                failed.trace = accepted.trace
                raise
        return accepted

    def wait_for_rollout(
        self, name: str, revision: int, timeout: float = 900.0, progress: OnProgress | None = None
    ) -> None:
        """Wait until a revision serves.

        Raises:
            DeployFailed: it will not.
            ClusterError: not in time.

        """
        outcome = waiting.until(self, name, lambda shown: verdict.rollout(shown, revision), timeout, progress)
        if isinstance(outcome, verdict.Failed):
            raise DeployFailed(name, revision, outcome.why)

    def wait_until_scaled(
        self, name: str, replicas: int, timeout: float = 120.0, progress: OnProgress | None = None
    ) -> None:
        """Wait until a service has as many instances as wanted, all ready.

        Raises:
            ClusterError: it will not, or not in time.

        """
        outcome = waiting.until(self, name, lambda shown: verdict.scaled(shown, replicas), timeout, progress)
        if isinstance(outcome, verdict.Failed):
            raise ClusterError("conflict", f"{name}: {outcome.why}")

    def wait_until_gone(self, name: str, timeout: float = 120.0, progress: OnProgress | None = None) -> None:
        """Wait until a service is undeployed.

        Raises:
            ClusterError: it will not, or not in time.

        """
        outcome = waiting.until(self, name, verdict.undeployed, timeout, progress)
        if isinstance(outcome, verdict.Failed):
            raise ClusterError("conflict", f"{name}: {outcome.why}")

    def look(self, name: str, deadline: float) -> ServiceDetail | None:
        """A service, or None; tries until `deadline` while the controller is away."""
        while True:
            try:
                return self.show(name, timeout=max(0.1, min(self.timeout, deadline - time.monotonic())))
            except ClusterError as error:
                if error.code == "not_found":
                    return None
                if error.code not in ("timeout", "unavailable") or time.monotonic() > deadline:
                    raise
