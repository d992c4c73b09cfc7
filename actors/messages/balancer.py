"""The balancer: end users' requests."""

from __future__ import annotations

from typing import Any

from tucano.actors.kernel import Message


class Loaded(Message, frozen=True):
    """Note to self: the record's answer to the watch, or a `Refused`."""

    result: Any


class WatchDue(Message, frozen=True):
    """Note to self: ask the record for routes, since something was missed."""


class RefreshDue(Message, frozen=True):
    """Note to self: ask the record for routes, as regularly."""


class RetryDue(Message, frozen=True):
    """Note to self: ask the record again, which could not be reached."""


class Registered(Message, frozen=True):
    """Note to self: the worker manager's answer to our hello, or a `Refused`."""

    result: Any


class CacheDue(Message, frozen=True):
    """Note to self: the record is away, so begin to serve with what is kept."""


class SaveDue(Message, frozen=True):
    """Note to self: keep the routes for the next incarnation."""


class DrainDue(Message, frozen=True):
    """Note to self: look whether draining instances have open requests."""


class ListenDue(Message, frozen=True):
    """Note to self: look whether users can connect to the tcp services."""


class ShowTraffic(Message, frozen=True):
    """Answered with `Traffic`."""


class ServiceTraffic(Message, frozen=True):
    """One service's counts since the balancer started.

    Requests of a tcp service are its connections; received from users and sent to them: its bytes.
    """

    service: str
    requests: int
    errors: int
    retries: int
    in_flight: int
    received: int = 0
    sent: int = 0


class Traffic(Message, frozen=True):
    """See `ShowTraffic`."""

    services: tuple[ServiceTraffic, ...]
