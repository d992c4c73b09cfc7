"""The balancer: end users' requests."""

from __future__ import annotations

from typing import Any

from tucano.actors.kernel import Message, Note


class Loaded(Note, frozen=True):
    """Note to self: the record's answer to the watch, or a `Refused`."""

    result: Any


class WatchDue(Note, frozen=True):
    """Note to self: ask the record for routes, since something was missed."""


class RefreshDue(Note, frozen=True):
    """Note to self: ask the record for routes, as regularly."""


class RetryDue(Note, frozen=True):
    """Note to self: ask the record again, which could not be reached."""


class Registered(Note, frozen=True):
    """Note to self: the worker manager's answer to our hello, or a `Refused`."""

    result: Any


class CacheDue(Note, frozen=True):
    """Note to self: the record is away, so begin to serve with what is kept."""


class SaveDue(Note, frozen=True):
    """Note to self: keep the routes for the next incarnation."""


class DrainDue(Note, frozen=True):
    """Note to self: look whether draining instances have open requests."""


class ShowTraffic(Message, frozen=True):
    """Answered with `Traffic`."""


class ServiceTraffic(Message, frozen=True):
    """One service's counts since the balancer started."""

    service: str
    requests: int
    errors: int
    retries: int
    in_flight: int


class Traffic(Message, frozen=True):
    """See `ShowTraffic`."""

    services: tuple[ServiceTraffic, ...]
