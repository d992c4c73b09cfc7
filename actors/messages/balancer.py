"""The balancer: end users' requests."""

from __future__ import annotations

from typing import Any

from tucano.actors.kernel import Message, Note
from tucano.actors.messages.latency import Latency


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


class CertificatesDue(Note, frozen=True):
    """Note to self: look whether certificates have changed."""


class ListenDue(Note, frozen=True):
    """Note to self: look whether users can connect to the tcp services."""


class ShowTraffic(Message, frozen=True):
    """Answered with `Traffic`.

    Attributes:
        service: of which to tell each instance's, too; empty for none.

    """

    service: str = ""


class InstanceTraffic(Message, frozen=True):
    """What one instance did since the balancer first heard of it; the counts as those of `ServiceTraffic`."""

    instance: str
    in_flight: int = 0
    retries: int = 0
    received: int = 0
    sent: int = 0
    ejections: int = 0
    classes: tuple[int, ...] = ()
    latency: Latency = Latency()


class ServiceTraffic(Message, frozen=True):
    """One service's counts since the balancer started; of a tcp service the requests are its connections.

    Attributes:
        service: its name.
        requests: those that came.
        errors: those that the balancer answered itself with a status of the 500s.
        retries: attempts that failed and were followed by another.
        in_flight: requests that are open now.
        received: bytes of bodies that came from users; of a tcp service all bytes.
        sent: the same that went to users.
        ejections: how often an instance was left alone for a while, since it failed again and again.
        classes: answers by the first digit of their status, from 0; 4 counts users that left, too.
        latency: how long requests took, from their head to their answer's end; without tunnels.
        instances: each instance's, if they were asked for.

    """

    service: str
    requests: int
    errors: int
    retries: int
    in_flight: int
    received: int = 0
    sent: int = 0
    ejections: int = 0
    classes: tuple[int, ...] = ()
    latency: Latency = Latency()
    instances: tuple[InstanceTraffic, ...] = ()


class Traffic(Message, frozen=True):
    """See `ShowTraffic`."""

    services: tuple[ServiceTraffic, ...]
