"""The access log: how a request becomes a line. Who writes the lines is `log_file`."""

import re
from collections.abc import Callable
from time import gmtime, strftime
from typing import Final, Literal

from .log_file import LogFile

_BATCH: Final = 64 * 1024  # bytes: then they are handed over without waiting for the timer
_UNSAFE = re.compile(rb"[^\x20\x21\x23-\x5b\x5d-\x7e]")

Format = Literal["combined", "json"]

_COMBINED: Final = b'%b%b%b" %d %d %b %b %.1f %b %b\n'
_JSON: Final = (
    b'{"time":"%b","client":"%b",%b,"status":%d,"bytes":%d,"duration":%.6f,'
    b'"service":%b,"instance":%b,"request_id":%b,%b,"retries":%d,"tls":%b}\n'
)


def escaped(value: bytes) -> bytes:
    r"""The value as it may stand between quotes in a log line: what is not plain is `\xNN`."""
    return _UNSAFE.sub(lambda match: b"\\x%02x" % match[0][0], value)


class AccessLog:
    """Makes a line of each request, and hands them over in batches.

    `combined` is the Combined Log Format of Apache and nginx, followed by the instance, the milliseconds, the service
    and the request's id. `json` is an object a line. In both what is not known is said so, by `-` or null.

    Args:
        file: Who writes them; None: nothing is logged.
        wall: The time of day, in seconds since 1970.
        form: How a line looks.
    """

    def __init__(self, file: LogFile | None, wall: Callable[[], float], form: Format = "combined") -> None:
        self._file = file
        self._wall = wall
        self._json = form == "json"
        self._lines: list[bytes] = []
        self._bytes = 0
        self._stamp = b""  # with what stands around it, where that is always the same
        self._tick()

    def line(self, peer: bytes, request: bytes, status: int, size: int, agent: bytes, seconds: float,
             service: bytes = b"-", instance: bytes = b"-", request_id: bytes = b"-", retries: int = 0,
             secure: bool = False) -> None:  # fmt: skip
        """Add a line.

        Args:
            peer: The client's address.
            request: The request line. Like all values it must be safe already: see `escaped`.
            status: The status of the answer.
            size: Bytes of the answer's body that were sent.
            agent: The quoted referer and user agent.
            seconds: From the request's head to the answer's end.
            service: Whom it was for.
            instance: Who answered.
            request_id: Its id.
            retries: Attempts beyond the first.
            secure: It came with TLS.
        """
        if self._file is None:
            return
        if self._json:
            line = _JSON % (
                self._stamp, peer, _asked(request), status, size, seconds, _or_null(service), _or_null(instance),
                _or_null(request_id), _agent(agent), retries, b"true" if secure else b"false",
            )  # fmt: skip
        else:
            line = _COMBINED % (
                peer, self._stamp, request, status, size, agent, instance, seconds * 1000, service, request_id,
            )  # fmt: skip
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Hand over what has gathered. Called five times a second; also moves the clock of the lines on."""
        self._tick()
        if self._file is None or not self._lines:
            return
        batch = b"".join(self._lines)
        self._lines.clear()
        self._bytes = 0
        self._file.write(batch.replace(b"\\x", b"\\u00") if self._json else batch)  # a backslash itself is \x5c

    def close(self) -> None:
        """Have everything written, if that can be done."""
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _tick(self) -> None:
        now = self._wall()
        form = "%Y-%m-%dT%H:%M:%S" if self._json else ' - - [%d/%b/%Y:%H:%M:%S +0000] "'
        self._stamp = strftime(form, gmtime(now)).encode()
        if self._json:
            self._stamp += b".%03dZ" % (now % 1 * 1000)


def _or_null(value: bytes) -> bytes:
    return b"null" if value == b"-" else b'"%b"' % value


def _asked(line: bytes) -> bytes:
    parts = line.split(b" ")
    if len(parts) == 3:
        return b'"method":"%b","target":"%b","protocol":"%b"' % tuple(parts)
    return b'"method":null,"target":"%b","protocol":null' % line  # not a request


def _agent(pair: bytes) -> bytes:
    referer, _, agent = pair.partition(b'" "')  # a quote within is escaped
    return b'"referer":%b,"user_agent":%b' % (_or_null(referer[1:]), _or_null(agent[:-1]))
