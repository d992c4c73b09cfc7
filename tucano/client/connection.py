"""Operations asked of a cluster's gateway, again and again if they may be, until they are answered."""

from __future__ import annotations

import threading
import time
from typing import Any, Self, TypeVar

import msgspec

from tucano.client.channel import Channel, Denied, Fault, Lost
from tucano.client.failures import ClusterError
from tucano.client.reach import Reach, by_home, by_token
from tucano.home import Home
from tucano.token import Token
from tucano.transport.security import Insecure

T = TypeVar("T")

REPEATABLE = frozenset(
    (
        "status", "nodes", "services", "show", "artifact", "upload", "scale", "events", "logs", "ps", "trace", "traces",
        "traffic",
    )
)  # fmt: skip
"""What may be asked twice."""


class Connection:
    """One cluster, for one or several threads; a request at a time.

    Args:
        home: of the cluster.
        address: of its gateway, if it is not to be read from the home.
        timeout: seconds that a request may take.
        token: how to reach it, if that is not to be read from the home.

    """

    def __init__(
        self, home: Home, address: str | None = None, timeout: float = 10.0, token: Token | None = None
    ) -> None:
        self.home = home
        self.timeout = timeout
        self._fixed = by_token(token) if token is not None else Reach(address) if address is not None else None
        self._channel = Channel(self.reach)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._channel.close()

    def reach(self) -> Reach:
        """How the gateway is reached.

        Raises:
            NoCluster: no cluster runs from the home.
            BadKeys: the keys of the home cannot be used.

        """
        return by_home(self.home) if self._fixed is None else self._fixed

    def address(self) -> str:
        """The gateway's endpoint; raises as `reach`."""
        return self.reach().address

    def ask(self, op: str, args: dict[str, Any], kind: type[T], timeout: float | None = None) -> T:
        """One operation of the wire, by its name.

        Args:
            op: the operation.
            args: its arguments.
            kind: what the answer is.
            timeout: seconds, instead of the client's own.

        Raises:
            ClusterError: refused, or no answer.
            NoCluster: there is no cluster any more.

        """
        timeout = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + timeout
        while True:
            try:
                with self._lock:
                    answer = self._channel.request(op, args, max(0.0, deadline - time.monotonic()))
                fault = answer.error
            except (Denied, Insecure) as denied:
                raise ClusterError("forbidden", f"{self.address()}: {denied}") from denied
            except Lost as lost:
                if lost.sent and not lost.late and op not in REPEATABLE:
                    raise ClusterError(
                        "unavailable", f"{lost} while it was asked to {op}: whether that was done is not known"
                    ) from lost
                fault = Fault("timeout" if lost.late else "unavailable", str(lost))
                if lost.late:
                    raise self._silent(op, timeout, fault) from lost
            if fault is None:
                return msgspec.msgpack.decode(answer.ok, type=kind)
            if fault.code != "unavailable" or op not in REPEATABLE:
                raise ClusterError(fault.code, fault.message)
            if time.monotonic() > deadline:
                raise self._silent(op, timeout, fault)
            time.sleep(0.02)  # a controller that is just coming back

    def _silent(self, op: str, timeout: float, fault: Fault) -> ClusterError:
        """Says that the controller did not answer in time."""
        where = f"see {self.home.logs}" if self._fixed is None else "is the address right?"
        return ClusterError(
            "timeout", f"the controller did not answer `{op}` within {timeout:g} s ({fault.message}); {where}"
        )
