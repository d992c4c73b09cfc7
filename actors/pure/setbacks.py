"""How fast instances that fail again and again after a good rollout are replaced, and where none is to go. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tucano.actors.kernel import Law
from tucano.actors.kernel.restart import GiveUp, History, crashed
from tucano.actors.messages.model import Worker

LAW = Law(intensity=1000, period=600.0, first=0.0, base=1.0, ceiling=60.0)
"""A failure a second first, a minute apart in the end."""

REFUSING = 60.0
"""Seconds for which a worker that could not take an instance is given none, if another can take it."""


class Setbacks:
    """The failures of each service's instances, and the workers that can take none."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._histories: dict[str, History] = {}
        self._failed_on: dict[str, str] = {}
        self._refusing: dict[str, float] = {}  # worker -> until when

    def note(self, service: str, node: str, now: float, chance: Callable[[], float]) -> None:
        """An instance has failed.

        Args:
            service: its service.
            node: where.
            now: seconds, monotonic.
            chance: a number from 0 to 1, for the jitter.

        """
        self._failed_on[service] = node
        verdict = crashed(LAW, self._histories.get(service, History()), now, chance)
        if isinstance(verdict, GiveUp):
            self._until[service] = now + LAW.ceiling
        else:
            self._until[service], self._histories[service] = now + verdict.after, verdict.history

    def hold(self, service: str, now: float) -> bool:
        """Nothing is to be made for it yet."""
        return self._until.get(service, 0.0) > now

    def avoid(self, service: str) -> frozenset[str]:
        """The worker where an instance of it failed last, if any."""
        return frozenset({self._failed_on[service]} if service in self._failed_on else ())

    def refuse(self, node: str, now: float) -> None:
        """A worker cannot take an instance, of whatever service."""
        self._refusing[node] = now + REFUSING

    def willing(self, workers: Iterable[Worker], now: float) -> list[Worker]:
        """Those who have refused nothing lately."""
        return [worker for worker in workers if self._refusing.get(worker.name, now) <= now]

    def pardon(self, service: str) -> None:
        """Somebody wants something new of it: what was counts no more, but for where it was."""
        self._until.pop(service, None)
        self._histories.pop(service, None)

    def forget(self, service: str) -> None:
        """It is gone."""
        self.pardon(service)
        self._failed_on.pop(service, None)
