"""What can go wrong between a person and a cluster. Every text is for a person."""

from __future__ import annotations

from tucano.home import Home
from tucano.keys import Keys


class ClientError(Exception):
    """What can go wrong between a client and a cluster; the text is for a person."""


class NoCluster(ClientError):
    """No cluster runs there."""


class ClusterError(ClientError):
    """The cluster refused or did not answer.

    Attributes:
        code: the wire's code (`not_found`, `conflict`, `unavailable`, ...), or `timeout`.
        message: for a person.

    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class DeployFailed(ClientError):
    """A rollout that did not become what was wanted.

    Attributes:
        service: its name.
        revision: the number that failed.
        detail: why.
        trace: the conversation that the deployment began; empty if it is not known.

    """

    def __init__(self, service: str, revision: int, detail: str, trace: str = "") -> None:
        super().__init__(f"revision {revision} of {service} failed: {detail}")
        self.service = service
        self.revision = revision
        self.detail = detail
        self.trace = trace


def not_running(home: Home) -> NoCluster:
    """Says that no cluster runs from a home, or not the node that has joined one, and how to start it."""
    role = Keys(home).joined_as()
    what = role or "cluster"
    start = f"it with `tucano {role} --detach" if role else "one with `tucano up --workers 2"
    start = f"start {start}{home.option}`"
    if home.announced() is not None:
        return NoCluster(
            f"the {what} that ran from {home.path} is gone without having been stopped: {start},"
            f" or clear up what it left with `tucano down{home.option}`"
        )
    return NoCluster(f"no {what} runs from {home.path}: {start}")
