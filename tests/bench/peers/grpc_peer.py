"""gRPC, generic methods with msgpack as the codec; one way by a stream."""

from __future__ import annotations

import importlib
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgpack

from tests.bench.peers import IN_FLIGHT, MESSAGE, ready

grpc: Any = importlib.import_module("grpc")


def serve() -> None:
    """Count."""
    counted = [0]

    def say(request: object, context: object) -> int:
        del request, context
        counted[0] += 1
        return counted[0]

    def tell(requests: Any, context: object) -> int:
        return [say(request, context) for request in requests][-1]

    codec = {"request_deserializer": msgpack.unpackb, "response_serializer": msgpack.packb}
    handlers = {
        "say": grpc.unary_unary_rpc_method_handler(say, **codec),
        "tell": grpc.stream_unary_rpc_method_handler(tell, **codec),
    }
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("counter", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    ready(port)
    sys.stdin.read()
    server.stop(0).wait()


class Grpc:
    """A channel, which threads share."""

    def __init__(self, address: str) -> None:
        codec = {"request_serializer": msgpack.packb, "response_deserializer": msgpack.unpackb}
        self._channel = grpc.insecure_channel(f"127.0.0.1:{address}")
        self._say = self._channel.unary_unary("/counter/say", **codec)
        self._tell = self._channel.stream_unary("/counter/tell", **codec)

    def ask(self) -> Any:
        return self._say(MESSAGE)

    def in_flight(self, count: int) -> None:
        waiting = deque(self._say.future(MESSAGE) for _ in range(IN_FLIGHT))
        for number in range(count):
            waiting.popleft().result()
            if number < count - IN_FLIGHT:
                waiting.append(self._say.future(MESSAGE))

    def tell(self, count: int) -> None:
        self._tell(MESSAGE for _ in range(count))

    def per_thread(self) -> Any:
        return self.ask

    def close(self) -> None:
        self._channel.close()


connect = Grpc
