"""A token: all that one node, person or program needs to reach a cluster on another machine, as one line of text.

`tucano1.` BODY `.` CHECK: the body is base64url of JSON, the check the first 8 hexadecimal digits of its SHA-256, so
that a token that was cut or mistyped is told from one that is refused. It holds a secret key: it travels by a file or a
pipe, never by a command line, which every user of a machine can read. Pure.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Annotated

import msgspec

from tucano.transport.security import Role

PREFIX = "tucano1."
"""What a token begins with."""

_BODY = re.compile(r"[A-Za-z0-9_-]+")
_Key = Annotated[str, msgspec.Meta(min_length=40, max_length=40)]


class BadToken(ValueError):
    """What was given is no token, or not a whole one; the text never shows it."""


class Token(msgspec.Struct, frozen=True):
    """What a token says.

    Attributes:
        name: whom the key was made for; a node's name.
        role: node, admin or reader.
        cluster: the cluster's identity.
        bridge: where nodes reach the controller, `tcp://HOST:PORT`.
        door: where clients do.
        controller: the controller's public key.
        public: the holder's own.
        secret: the holder's own.

    """

    name: str
    role: Role
    cluster: str
    bridge: str
    door: str
    controller: _Key
    public: _Key
    secret: _Key

    def __repr__(self) -> str:
        return f"Token({self.name!r}, {self.role!r})"

    def text(self) -> str:
        """The token as one line."""
        body = base64.urlsafe_b64encode(msgspec.json.encode(self)).decode("ascii").rstrip("=")
        return f"{PREFIX}{body}.{_check(body)}"


def parse(text: str) -> Token:
    """What a token says, whatever white space came with it (a terminal may have broken the line).

    Raises:
        BadToken: it is no token, or not a whole one.

    """
    text = "".join(text.split())
    if not text:
        raise BadToken("there is no token: it is empty")
    if not text.startswith(PREFIX):
        raise BadToken(f"this is no token of Tucano's: one begins with {PREFIX!r}; `tucano key add` prints it")
    body, dot, check = text.removeprefix(PREFIX).partition(".")
    if not dot or len(check) < 8:
        raise BadToken("this token has been cut: its end is missing; copy the whole line")
    if not _BODY.fullmatch(body) or check != _check(body):
        raise BadToken("this token is damaged: some character is wrong or missing; copy the whole line again")
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=Token)
    except (ValueError, msgspec.MsgspecError):
        raise BadToken(
            "this token was made by another version of Tucano: make a new one with `tucano key add`"
        ) from None


def _check(body: str) -> str:
    return hashlib.sha256(body.encode("ascii")).hexdigest()[:8]
