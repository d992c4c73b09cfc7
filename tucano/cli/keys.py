"""Commands about keys, and what other machines do with their tokens: init, key add/list/revoke, login."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tucano.cli.common import HomeOption, JsonOption, emit, read_token, say, the_home, token
from tucano.terminal import mark

if TYPE_CHECKING:
    from tucano.keys import Keys


class RoleName(StrEnum):
    """What a key is for."""

    node = "node"
    admin = "admin"
    reader = "reader"


Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the node, person or program.", show_default=False)]

key = typer.Typer(no_args_is_help=True, help="Who may join or administer the cluster: add, list, revoke.")


def init(home: HomeOption = None, json: JsonOption = False) -> None:
    """Make a cluster's keys. From then on it wants keys of all who come, and may listen beyond this machine."""
    from tucano.keys import Keys, KeysError

    the = the_home(home)
    keys = Keys(the)
    keys.refuse_joined()
    if not keys.exist() and the.running() is not None:
        down, again = f"`tucano down{the.option}`", f"`tucano init{the.option}`"
        raise KeysError(f"what runs from {the.path} was started without keys: {down}, then {again} again")
    keys.create()
    if json:
        emit({"home": str(the.path), "cluster": the.identity(), "keys": str(keys.path)})
        return
    print(f"{mark(True)} the keys of cluster {the.identity()} are in {keys.path}; no other user can read them")
    print("  go on     tucano up --listen HOST          HOST is this machine's address, as others reach it")
    print("            tucano key add NAME --role node  prints the token for a worker on another machine")


@key.command("add")
def add(
    name: Name,
    role: Annotated[RoleName, typer.Option(help="node: a worker; admin: may do all; reader: may look.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the token there, mode 600; a new file.")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Admit a new key, and print its token: one line that goes to the other machine. It is shown this once only."""
    from tucano.home import write_atomically
    from tucano.keys import CONTROLLER, KeysError
    from tucano.token import Token
    from tucano.transport.security import is_loopback

    the, keys = the_home(home), _keys(home)
    keys.entries()
    if out is not None and out.exists():
        raise KeysError(f"{out} is there already, and may hold another token: name a new file; no key was made")
    listening = the.listening()
    if listening is None:
        raise KeysError("where the cluster listens is not known yet: start it first, `tucano up --listen HOST`")
    pair = keys.add(name, role.value)
    bridge, door = (f"tcp://{listening.host}:{port}" for port in (listening.bridge, listening.door))
    controller = keys.pair(CONTROLLER).public
    made = Token(name, role.value, the.identity(), bridge, door, controller, pair.public, pair.secret)
    if out is None:
        print(made.text(), flush=True)
    else:
        write_atomically(out, made.text().encode() + b"\n")
    if is_loopback(bridge):
        say(f"this cluster listens at {listening.host}, so the token is of use on this machine only", aside=True)
    use = "worker --join -" if role is RoleName.node else "login -"
    say(f"on the other machine: tucano {use}   (then paste the token; it is a secret)", aside=True)


@key.command("list")
def list_(home: HomeOption = None, json: JsonOption = False) -> None:
    """List the keys: name, role, when made, when revoked."""
    from tucano.render import moment, table

    keys = _keys(home)
    found = keys.entries()
    if json:
        emit({"keys": found})
        return
    rows = [
        (one.name, one.role, "here" if keys.is_own(one.name) else "", moment(one.created), _state(one.revoked))
        for one in found
    ]
    print(table(("NAME", "ROLE", "OF", "CREATED", "STATE"), rows))


@key.command("revoke")
def revoke(name: Name, home: HomeOption = None, json: JsonOption = False) -> None:
    """Make a key void at once: for new connections, and for those that are there."""
    entry = _keys(home).revoke(name)
    if json:
        emit(entry)
    else:
        print(f"{mark(True)} the key of {name} ({entry.role}) is void")


def login(
    token: Annotated[str, typer.Argument(metavar="FILE", help="The token's file; - for standard input.")],
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Administer a cluster on another machine from here: keeps an admin's or a reader's token in the home."""
    from tucano.keys import Keys, KeysError

    the, found = the_home(home), read_token(token)
    if found.role == "node":
        raise KeysError(f"this token is for the node {found.name}: use it with `tucano worker --join`")
    if the.running() is not None:
        raise KeysError(f"a cluster runs from {the.path}: log in with another --home")
    Keys(the).keep(found)
    if json:
        emit({"home": str(the.path), "name": found.name, "role": found.role, "cluster": found.cluster})
    else:
        print(
            f"{mark(True)} commands from {the.path} go to the cluster at {found.door}, as {found.name} ({found.role})"
        )


def _keys(home: Path | None) -> Keys:
    """The keys of a home, which is the controller's."""
    from tucano.keys import Keys, KeysError

    the = the_home(home)
    keys = Keys(the)
    if not keys.exist() and (token() or keys.joined() or keys.login()):
        raise KeysError(f"keys are administered where the controller runs, in its home, and {the.path} is not that one")
    return keys


def _state(revoked: float | None) -> str:
    from tucano.render import moment

    return "valid" if revoked is None else f"revoked {moment(revoked)}"
