"""Administers a cluster with nothing but pyzmq and msgpack: all that a client in any language has to do.

python admin.py [--door tcp://HOST:PORT] COMMAND

  nodes | services | show NAME        what there is, as JSON
  deploy DIR [REPLICAS]               packs, uploads, rolls out, and waits until it serves, or does not
  scale NAME REPLICAS | restart NAME | undeploy NAME
  logs NAME [-f]                      what a service's instances print, or one instance
  events [-f]                         what happened, a line of JSON each; with -f what happens, too

A cluster of this machine without keys is named by its door (`zmq_port` of `tucano status --json`). For any other one,
TUCANO_TOKEN_FILE names the file with a token. Exit status: 0 done, 1 failed, 2 wrong usage, 3 nobody answers.
"""

import json
import os
import sys
import time

from cluster import Cluster, Failed, read_token
from deploy import deploy, find, restart, say, scale, undeploy


def show_json(op, *names):
    def command(cluster, *given):
        print(json.dumps(cluster.look(op, **dict(zip(names, given, strict=True))), indent=2))

    return command


def logs(cluster, name, follow=None):
    offsets, rests = {}, {}
    while True:
        service = find(cluster, name)
        ids = [one["id"] for one in service["instances"]] if service else [name]
        for instance in ids:
            try:
                while True:
                    piece = cluster.look("logs", id=instance, offset=offsets.get(instance, -65_536))
                    offsets[instance] = piece["next"]
                    if not piece["data"]:
                        break
                    *lines, rests[instance] = (rests.get(instance, b"") + piece["data"]).split(b"\n")
                    for line in lines:
                        print(f"{instance} | {line.decode(errors='replace')}", flush=True)
            except Failed as failed:
                if failed.code != "not_found" or not (service or offsets):
                    raise
                if not service:
                    return  # the one instance that was read is gone
        if not follow:
            return
        time.sleep(0.25)


def events(cluster, follow=None):
    if not follow:
        for event in cluster.look("events", since=-50)["events"]:
            print(json.dumps(event))
        return
    for event in cluster.follow(-10):
        print(json.dumps(event), flush=True)


COMMANDS = {  # and how many arguments, at least and at most
    "nodes": (show_json("nodes"), 0, 0),
    "services": (show_json("services"), 0, 0),
    "show": (show_json("show", "name"), 1, 1),
    "deploy": (deploy, 1, 2),
    "scale": (scale, 2, 2),
    "restart": (restart, 1, 1),
    "undeploy": (undeploy, 1, 1),
    "logs": (logs, 1, 2),
    "events": (events, 0, 1),
}


def main(words):
    door = token = None
    if words[:1] == ["--door"] and len(words) > 1:
        door, words = words[1], words[2:]
    elif path := os.environ.get("TUCANO_TOKEN_FILE"):
        token = read_token(path)
        door = token["door"]
    name, *given = words or [""]
    command, least, most = COMMANDS.get(name, (None, 0, 0))
    is_flag = len(given) == most and name in ("logs", "events")
    if command is None or not least <= len(given) <= most or (is_flag and given[-1] != "-f"):
        raise Failed("usage", __doc__)
    if door is None:
        raise Failed("usage", "which cluster? --door tcp://127.0.0.1:PORT, or TUCANO_TOKEN_FILE in the environment")
    if not door.startswith("tcp://"):
        raise Failed("usage", f"a door is tcp://HOST:PORT, not {door!r}")
    command(Cluster(door, token), *given)


try:
    main(sys.argv[1:])
except Failed as failed:
    say(failed)
    sys.exit({"usage": 2, "nobody": 3}.get(failed.code, 1))
except KeyboardInterrupt:
    sys.exit(130)
