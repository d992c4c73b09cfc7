"""The future of an `ask`: Pykka's, but lighter, and never without a deadline."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import pykka

from tucano.actors.kernel.errors import Refused, TimedOut
from tucano.actors.kernel.running import running, wake

if TYPE_CHECKING:
    from tucano.actors.kernel.ref import Ref
    from tucano.actors.kernel.runtime import Runtime

_NOTHING = object()

_MAKING = threading.Lock()  # of lists of who waits: held for an instant, and only by who comes before the answer


class Answer(pykka.Future[Any]):
    """What a `Ref.ask(..., block=False)` gives; has all that Pykka's futures have (`map`, `join`, `await`, ...).

    Pykka's `ThreadingFuture` makes a condition for each future. Here who waits brings a lock of its own, and a future
    that is resolved before it is read needs none.

    Args:
        whom: who is asked, for the text of a timeout.
        timeout: seconds from now until it is a `TimedOut`.
        runtime: has the clock, and knows how to wait.

    """

    # Pykka makes futures of a future's class, without arguments; what is set rarely has its default here.
    _get_hook: Any = None
    _get_hook_result: Any = _NOTHING
    _value: Any = None
    _error: BaseException | None = None
    _done = False
    _waiting: list[threading.Lock] | None = None
    _runtime: Runtime | None = None
    _whom: Ref | None = None

    def __init__(self, whom: Ref | None = None, timeout: float = 0.0, runtime: Runtime | None = None) -> None:
        self._open = [True]  # whoever pops it settles the future
        if runtime is None:
            super().__init__()
            return
        self._whom = whom
        self._timeout = timeout
        self._runtime = runtime
        self._deadline = runtime.clock.now() + timeout

    def answer(self, value: Any, /) -> None:
        """See `Asker.answer`. (As `_settle`, without its call: each ask that is answered comes here.)"""
        try:
            self._open.pop()
        except IndexError:
            return
        self._value = value
        self._done = True
        if self._waiting is not None:
            for lock in self._waiting:
                wake(lock.release)

    def refuse(self, error: Refused, /) -> None:
        """See `Asker.refuse`."""
        self._settle(None, error)

    def get(self, *, timeout: float | None = None) -> Any:
        """Wait for the answer.

        Args:
            timeout: seconds to wait at most; never longer than the deadline that the ask was given.

        Raises:
            Refused: the receiver says no, crashed on it, or cannot be reached.
            TimedOut: the ask's deadline has passed.
            pykka.Timeout: `timeout` has passed, the deadline has not.
            RuntimeError: called inside an actor, which would stand still meanwhile.

        """
        if self._get_hook is not None:
            return super().get(timeout=timeout)
        if not self._done:
            self._wait(timeout)
        if self._error is not None:
            raise self._error.with_traceback(None)  # or it would grow with each that reads it
        return self._value

    def set(self, value: Any = None) -> None:
        """See `pykka.Future.set`."""
        self._settle(value, None)

    def set_exception(self, exc_info: Any = None) -> None:
        """See `pykka.Future.set_exception`."""
        kind, error, _ = exc_info or sys.exc_info()
        self._settle(None, error or RuntimeError(f"{kind} without a value"))

    def _name(self) -> str:
        return "an answer" if self._whom is None else self._whom.address

    def _settle(self, value: Any, error: BaseException | None) -> None:
        try:
            self._open.pop()  # atomic: the first one wins
        except IndexError:
            return
        self._value = value
        if error is not None:
            self._error = error
        self._done = True
        if self._waiting is not None:
            for lock in self._waiting:
                wake(lock.release)

    def _wait(self, timeout: float | None) -> None:
        runtime = self._runtime
        if runtime is None:
            raise pykka.Timeout("nobody has set this future")
        if running.actor is not None:
            raise RuntimeError(f"an actor may not wait for {self._name()}: use pipe(), which brings the answer later")
        lock = threading.Lock()
        lock.acquire()
        with _MAKING:
            self._waiting = [*(self._waiting or ()), lock]
        if self._whom is not None:
            self._whom.hurry()
        if self._done:  # it was resolved before the lock was seen
            return
        left = max(0.0, self._deadline - runtime.clock.now())
        if timeout is not None and timeout < left:
            if not runtime.wait(lock, timeout) and not self._done:
                raise pykka.Timeout(f"{timeout} seconds")
        elif not runtime.wait(lock, left):
            self.refuse(TimedOut(f"{self._name()} gave no answer in {self._timeout:g} s"))
            lock.acquire()  # an answer may have been first, and be about to be kept
