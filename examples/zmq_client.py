"""Lists nodes and services and scales one: python zmq_client.py PORT NAME REPLICAS (needs pyzmq and msgpack only)."""

import sys

import msgpack
import zmq

if len(sys.argv) != 4:
    sys.exit(__doc__)
port, name, replicas = sys.argv[1:]
socket = zmq.Context().socket(zmq.REQ)
socket.connect(f"tcp://127.0.0.1:{port}")


def ask(op, **args):
    socket.send(msgpack.packb({"v": 1, "id": 1, "op": op, "args": args}))
    answer = msgpack.unpackb(socket.recv())
    return answer["ok"] if "ok" in answer else sys.exit(f"{op}: {answer['error']['message']}")


print(*(f"{node['name']}: {node['state']}" for node in ask("nodes")["nodes"]), sep="\n")
print(*(f"{one['name']}: {one['ready']} of {one['replicas']}" for one in ask("services")["services"]), sep="\n")
print(ask("scale", name=name, replicas=int(replicas)))
