"""Several data paths as one: users come in by HTTP and TCP, and by ZeroMQ if there is a port for that."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from .table import Service, ServiceStats


class DataPath(Protocol):
    """What carries users' requests to instances, in threads of its own. All but `start` and `stop` never wait."""

    def start(self) -> None:
        """Begin to serve."""

    def apply(self, services: Mapping[str, Service]) -> None:
        """Make these the routes, in place of those before; those of another protocol are somebody else's."""

    def in_flight(self) -> dict[str, int]:
        """Open requests by instance; until a table is in effect one more for each instance that it takes out."""

    def stats(self, detail: str = "") -> dict[str, ServiceStats]:
        """What happened to the requests of each service; of the service `detail` each instance's, too."""

    def hearing(self) -> dict[str, str]:
        """By port of a tcp service: why users cannot connect; empty if they can; missing as long as nobody knows."""

    def leave(self, patience: float) -> None:
        """Accept no more, and end connections without an open request after `patience` seconds; `stop` is to come."""

    def stop(self, grace: float, *, patient: bool = False) -> None:
        """Take nothing new, let open requests end within `grace` seconds, close everything; `patient`: as `leave`."""


class Fronts:
    """Several data paths as one.

    Args:
        paths: They start in this order, and stop in it.
        clock: Seconds, monotonic.
    """

    def __init__(self, paths: Sequence[DataPath], clock: Callable[[], float] = time.monotonic) -> None:
        self._paths = paths
        self._clock = clock

    def start(self) -> None:
        """See `DataPath`."""
        for path in self._paths:
            path.start()

    def apply(self, services: Mapping[str, Service]) -> None:
        """See `DataPath`."""
        for path in self._paths:
            path.apply(services)

    def in_flight(self) -> dict[str, int]:
        """See `DataPath`."""
        counts: Counter[str] = Counter()
        for path in self._paths:
            counts.update(path.in_flight())
        return counts

    def stats(self, detail: str = "") -> dict[str, ServiceStats]:
        """See `DataPath`."""
        return {name: stats for path in self._paths for name, stats in path.stats(detail).items()}

    def hearing(self) -> dict[str, str]:
        """See `DataPath`."""
        return {port: why for path in self._paths for port, why in path.hearing().items()}

    def leave(self, patience: float) -> None:
        """See `DataPath`."""
        for path in self._paths:
            path.leave(patience)

    def stop(self, grace: float, *, patient: bool = False) -> None:
        """See `DataPath`; together they take no longer than one."""
        until = self._clock() + grace
        for path in self._paths:
            path.stop(max(0.0, until - self._clock()), patient=patient)
