"""Who tells at once when a process has ended: one thread, an epoll over pidfds, and no polling.

A process counts as ended when its whole session has: what it leaves behind is killed (or, while it is being stopped,
has the rest of its grace), so that no orphan holds a port or a workspace.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from typing import Final

from tucano.actors.proc.process import Process, kill_orphans, kill_session, present, send, session

log = logging.getLogger("tucano.exits")

UNKILLABLE: Final = 5.0
"""Seconds after SIGKILL for which the rest of a session is waited for: one that sits in the kernel may stay forever."""

Tell = Callable[[int | None], None]


class _Watch:
    def __init__(self, process: Process, tell: Tell, descriptor: int) -> None:
        self.process = process
        self.tell = tell
        self.main = descriptor
        self.ended = False  # the main process
        self.rest: dict[int, int] = {}  # pidfd -> pid of others of the session, once the main process has ended
        self.kill_at: float | None = None
        self.give_up_at: float | None = None

    def due(self) -> float | None:
        times = [when for when in (self.kill_at, self.give_up_at) if when is not None]
        return min(times, default=None)


class Exits:
    """Watches processes; children of this process are reaped. Any thread may call.

    The thread exists as long as something is watched.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches: dict[Process, _Watch] = {}
        self._by_descriptor: dict[int, _Watch] = {}
        self._thread: threading.Thread | None = None
        self._epoll: select.epoll
        self._bell = -1

    def watch(self, process: Process, tell: Tell) -> None:
        """Call `tell(status)` once when the process and all of its session have ended; at once if they have.

        Args:
            process: whom; watching it again replaces the earlier `tell`.
            tell: quick, called in another thread, with the exit status, minus the signal that killed it, or None if
                it is nobody's to know (not a child of this process).

        """
        with self._lock:
            self._forget(process)
            try:
                descriptor = os.pidfd_open(process.pid)
            except ProcessLookupError:
                descriptor = -1
            # looked at after it was opened: from here on the descriptor means this process and no other
            if descriptor >= 0 and present(process):
                watch = _Watch(process, tell, descriptor)
                self._run_thread()
                self._watches[process] = watch
                self._register(descriptor, watch)
                return
            if descriptor >= 0:
                os.close(descriptor)
        kill_orphans(process)
        tell(None)

    def unwatch(self, process: Process) -> None:
        """Watch it no more; it goes on as it is."""
        with self._lock:
            self._forget(process)
            self._ring()

    def stop(self, process: Process, grace: float) -> None:
        """Stop a watched process: SIGTERM to its group, after `grace` seconds SIGKILL to all of its session."""
        with self._lock:
            watch = self._watches.get(process)
            if watch is None:
                return
            kill_at = time.monotonic() + grace
            if watch.kill_at is None or kill_at < watch.kill_at:
                watch.kill_at = kill_at
            if grace > 0 and not watch.ended:
                send(process.pid, signal.SIGTERM, group=True)
            self._ring()

    def _run_thread(self) -> None:
        if self._thread is None:
            self._epoll = select.epoll()
            self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self._epoll.register(self._bell, select.EPOLLIN)
            self._thread = threading.Thread(target=self._run, name="tucano-exits", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._watches:
                    self._epoll.close()
                    os.close(self._bell)
                    self._thread = None
                    return
                due = min((due for watch in self._watches.values() if (due := watch.due()) is not None), default=None)
            events = self._epoll.poll(None if due is None else max(0.0, due - time.monotonic()))
            with self._lock:
                ended = self._handle([descriptor for descriptor, _ in events])
            for watch, status in ended:
                watch.tell(status)

    def _handle(self, descriptors: list[int]) -> list[tuple[_Watch, int | None]]:
        touched = set()
        for descriptor in descriptors:
            watch = self._by_descriptor.get(descriptor)
            if watch is not None and _is_readable(descriptor):
                del self._by_descriptor[descriptor]
                self._epoll.unregister(descriptor)
                touched.add(watch)
                if descriptor == watch.main:
                    watch.ended = True  # stays open: it is reaped through it
                else:
                    del watch.rest[descriptor]
                    os.close(descriptor)
            elif descriptor == self._bell:
                os.eventfd_read(self._bell)
        now = time.monotonic()
        touched |= {watch for watch in self._watches.values() if (due := watch.due()) is not None and due <= now}
        ended = []
        for watch in touched:
            if self._is_over(watch, now):
                ended.append((watch, _reap(watch.main)))
                self._forget(watch.process)
        return ended

    def _is_over(self, watch: _Watch, now: float) -> bool:
        """Do what is due for a watch, and say whether nothing of its session is left."""
        leader = watch.process.pid
        has_grace = watch.kill_at is not None and now < watch.kill_at
        if not watch.ended:
            if watch.kill_at is not None and not has_grace:
                watch.kill_at = None
                kill_session(leader)
            return False
        rest = session(leader) - {leader}
        if not rest:
            return True
        if watch.give_up_at is not None and now >= watch.give_up_at:
            log.warning("processes %s of session %d do not die of SIGKILL", sorted(rest), leader)
            return True
        if not has_grace:
            watch.kill_at = None
            watch.give_up_at = watch.give_up_at or now + UNKILLABLE
            kill_session(leader)
        for pid in rest - set(watch.rest.values()):
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:
                return self._is_over(watch, now)  # it ended meanwhile: look again
            watch.rest[descriptor] = pid
            self._register(descriptor, watch)
        return False

    def _register(self, descriptor: int, watch: _Watch) -> None:
        self._by_descriptor[descriptor] = watch
        self._epoll.register(descriptor, select.EPOLLIN)

    def _forget(self, process: Process) -> None:
        watch = self._watches.pop(process, None)
        if watch is not None:
            for descriptor in (watch.main, *watch.rest):
                self._by_descriptor.pop(descriptor, None)
                os.close(descriptor)  # which takes it out of the epoll

    def _ring(self) -> None:
        if self._thread is not None:
            os.eventfd_write(self._bell, 1)


def _is_readable(descriptor: int) -> bool:
    """Whether an event is this descriptor's, and not that of one which was closed since and had the same number."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _reap(descriptor: int) -> int | None:
    """The exit status of an ended child; None if it is not ours to know."""
    try:
        result = os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None
    if result is None:
        return None
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


EXITS: Final = Exits()
"""This process's one; its users come and go."""
