"""A deployment's way from a directory to a revision that the cluster has accepted."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tucano import spec
from tucano.actors.disk import artifact
from tucano.actors.messages import operations
from tucano.client.answers import Accepted, OnProgress, Progress
from tucano.client.failures import ClusterError
from tucano.client.waiting import tell_nobody

if TYPE_CHECKING:
    from tucano.client import Client

CHUNK = 512 << 10
"""Bytes of an archive in one request: the most that the gateway takes."""

PATIENCE = 3
"""Times that a piece is sent again when the cluster asks for it again."""


def deliver(
    client: Client, directory: Path, replicas: int | None, deadline: float, progress: OnProgress | None
) -> Accepted:
    """Check, pack, upload what the cluster lacks, and have the deployment accepted; see `Client.deploy`."""
    tell = progress or tell_nobody
    wanted = spec.override(spec.load(directory), replicas=replicas)
    _see_whether_we_may(client)
    with tempfile.TemporaryDirectory(prefix="tucano-pack-") as place:
        archive = Path(place) / "artifact"
        packed = artifact.pack(directory, archive, without=spec.FILE)  # what it says travels by itself
        tell(Progress("packed", packed.size, packed.files))
        _upload(client, archive, packed, deadline, tell)
    body = {"spec": msgspec.to_builtins(wanted), "artifact": packed.sha256, "size": packed.size}
    accepted = _submit(client, wanted.name, body, deadline)
    tell(Progress("accepted", accepted.revision, wanted.replicas))
    return accepted


def _see_whether_we_may(client: Client) -> None:
    """See that the cluster will not refuse in the end, for our token's role, what has been packed and uploaded.

    Raises:
        ClusterError: `forbidden`: it would.

    """
    guest = client.reach().guest
    if guest is not None and (why := operations.objection(operations.Deploy, guest)):
        raise ClusterError("forbidden", why)


def _upload(client: Client, archive: Path, packed: artifact.Artifact, deadline: float, tell: OnProgress) -> None:
    """Give the cluster an archive, from where an earlier upload broke off; nothing if the cluster has it."""
    offset, again = _missing_from(client, packed, deadline), 0
    tell(Progress("upload", offset, packed.size))
    with archive.open("rb") as file:
        while offset < packed.size:
            file.seek(offset)
            piece = {"artifact": packed.sha256, "size": packed.size, "offset": offset, "data": file.read(CHUNK)}
            try:
                after = client.ask("upload", piece, dict[str, int])["next"]
            except ClusterError as error:
                if error.code not in ("conflict", "timeout", "unavailable") or time.monotonic() > deadline:
                    raise
                after = _missing_from(client, packed, deadline)  # a new controller begins anew
            again = 0 if after > offset else again + 1
            if again > PATIENCE:
                raise ClusterError("internal", f"the upload does not get on: the cluster wants byte {after} again")
            offset = after
            tell(Progress("upload", offset, packed.size))


def _missing_from(client: Client, packed: artifact.Artifact, deadline: float) -> int:
    """How much of an archive the cluster has."""
    left = max(0.1, min(client.timeout, deadline - time.monotonic()))
    found = client.ask("artifact", {"artifact": packed.sha256}, dict[str, Any], left)
    return packed.size if found.get("has") else int(found.get("next") or 0)


def _submit(client: Client, name: str, body: dict[str, Any], deadline: float) -> Accepted:
    """Ask for the deployment; if the answer is lost, look whether it was taken before asking again."""
    before = client.look(name, deadline)
    while True:
        try:
            return client.ask("deploy", body, Accepted)
        except ClusterError as error:
            if error.code not in ("unavailable", "timeout") or time.monotonic() > deadline:
                raise
        shown = client.look(name, deadline)
        newer = shown is not None and (before is None or shown.last_revision != before.last_revision)
        # Ours, by its content; or it has failed already, and what is shown is the one before.
        if shown and newer and (shown.artifact == body["artifact"] or shown.state == "failed"):
            return Accepted(name, shown.last_revision)
        time.sleep(0.1)  # before a controller that is not ready is asked again
