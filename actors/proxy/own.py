"""Answers of the balancer itself: each says what happened and what to do."""

import json
from http import HTTPStatus
from typing import NamedTuple


class Own(NamedTuple):
    """An answer of our own.

    Attributes:
        status: The status.
        what: What happened, a sentence.
        do: What the reader can do, a sentence.
        lines: Further header lines, each with its CRLF.
    """

    status: HTTPStatus
    what: str
    do: str
    lines: bytes = b""

    def render(self, *, request_id: bytes, as_json: bool, bare: bool, end: bytes) -> bytes:
        """As bytes for the client.

        Args:
            request_id: The request's.
            as_json: Say it in JSON rather than in plain text.
            bare: Leave the body out, as for HEAD.
            end: How the head ends: `STAYS`, `STAYS_10` or `CLOSES`.
        """
        status, what, do, lines = self
        if as_json:
            kind = b"application/json"
            said = {"status": int(status), "error": status.phrase, "what": what, "do": do}
            said["request_id"] = request_id.decode()
            body = json.dumps(said).encode() + b"\n"
        else:
            kind = b"text/plain; charset=utf-8"
            body = f"{int(status)} {status.phrase}: {what}\n{do}\n".encode()
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            lines += b"Retry-After: 1\r\n"
        head = b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nX-Request-Id: %b\r\n%b%b" % (
            status,
            status.phrase.encode(),
            kind,
            len(body),
            request_id,
            lines,
            end,
        )
        return head if bare else head + body


def unknown(service: str) -> Own:
    """No such service."""
    return Own(
        HTTPStatus.NOT_FOUND,
        f"no service is called {service or '(no Host)'}, or has this host and path.",
        "`tucano services` lists the names, `tucano show NAME` says where it is reached.",
    )


def no_instance(service: str) -> Own:
    """The service has no ready instance, and none is expected."""
    what = f"{service} has no ready instance."
    return Own(HTTPStatus.SERVICE_UNAVAILABLE, what, f"`tucano show {service}` says why; try again in a second.")


def crowded(service: str) -> Own:
    """Too many requests are held already."""
    what = f"{service} has no ready instance, and too many requests wait for one."
    return Own(HTTPStatus.SERVICE_UNAVAILABLE, what, "Try again in a second.")


def in_vain(service: str) -> Own:
    """The request was held, and the time is over."""
    what = f"no instance of {service} took the request in time."
    return Own(HTTPStatus.SERVICE_UNAVAILABLE, what, "Try again in a second.")


def full(service: str) -> Own:
    """All instances have as many requests as they may, and so has the queue."""
    what = f"all instances of {service} have as many requests as they may."
    return Own(HTTPStatus.SERVICE_UNAVAILABLE, what, "Try again in a second.")


def spent(service: str) -> Own:
    """The request may be tried again, but too many are."""
    what = f"an instance of {service} failed, and too many requests are being tried again already."
    return Own(HTTPStatus.SERVICE_UNAVAILABLE, what, "Try again in a second.")


def late(service: str, what: str, key: str, seconds: float) -> Own:
    """Something took longer than the service's description allows."""
    happened = f"the instance of {service} did not {what} within {seconds:g} s ({key})."
    return Own(
        HTTPStatus.GATEWAY_TIMEOUT, happened, "It may or may not have done what was asked; look before asking again."
    )


def nonsense(service: str, why: str) -> Own:
    """An instance broke the rules of HTTP."""
    what = f"the instance of {service} answered what is not HTTP: {why}."
    return Own(HTTPStatus.BAD_GATEWAY, what, "Look at the instance; another request may reach another one.")


def closed_early(service: str) -> Own:
    """An instance closed before it answered, and the request may not be repeated."""
    what = f"the instance of {service} closed the connection before it answered."
    do = "It may or may not have done what was asked; look before asking again."
    return Own(HTTPStatus.BAD_GATEWAY, what, do)


def moved(location: bytes) -> Own:
    """The same is to be asked with TLS."""
    where = location.decode("ascii")
    what = "this host is to be asked with TLS."
    return Own(HTTPStatus.PERMANENT_REDIRECT, what, f"Ask {where}.", b"Location: %b\r\n" % location)


def refused(why: str, status: HTTPStatus) -> Own:
    """What the client sent breaks a rule."""
    return Own(status, f"{why}.", "Send a request that follows RFC 9112; this connection is closed.")
