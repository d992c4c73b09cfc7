"""Which limit a request has exceeded. Pure: a sweep looks at all open requests, none has a timer of its own."""

from typing import NamedTuple

from tucano.actors.messages import model


class Seen(NamedTuple):
    """What the sweep sees of a request.

    Attributes:
        took: Seconds since its head was there.
        quiet: Seconds in which an instance had it and nothing has moved, either way.
        tunnel: It has left HTTP.
        answering: An answer has begun to come.
        sending: The client has not sent all of its body yet.
        choked: The client does not read; that is between it and us.
        stuck: The instance does not read; else a body that stands still is the client's.
    """

    took: float
    quiet: float
    tunnel: bool
    answering: bool
    sending: bool
    choked: bool
    stuck: bool


class Late(NamedTuple):
    """What was not done, the key of the limit, and the seconds that it gives."""

    what: str
    key: str
    seconds: float


def overdue(timeouts: model.Timeouts, seen: Seen) -> Late | None:
    """The limit that a request has exceeded, if any."""
    if timeouts.request and not seen.tunnel and seen.took >= timeouts.request:
        return Late("complete its answer", "timeouts.request", timeouts.request)
    if seen.choked:
        return None
    if seen.tunnel:
        late = Late("say anything", "timeouts.tunnel", timeouts.tunnel)
    elif seen.answering:
        late = Late("go on with its answer", "timeouts.idle", timeouts.idle)
    elif seen.sending:
        if not seen.stuck:
            return None  # the client's own deadline sees to that
        late = Late("go on reading the request", "timeouts.idle", timeouts.idle)
    else:
        late = Late("begin its answer", "timeouts.first_byte", timeouts.first_byte)
    return late if seen.quiet >= late.seconds else None
