"""A keeper: keeps one node's process running. The parent of a cluster on one machine has one for each."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from tucano.actors.kernel import Actor, Law, Reply
from tucano.actors.kernel.restart import GiveUp, History, crashed
from tucano.actors.messages.keeper import NodeEnded, StartDue, StopNode
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

    """

    name: str
    line: Sequence[str]
    descriptors: Sequence[int]
    log: Path


class Keeper(Actor):
    """Starts a node, and starts it again when it ends.

    Args:
        command: how.
        tell: told the process id at each start, 0 when there is none; quick, any thread.

    """

    Inbox = StopNode | NodeEnded | StartDue

    def __init__(self, command: Command, tell: Callable[[str, int], None]) -> None:
        super().__init__()
        self._command = command
        self._tell = tell
        self._process: Process | None = None
        self._history = History()
        self._waiting: Reply | None = None

    def on_start(self) -> None:
        """Start the process."""
        self._start()

    def on_crash(self) -> None:
        """Leave no process that nobody keeps: the next incarnation starts its own."""
        if self._process is not None:
            EXITS.stop(self._process, 0.0)

    def receive(self, message: StopNode | NodeEnded | StartDue) -> None:
        """Handle one message."""
        match message:
            case StopNode(grace):
                self._waiting = self.reply_later()
                if self._process is None:
                    self._waiting.answer(None)
                else:
                    EXITS.stop(self._process, grace)
            case NodeEnded(status):
                self._ended(status)
            case StartDue():
                if self._waiting is None:
                    self._start()
            case _:
                assert_never(message)

    def _start(self) -> None:
        command = self._command
        command.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with command.log.open("ab") as output:
            child = subprocess.Popen(
                command.line,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=command.descriptors,
                start_new_session=True,  # a Ctrl-C is for the parent alone
            )
        child.returncode = 0  # it is reaped by its pidfd: subprocess has nothing to wait for
        process = find(child.pid)
        if process is None:
            self.note(NodeEnded(None))
            return
        self._process = process
        self._tell(command.name, child.pid)
        EXITS.watch(process, lambda status: self.note(NodeEnded(status)))

    def _ended(self, status: int | None) -> None:
        self._process = None
        self._tell(self._command.name, 0)
        if self._waiting is not None:
            self._waiting.answer(None)
            return
        verdict = crashed(LAW, self._history, self.now(), self.chance.random)
        after = LAW.ceiling if isinstance(verdict, GiveUp) else verdict.after
        if not isinstance(verdict, GiveUp):
            self._history = verdict.history
        log.warning("%s ended (%s); it starts again in %.1f s", self._command.name, in_words(status), after)
        self.after(after, StartDue())
