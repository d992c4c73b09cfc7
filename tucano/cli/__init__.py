"""The command line: `tucano COMMAND`. One file for each family of commands.

Nothing here imports the client, ZeroMQ or rich before a command needs it: `tucano --help` and `tucano status` are
typed often.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from tucano.cli import actors, cluster, common, keys, logs, services, start, tls, watch

app = typer.Typer(
    name="tucano",
    help="Runs your services on this machine or a few: builds, starts, balances and mends them.",
    epilog="Exit status: 0 done, 1 failed, 2 wrong usage, 3 no cluster runs. Home: --home, else TUCANO_HOME, else"
    " ~/.local/state/tucano.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_COMMANDS: tuple[tuple[str, Callable[..., None]], ...] = (
    ("The cluster", start.up),
    ("The cluster", cluster.down),
    ("The cluster", cluster.status),
    ("The cluster", cluster.demo),
    ("Several machines", keys.init),
    ("Several machines", start.controller),
    ("Several machines", start.worker),
    ("Several machines", start.balancer),
    ("Several machines", keys.login),
    ("Services", services.deploy),
    ("Services", services.scale),
    ("Services", services.restart),
    ("Services", services.undeploy),
    ("To look at", services.services),
    ("To look at", services.show),
    ("To look at", watch.nodes),
    ("To look at", logs.logs),
    ("To look at", watch.events),
    ("To look at", actors.ps),
    ("To look at", actors.top),
    ("To look at", actors.metrics),
    ("To look at", actors.trace),
    ("To look at", watch.version),
)

for _panel, _command in _COMMANDS:
    app.command(_command.__name__, rich_help_panel=_panel)(_command)


app.add_typer(tls.tls, name="tls", rich_help_panel="The cluster")
app.add_typer(keys.key, name="key", rich_help_panel="Several machines")


@app.callback()
def _options(
    token_file: Annotated[
        Path | None,
        typer.Option(
            envvar="TUCANO_TOKEN_FILE", help="Token for a cluster elsewhere; or in TUCANO_TOKEN.", dir_okay=False
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show where in Tucano an error arose.")] = False,
    home: common.HomeOption = None,
) -> None:
    common.debug, common.home_before, common.token_file = debug, home, token_file


def main() -> None:
    """Run the command that `sys.argv` names, and end with its exit status."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read our output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:  # the outermost place: here an error becomes a text and an exit status
        if common.debug:
            raise
        sys.exit(common.complain(error))
