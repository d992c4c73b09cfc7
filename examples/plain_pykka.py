"""A plain Pykka actor, told and asked from another node: two nodes of one script, over ZeroMQ."""

from typing import Any

import pykka

import tucano


class Counter(pykka.ThreadingActor):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def on_receive(self, message: dict[str, Any]) -> Any:
        if message["op"] == "add":
            self.count += message["by"]
        return self.count


counter = Counter.start()
try:
    with tucano.Node("left", listen="127.0.0.1:0") as left, tucano.Node("right", listen="127.0.0.1:0") as right:
        right.expose("counter", counter)
        left.connect("right", right.address)
        remote = left.ref("right/counter")
        remote.tell({"op": "add", "by": 40})
        print("it has counted", remote.ask({"op": "add", "by": 2}, timeout=5))
finally:
    counter.stop()
