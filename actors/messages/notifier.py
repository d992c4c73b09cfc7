"""The notifier: tells people."""

from __future__ import annotations

from tucano.actors.kernel import Message


class Notify(Message, frozen=True):
    """Tell people that something happened that they may want to know now; told, not asked."""

    kind: str
    subject: str
    text: str
