"""Commands about certificates: tls add, list, remove."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tucano.cli.common import HomeOption, JsonOption, emit, say, the_home
from tucano.terminal import mark

Host = Annotated[str, typer.Argument(metavar="HOST", help="A host, *.DOMAIN, or `default`.", show_default=False)]

tls = typer.Typer(no_args_is_help=True, help="Certificates of this machine's balancers: add, list, remove.")


@tls.command("add")
def add(
    host: Host,
    cert: Annotated[Path, typer.Option(metavar="FILE", help="The certificate chain, PEM.", dir_okay=False)],
    key: Annotated[Path, typer.Option(metavar="FILE", help="Its private key, PEM, no password.", dir_okay=False)],
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Keep a certificate for a host, or a newer one. Balancers use it within a second or two, see `up --https-port`."""
    from tucano.certs import Certs

    found = Certs(the_home(home)).add(host, cert, key)
    if json:
        emit(found)
        return
    if found.trouble:
        say(f"Warning: clients will not accept this certificate for {host}: {found.trouble}", aside=True)
    print(f"{mark(True)} {found.host} has a certificate" + f", valid until {_date(found.until)}" * (not found.trouble))


@tls.command("list")
def list_(home: HomeOption = None, json: JsonOption = False) -> None:
    """List the certificates: host, until when, for which names, what is wrong."""
    from tucano.certs import Certs
    from tucano.render import table

    found = Certs(the_home(home)).list()
    if json:
        emit({"certificates": found})
        return
    rows = [(one.host, _date(one.until), ", ".join(one.names) or "-", one.trouble) for one in found]
    print(table(("HOST", "UNTIL", "NAMES", "TROUBLE"), rows))


@tls.command("remove")
def remove(host: Host, home: HomeOption = None, json: JsonOption = False) -> None:
    """Forget a host's certificate; connections that are there go on."""
    from tucano.certs import Certs

    Certs(the_home(home)).remove(host)
    if json:
        emit({"host": host})
    else:
        print(f"{mark(True)} {host} has no certificate any more")


def _date(when: float | None) -> str:
    from tucano.render import moment

    return "-" if when is None else moment(when)
