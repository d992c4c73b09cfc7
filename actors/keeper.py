"""A keeper: keeps one node's process running. The parent of a cluster on one machine has one for each."""

from __future__ import annotations

import contextlib
import logging
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from tucano.actors.kernel import Actor, Law, Reply
from tucano.actors.kernel.restart import GiveUp, History, crashed
from tucano.actors.messages.keeper import (
    ALONE,
    SERVES,
    SUCCEEDED,
    NodeEnded,
    NodeSaid,
    StartDue,
    StopNode,
)
from tucano.actors.proc.exits import EXITS
from tucano.actors.proc.process import Process, find, in_words

log = logging.getLogger(__name__)

LAW = Law(intensity=1_000_000, period=60.0, first=0.0, base=0.2, ceiling=5.0)
"""A node's process is started again for ever, the slower the more often it ends."""


@dataclass(frozen=True)
class Command:
    """How a node's process is started.

    Attributes:
        name: of the node.
        line: program and arguments.
        descriptors: listening sockets that it inherits.
        log: file that its output is appended to.
        leaves: whether it goes on until its successor serves, when it is told to end; see `Keeper`.

    """

    name: str
    line: Sequence[str]
    descriptors: Sequence[int]
    log: Path
    leaves: bool = False


class Keeper(Actor):
    """Starts a node, and starts it again when it ends.

    A process that can leave is given a socket (`--keeper-fd`), where it says when it serves and when it wants to end.
    It goes on serving until its successor does, which the keeper tells it; then it ends in its time.

    Args:
        command: how.
        tell: told the process id at each start, 0 when there is none; quick, any thread.

    """

    Inbox = StopNode | NodeEnded | NodeSaid | StartDue

    def __init__(self, command: Command, tell: Callable[[str, int], None]) -> None:
        super().__init__()
        self._command = command
        self._tell = tell
        self._process: Process | None = None
        self._leaving: dict[int, Process] = {}  # by process id: who has a successor, and has not ended yet
        self._lines: dict[int, socket.socket] = {}  # by process id: what it says, and is told
        self._history = History()
        self._waiting: Reply | None = None

    def on_start(self) -> None:
        """Start the process."""
        self._start()

    def on_crash(self) -> None:
        """Leave no process that nobody keeps: the next incarnation starts its own."""
        for process in self._all():
            EXITS.stop(process, 0.0)

    def receive(self, message: StopNode | NodeEnded | NodeSaid | StartDue) -> None:
        """Handle one message."""
        match message:
            case StopNode(grace):
                self._waiting = self.reply_later()
                for pid in self._leaving:
                    self._answer(pid, ALONE)
                for process in self._all():
                    EXITS.stop(process, grace)
                self._answer_if_ended()
            case NodeEnded(pid, status):
                self._ended(pid, status)
            case NodeSaid(pid, what):
                self._said(pid, what)
            case StartDue():
                if self._waiting is None:
                    self._start()
            case _:
                assert_never(message)

    def _all(self) -> list[Process]:
        return [*self._leaving.values(), *([self._process] if self._process else [])]

    def _start(self) -> None:
        command = self._command
        command.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        line, descriptors = [*command.line], [*command.descriptors]
        ours, theirs = socket.socketpair()
        if command.leaves:
            line += ["--keeper-fd", str(theirs.fileno())]
            descriptors.append(theirs.fileno())
        with command.log.open("ab") as output, theirs:
            child = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=descriptors,
                start_new_session=True,  # a Ctrl-C is for the parent alone
            )
        child.returncode = 0  # it is reaped by its pidfd: subprocess has nothing to wait for
        process = find(child.pid)
        if process is None:
            ours.close()
            self.note(NodeEnded(0, None))
            return
        self._process = process
        EXITS.watch(
            process, lambda status: self.note(NodeEnded(process.pid, status))
        )  # first: so that it can be stopped
        if command.leaves:
            self._lines[child.pid] = ours
            threading.Thread(target=self._listen, args=(ours, child.pid), daemon=True).start()
        else:
            ours.close()
        self._tell(command.name, child.pid)

    def _listen(self, line: socket.socket, pid: int) -> None:
        """In a thread of its own: hear what the process says, until it ends."""
        with contextlib.suppress(OSError):  # it ended without reading our answer, or we have buried it already
            while what := line.recv(1):
                self.note(NodeSaid(pid, what))

    def _said(self, pid: int, what: bytes) -> None:
        if self._process is None or self._process.pid != pid:
            return  # it has ended meanwhile
        if what == SERVES:
            for leaving in self._leaving:
                self._answer(leaving, SUCCEEDED)
        elif self._waiting is not None:
            self._answer(pid, ALONE)
        else:
            log.info("%s (process %d) wants to end; its successor starts", self._command.name, pid)
            self._leaving[pid] = self._process
            self._start()

    def _answer(self, pid: int, what: bytes) -> None:
        with contextlib.suppress(ConnectionError):  # it has just ended, and we shall be told
            self._lines[pid].sendall(what)

    def _ended(self, pid: int, status: int | None) -> None:
        if pid in self._lines:
            self._lines.pop(pid).close()
        if self._leaving.pop(pid, None) is not None:
            self._answer_if_ended()
            return
        self._process = None
        self._tell(self._command.name, 0)
        if self._waiting is not None:
            self._answer_if_ended()
            return
        verdict = crashed(LAW, self._history, self.now(), self.chance.random)
        after = LAW.ceiling if isinstance(verdict, GiveUp) else verdict.after
        if not isinstance(verdict, GiveUp):
            self._history = verdict.history
        log.warning("%s ended (%s); it starts again in %.1f s", self._command.name, in_words(status), after)
        self.after(after, StartDue())

    def _answer_if_ended(self) -> None:
        if self._waiting is not None and not self._all():
            self._waiting.answer(None)
