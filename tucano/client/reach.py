"""How a cluster is reached: the address of its door, and the keys, if it wants any."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from tucano.client.failures import ClientError, NoCluster, not_running
from tucano.home import Home
from tucano.keys import CONTROLLER, LOCAL, Keys, KeysError
from tucano.token import BadToken, Token, parse
from tucano.transport.security import Guest, Pair

TOKEN = "TUCANO_TOKEN"
"""Environment variable that may hold a token."""

TOKEN_FILE = "TUCANO_TOKEN_FILE"
"""Environment variable that may name a file that holds one."""


class BadKeys(ClientError):
    """The token, or the keys of the home, cannot be used."""


class Reach(NamedTuple):
    """How a cluster is reached.

    Attributes:
        address: of its door.
        own: our keys; None where none are wanted.
        server: the controller's public key.
        guest: whom a token says our keys to be; None where we have none, or the cluster's own.

    """

    address: str
    own: Pair | None = None
    server: str = ""
    guest: Guest | None = None


def by_token(token: Token) -> Reach:
    """How the cluster is reached that a token is for."""
    guest = Guest(token.name, token.role, token.public)
    return Reach(token.door, Pair(token.public, token.secret), token.controller, guest)


def by_home(home: Home) -> Reach:
    """How the cluster is reached that runs from a home, or that it was logged in to.

    Raises:
        NoCluster: there is none.
        BadKeys: its keys cannot be used.

    """
    keys = Keys(home)
    running = home.running()
    try:
        if running is None:
            token = keys.login()
            if token is None:
                raise not_running(home)
            return by_token(token)
        if running.joined:
            token = keys.joined()
            if token is None:
                raise NoCluster(f"the worker that runs from {home.path} has lost its token: stop it with `tucano down`")
            return by_token(token)
        if not running.secure:
            return Reach(running.door)
        return Reach(running.door, keys.pair(LOCAL), keys.pair(CONTROLLER).public)
    except KeysError as error:
        raise BadKeys(str(error)) from error


def read_token(given: str | Path) -> Token:
    """A token: its text, or the path of the file that holds it. What is wrong with it is said without showing it.

    Raises:
        BadKeys: it cannot be read, or is none.

    """
    try:
        return parse(given if isinstance(given, str) else given.read_text())
    except BadToken as error:
        raise BadKeys(str(error)) from None
    except UnicodeDecodeError:
        raise BadKeys("this file holds no token of Tucano's") from None
    except OSError as error:
        name = str(given) if len(str(given)) <= 100 else "the file that was named"  # a token in place of a name
        raise BadKeys(f"the token cannot be read: {name}: {error.strerror}") from None


def token_of_environment() -> Token | None:
    """The token that `TUCANO_TOKEN_FILE` or `TUCANO_TOKEN` gives, if one does.

    Raises:
        BadKeys: it cannot be read, or is none.

    """
    if name := os.environ.get(TOKEN_FILE):
        return read_token(Path(name))
    given = os.environ.get(TOKEN)
    return read_token(given) if given else None
