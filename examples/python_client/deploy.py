"""A service's way to the cluster: describe, pack, upload what the cluster lacks, and look until it is done."""

import gzip
import hashlib
import io
import sys
import tarfile
import time
import tomllib
from pathlib import Path

from cluster import Failed

CHUNK = 512 * 1024  # bytes of one upload, at most
LEFT_OUT = {".git", ".hg", ".svn", ".tox", ".venv", "__pycache__", "node_modules"}


def deploy(cluster, directory, replicas=None):
    spec = read_spec(Path(directory), replicas)
    packed = pack(Path(directory))
    which = {"artifact": hashlib.sha256(packed).hexdigest(), "size": len(packed)}
    upload(cluster, packed, which)
    follow_rollout(cluster, cluster.ask("deploy", spec=spec, **which))


def read_spec(directory, replicas):
    """`tucano.toml` as the wire wants it: the keys of its table `service` at the top."""
    try:
        tables = tomllib.loads((directory / "tucano.toml").read_text())
        service = tables.pop("service")
        spec = {**tables, **service}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failed("usage", f"{directory / 'tucano.toml'}: no description of a service: {error!r}") from None
    return spec if replicas is None else {**spec, "replicas": replicas_of(replicas)}


def pack(directory):
    """The directory as a gzip of a tar; without times and owners the same content has the same hash."""

    def keep(member):
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        return None if Path(member.name).name in LEFT_OUT else member

    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.add(directory, ".", filter=keep)
    return gzip.compress(tar.getvalue(), mtime=0)


def upload(cluster, packed, which):
    """Give the cluster what it lacks; each answer says where to go on, also behind a new controller."""
    if cluster.look("artifact", artifact=which["artifact"])["has"]:
        return
    offset = again = 0
    while offset < len(packed):
        following = cluster.look("upload", **which, offset=offset, data=packed[offset : offset + CHUNK])["next"]
        again = 0 if following > offset else again + 1
        if again > 3:
            raise Failed("failed", f"the upload does not get on: byte {following} is wanted again")
        offset = following
        say(f"uploaded {offset} of {len(packed)} bytes")


def restart(cluster, name):
    follow_rollout(cluster, cluster.ask("restart", name=name))


def follow_rollout(cluster, accepted, patience=900.0):
    """Look until the revision serves, or never will."""
    name, revision = accepted["service"], accepted["revision"]

    def serves(shown):
        if shown is None or shown["state"] == "removing":
            raise Failed("failed", f"{name} was undeployed meanwhile")
        if shown["last_revision"] > revision:
            raise Failed("failed", f"revision {revision} was superseded by {shown['last_revision']}")
        if shown["state"] == "failed" and shown["last_revision"] == revision:
            raise Failed("failed", f"revision {revision} of {name} failed: {shown['detail']}")
        say(f"{shown['ready']} of {shown['replicas']} ready")
        return shown["state"] == "done" and shown["revision"] == revision

    wait_until(cluster, name, serves, patience)
    print(f"{name}: revision {revision} serves")


def scale(cluster, name, replicas):
    wanted = replicas_of(replicas)
    cluster.ask("scale", name=name, replicas=wanted)

    def scaled(shown):
        if shown is None or shown["replicas"] != wanted:
            raise Failed("failed", f"somebody undeployed or scaled {name} meanwhile")
        return shown["ready"] == wanted == len(shown["instances"])

    wait_until(cluster, name, scaled)
    print(f"{name}: {wanted} of {wanted} ready")


def undeploy(cluster, name):
    cluster.ask("undeploy", name=name)
    wait_until(cluster, name, lambda shown: shown is None)
    print(f"{name}: gone")


def wait_until(cluster, name, is_done, patience=120.0):
    deadline = time.monotonic() + patience
    while not is_done(find(cluster, name)):
        if time.monotonic() > deadline:
            raise Failed("failed", f"{name} was not done within {patience:g} s; `show {name}` says where it stands")
        time.sleep(0.25)


def find(cluster, name):
    """A service, or None."""
    try:
        return cluster.look("show", name=name)
    except Failed as failed:
        if failed.code == "not_found":
            return None
        raise


def replicas_of(text):
    if not text.isdecimal():
        raise Failed("usage", f"a number of replicas is wanted, not {text!r}")
    return int(text)


def say(text):
    print(text, file=sys.stderr)
