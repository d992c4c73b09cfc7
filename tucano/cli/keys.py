"""Commands about keys, and what other machines do with their tokens: init, key add/list/revoke, login, worker."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tucano.cli.common import FAILED, HomeOption, JsonOption, emit, fail, say, the_home
from tucano.terminal import mark

if TYPE_CHECKING:
    from tucano.home import Home, Running
    from tucano.token import Token


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
    if the.running() is not None:
        raise KeysError(f"what runs from {the.path} was started without keys: `tucano down`, then `tucano init` again")
    if keys.joined() is not None:
        raise KeysError(f"{the.path} belongs to a worker of another machine's cluster: name another --home")
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
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the token there, mode 600.")] = None,
    home: HomeOption = None,
) -> None:
    """Admit a new key, and print its token: one line that goes to the other machine. It is shown this once only."""
    from tucano.home import write_atomically
    from tucano.keys import CONTROLLER, Keys, KeysError
    from tucano.token import Token
    from tucano.transport.security import is_loopback

    the = the_home(home)
    keys = Keys(the)
    keys.entries()
    listening = the.listening()
    if listening is None:
        raise KeysError("where the cluster listens is not known yet: start it first, `tucano up --listen HOST`")
    pair = keys.add(name, role.value)
    bridge, door = (f"tcp://{listening.host}:{port}" for port in (listening.bridge, listening.door))
    controller = keys.pair(CONTROLLER).public
    token = Token(name, role.value, the.identity(), bridge, door, controller, pair.public, pair.secret)
    if out is None:
        print(token.text(), flush=True)
    else:
        write_atomically(out, token.text().encode() + b"\n")
    if is_loopback(bridge):
        say(f"this cluster listens at {listening.host}, so the token is of use on this machine only", aside=True)
    use = "worker --join -" if role is RoleName.node else "login -"
    say(f"on the other machine: tucano {use}   (then paste the token; it is a secret)", aside=True)


@key.command("list")
def list_(home: HomeOption = None, json: JsonOption = False) -> None:
    """List the keys: name, role, when made, when revoked."""
    from tucano.keys import Keys
    from tucano.render import moment, table

    keys = Keys(the_home(home))
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
    from tucano.keys import Keys

    entry = Keys(the_home(home)).revoke(name)
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

    the, found = the_home(home), _token(token)
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


def worker(
    join: Annotated[
        str | None, typer.Option("--join", metavar="FILE", help="The token's file, - for standard input; once a home.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST", help="Where the cluster reaches this machine, if not by the usual way."),
    ] = None,
    bridge_port: Annotated[int, typer.Option(min=0, max=65535, help="For the controller; 0: the last, or any.")] = 0,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Run in the background; stop with `down`.")] = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Run a worker on this machine for a cluster on another; in the foreground until Ctrl-C."""
    from tucano.keys import Keys, KeysError

    the = the_home(home)
    keys = Keys(the)
    if (running := the.running()) is not None:
        fail(f"something runs from {the.path} already (pid {running.pid}): stop it with `tucano down`")
        raise typer.Exit(FAILED)
    token = keys.joined() if join is None else _token(join)
    if token is None:
        raise KeysError(
            f"{the.path} has joined no cluster yet: name the token of `tucano key add NAME --role node` by --join"
        )
    if token.role != "node":
        raise KeysError(f"this token is for the {token.role} {token.name}: a worker needs one made with --role node")
    keys.join(token)
    if detach:
        options = [*(["--address", address] if address else []), "--bridge-port", str(bridge_port)]
        _worker_detached(the, token, options, json)
        return
    import logging

    from tucano import parent
    from tucano.plan import Joined

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        plan = Joined(token, address, bridge_port)
        ended = parent.run(the, plan, on_ready=lambda now: _joined(the, token, now, json, "Ctrl-C"))
    except parent.CannotStart as error:
        fail(str(error))
        ended = FAILED
    raise typer.Exit(ended)


def _worker_detached(the: Home, token: Token, options: list[str], json: bool) -> None:
    """Start a worker that outlives this command."""
    from tucano.launch import Launch

    launch = Launch("tucano.parent", the, ["--home", str(the.path), "--joined", *options], lifeline=False)
    try:
        running = launch.wait_until_ready()
    except KeyboardInterrupt:
        launch.process.terminate()  # whoever does not wait for the start does not want it
        launch.process.wait()
        raise
    _joined(the, token, running, json, "`tucano down`")


def _joined(the: Home, token: Token, running: Running, json: bool, stop: str) -> None:
    """Say that a worker has joined."""
    if json:
        emit({"home": str(the.path), "name": token.name, "cluster": token.cluster, "host": running.host,
              "pid": running.pid})  # fmt: skip
    else:
        print(f"{mark(True)} {token.name} has joined cluster {token.cluster}; its services listen at {running.host}")
        print(f"  stop it with {stop}", flush=True)


def _token(given: str) -> Token:
    """A token from a file or standard input."""
    from tucano.client.reach import read_token
    from tucano.keys import KeysError
    from tucano.token import PREFIX

    if given.startswith(PREFIX):
        raise KeysError(
            "a token on the command line can be read by every user of this machine, and stays in the shell's history:"
            " this one is to be revoked (`tucano key revoke`); give the next one by a file, or by - and standard input"
        )
    if given != "-":
        return read_token(Path(given))
    if sys.stdin.isatty():
        import getpass

        return read_token(getpass.getpass("the token: "))
    return read_token(sys.stdin.read())


def _state(revoked: float | None) -> str:
    from tucano.render import moment

    return "valid" if revoked is None else f"revoked {moment(revoked)}"
