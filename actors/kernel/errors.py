"""What an `ask` can come back with instead of an answer: the same near and far."""

from __future__ import annotations

import traceback
from typing import Final

import pykka

UNREACHABLE: Final = "unreachable"
"""No such node is connected, or its queue is full."""
NOT_FOUND: Final = "not_found"
"""The node has no actor of that name."""
MAILBOX_FULL: Final = "mailbox_full"
"""The actor has as many messages waiting as its mailbox holds."""
CRASHED: Final = "crashed"
"""The actor crashed on this very message."""
STOPPED: Final = "stopped"
"""The actor was stopped before it came to the message."""
GAVE_UP: Final = "gave_up"
"""The node's root tree has given up: its children crashed more often than its law allows."""
TOO_LARGE: Final = "too_large"
"""The message or the answer has more bytes than may travel."""
NOT_UNDERSTOOD: Final = "not_understood"
"""The actor does not take messages of that type, or its fields are wrong."""
FORBIDDEN: Final = "forbidden"
"""It was said by another node than the one in whose name."""
TIMEOUT: Final = "timeout"
"""No answer within the time that the asker gave."""


class Refused(Exception):
    """The message was not handled, or its receiver says no.

    An actor may raise it in `receive`: that is an answer, not a crash.

    Attributes:
        code: one of this module's constants, or a word of the component's own.
        detail: for a person: what happened, to what, and what to do next.

    """

    def __init__(self, code: str, detail: str) -> None:
        if not isinstance(code, str) or not isinstance(detail, str):
            raise TypeError(f"a refusal has a code and a detail, both text; not {code!r} and {detail!r}")
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return self.detail or self.code


class TimedOut(Refused, pykka.Timeout):
    """No answer came in time; whether the message was handled is unknown."""

    def __init__(self, detail: str) -> None:
        super().__init__(TIMEOUT, detail)


def shown(error: BaseException | None) -> str:
    """An exception in words, even one whose own `repr` raises."""
    try:
        return repr(error)
    except BaseException:  # noqa: BLE001 - a crash must be told, whatever its exception is like
        return f"a {type(error).__name__} that cannot be shown"


def in_full(error: BaseException) -> str:
    """An exception with its traceback, even one that cannot be formatted."""
    try:
        return "".join(traceback.format_exception(error))
    except BaseException:  # noqa: BLE001 - see `shown`
        return shown(error)


def refusal(code: str, detail: str) -> Refused:
    """The exception for a refusal that came as values, from the wire for instance."""
    return TimedOut(detail) if code == TIMEOUT else Refused(code, detail)
