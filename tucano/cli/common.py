"""What all commands share: options, errors in words, output."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tucano.terminal import colourful, dim, mark

if TYPE_CHECKING:
    from tucano.client import Client
    from tucano.client.answers import Progress
    from tucano.home import Home
    from tucano.token import Token

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", help="Directory of the cluster, else TUCANO_HOME.", show_default=False, file_okay=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
NoWaitOption = Annotated[bool, typer.Option("--no-wait", help="Come back as soon as the cluster has taken it on.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait.")]

FAILED = 1
NO_CLUSTER = 3

token_file: Path | None = None
"""Where the token is by which a cluster on another machine is reached; set by `--token-file`."""

debug = False
"""Whether errors come with a traceback; set by `--debug`."""

home_before: Path | None = None
"""The home that was named before the command; one that is named after it counts more."""

_COLOURS = (
    (re.compile(r"\b(ready|done)\b(?! *$)", re.MULTILINE), 32),
    (re.compile(r"\b(failed|gone|lost)\b"), 31),
    (re.compile(r"\b(rolling|building|starting|removing|unready|silent|stopping|pending|draining)\b"), 33),
)


def the_home(home: Path | None) -> Home:
    """The home that was named, or the default one."""
    from tucano.home import Home

    home = home or home_before
    return Home(home) if home else Home.default()


def client(home: Path | None) -> Client:
    """A client of the cluster.

    Raises:
        NoCluster: none runs there.
        BadKeys: the token or the keys cannot be used.

    """
    from tucano.client import connect

    given = token()
    return connect(home or home_before) if given is None else connect(token=given)


def token() -> str | Path | None:
    """The token by which a cluster on another machine is meant, if one is: its file, or its text."""
    return token_file or os.environ.get("TUCANO_TOKEN") or None


def read_token(given: str) -> Token:
    """A token from a file or standard input."""
    from tucano.client import reach
    from tucano.keys import KeysError
    from tucano.token import PREFIX

    if given.startswith(PREFIX):
        raise KeysError(
            "a token on the command line can be read by every user of this machine, and stays in the shell's history:"
            " this one is to be revoked (`tucano key revoke`); give the next one by a file, or by - and standard input"
        )
    if given != "-":
        return reach.read_token(Path(given))
    if sys.stdin.isatty():
        import getpass

        return reach.read_token(getpass.getpass("the token: "))
    return reach.read_token(sys.stdin.read())


def paint(text: str) -> str:
    """The states in a table in their colours, on a terminal."""
    if not colourful():
        return text
    for pattern, colour in _COLOURS:
        text = pattern.sub(lambda found, colour=colour: f"\033[{colour}m{found.group()}\033[0m", text)  # type: ignore[misc]
    return text


def emit(value: Any) -> None:
    """Print a value as JSON."""
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode(), flush=True)


def emit_line(value: Any) -> None:
    """Print a value as one line of JSON, for streams."""
    import msgspec

    print(msgspec.json.encode(value).decode(), flush=True)


def complain(error: Exception) -> int:
    """Print one clear block about an error.

    Returns:
        The exit status.

    """
    from tucano.actors.disk.artifact_tree import ArtifactError
    from tucano.certs import CertError
    from tucano.client.failures import ClientError, NoCluster
    from tucano.home import HomeInUse
    from tucano.keys import KeysError
    from tucano.listening import CannotListen
    from tucano.spec import SpecError
    from tucano.transport.security import Insecure

    text = str(error)
    if isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    elif isinstance(error, UnicodeEncodeError):
        text = f"an argument is not valid UTF-8: {error.object!r}"
    elif not isinstance(
        error, ClientError | SpecError | ArtifactError | CertError | HomeInUse | KeysError | CannotListen | Insecure
    ):
        text = (
            f"a fault in Tucano: {type(error).__name__}: {error}\nRun it again with `tucano --debug ...` to see where."
        )
    fail(text)
    return NO_CLUSTER if isinstance(error, NoCluster) else FAILED


def fail(text: str) -> None:
    """Print an error."""
    from tucano.render import clean

    head = "\033[31mError:\033[0m" if colourful(sys.stderr) else "Error:"
    print(f"{head} {clean(text).rstrip()}", file=sys.stderr, flush=True)


def say(text: str, *, aside: bool) -> None:
    """Print a line for people; beside the point when standard output belongs to programs."""
    print(text, file=sys.stderr if aside else sys.stdout, flush=True)


class Teller:
    """Tells of a deployment's progress: on a terminal with a line that moves, else a line for each step.

    Args:
        home: of the cluster.
        aside: print to standard error, because standard output belongs to JSON.

    Attributes:
        trace: the conversation that the command began; at its end, good or bad, it is told how to read it.

    """

    def __init__(self, home: Home, *, aside: bool) -> None:
        self.trace = ""
        self._home = home
        self._aside = aside
        self._stream = sys.stderr if aside else sys.stdout
        self._before: Progress | None = None
        self._live: Any = None

    def __enter__(self) -> Teller:
        if colourful(self._stream):
            from rich.console import Console

            self._live = Console(file=self._stream, highlight=False).status("")
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
        if self.trace and not self._aside:
            how = f"tucano trace {self.trace}{self._home.option} shows how"
            print(dim(how, self._stream), file=self._stream, flush=True)

    def __call__(self, now: Progress) -> None:
        """Tell what is new."""
        from tucano import render

        for line in render.step(self._before, now):
            if self._live is not None:
                self._live.console.print(f"  {line}", markup=False)
            else:
                print(line, file=self._stream, flush=True)
        if self._live is not None:
            self._live.update(render.standing(now))
        self._before = now

    def done(self, text: str) -> None:
        """Tell of the good end."""
        if self._live is not None:
            self._live.stop()
            print(f"{mark(True, self._stream)} {text}", file=self._stream)
        else:
            print(text, file=self._stream, flush=True)
