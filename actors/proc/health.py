"""Health checks, made without blocking an actor: one thread with an event loop for all instances of a process."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

FASTEST: Final = 0.005
"""Seconds between two looks at an instance that has just been started: a connection that is refused costs ~50 us."""

SLOWEST: Final = 0.25
"""Seconds between two looks at an instance that takes long to start."""

SHARE: Final = 1 / 50
"""Between the two: this part of the time that it has taken so far, so that looking adds 2 % to a start at most."""

MAX_HEAD: Final = 64 << 10
"""Bytes of an answer that are read."""

DRAIN: Final = 0.5
"""Seconds in which the rest of a good answer is read."""


class Target(NamedTuple):
    """What to check.

    Attributes:
        host: address.
        port: TCP port.
        service: goes into `Host`.
        path: what to GET; empty: that it accepts a connection is enough.
        timeout: seconds.

    """

    host: str
    port: int
    service: str
    path: str
    timeout: float

    def __str__(self) -> str:
        return f"GET {self.path} on port {self.port}" if self.path else f"a connection to port {self.port}"


class Answer(NamedTuple):
    """Attributes: healthy: whether it may have users; said: what it said, for a person."""

    healthy: bool
    said: str


class Check:
    """A check under way.

    Attributes:
        last: the last answer, healthy or not.

    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.last = Answer(False, "not asked yet")
        self.task: asyncio.Task[None] | None = None
        self.cancelled = False


class Checks:
    """Makes checks as long as somebody has joined; any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def join(self) -> None:
        """Checks will be wanted."""
        with self._lock:
            self._users += 1
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(self._loop,), name="tucano-health", daemon=True).start()

    def leave(self) -> None:
        """None will be wanted; once for each `join`."""
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._loop is not None:
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._loop = None

    def once(self, target: Target, tell: Callable[[Answer], None]) -> Check:
        """Check, and call `tell`, which must be quick, with the answer."""
        return self._begin(Check(target), tell, until_healthy=False)

    def until_healthy(self, target: Target, tell: Callable[[Answer], None]) -> Check:
        """Check until it is healthy, often at first; call `tell` then. `Check.last` says how it goes."""
        return self._begin(Check(target), tell, until_healthy=True)

    def cancel(self, check: Check) -> None:
        """Its answer is not wanted any more."""
        check.cancelled = True

        def cancel() -> None:
            if check.task is not None:
                check.task.cancel()

        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(cancel)

    def _begin(self, check: Check, tell: Callable[[Answer], None], *, until_healthy: bool) -> Check:
        def begin() -> None:
            if not check.cancelled:
                check.task = asyncio.get_running_loop().create_task(_work(check, tell, until_healthy=until_healthy))

        with self._lock:
            if self._loop is None:
                raise RuntimeError("join before checking")
            self._loop.call_soon_threadsafe(begin)
        return check


async def _work(check: Check, tell: Callable[[Answer], None], *, until_healthy: bool) -> None:
    began = time.monotonic()
    while True:
        connection = None
        try:
            try:
                async with asyncio.timeout(check.target.timeout):
                    connection = await _connect(check.target)
                    check.last = await _ask(check.target, connection)
            except TimeoutError:
                check.last = Answer(False, f"no answer within {check.target.timeout:g} s")
            except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                check.last = Answer(False, _in_words(error))
            over = check.last.healthy or not until_healthy
            if over and not check.cancelled:
                tell(check.last)
            if connection is not None and check.last.healthy and check.target.path:
                await _drain(connection[0])
        finally:
            if connection is not None:
                connection[1].close()
        if over:
            return
        await asyncio.sleep(min(max((time.monotonic() - began) * SHARE, FASTEST), SLOWEST))


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _connect(target: Target) -> Connection:
    """A connection; without the machinery of `open_connection` as long as it is refused, which is often."""
    plain = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        await asyncio.get_running_loop().sock_connect(plain, (target.host, target.port))
        if plain.getsockname() == plain.getpeername():
            raise ConnectionRefusedError  # it found its own port: nobody listens there
        return await asyncio.open_connection(sock=plain, limit=MAX_HEAD)
    except BaseException:
        plain.close()
        raise


async def _ask(target: Target, connection: Connection) -> Answer:
    if not target.path:
        return Answer(True, "accepted the connection")
    reader, writer = connection
    writer.write(
        f"GET {target.path} HTTP/1.1\r\nHost: {target.service}\r\nUser-Agent: tucano-health\r\n"
        "Accept: */*\r\nConnection: close\r\n\r\n".encode("ascii")
    )
    while True:
        line = (await reader.readuntil(b"\n")).decode("latin-1").strip()
        version, _, rest = line.partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit() or len(rest[:3]) < 3:
            return Answer(False, f"answered {line[:80]!r}, which is no HTTP/1.1")
        status = int(rest[:3])
        if status >= 200:
            return Answer(status < 400, f"status {status}")
        while (await reader.readuntil(b"\n")).strip():
            pass  # an interim answer (RFC 9110, 15.2): its head ends with an empty line, and the real one follows


async def _drain(reader: asyncio.StreamReader) -> None:
    """Read what is left of a good answer, so that the service does not see a reset connection."""
    try:
        async with asyncio.timeout(DRAIN):
            left = MAX_HEAD
            while left > 0 and (data := await reader.read(left)):
                left -= len(data)
    except (TimeoutError, OSError):
        pass  # the verdict stands; this was only politeness


def _in_words(error: Exception) -> str:
    match error:
        case ConnectionRefusedError():
            return "connection refused"
        case ConnectionResetError() | asyncio.IncompleteReadError():
            return "it closed the connection without an answer"
        case asyncio.LimitOverrunError():
            return f"a line of its answer is longer than {MAX_HEAD} bytes"
        case OSError():
            return error.strerror or str(error)
        case _:
            return str(error)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        for task in (tasks := asyncio.all_tasks(loop)):
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(asyncio.sleep(0))  # lets closed connections go
    finally:
        loop.close()


CHECKS: Final = Checks()
"""This process's one."""
