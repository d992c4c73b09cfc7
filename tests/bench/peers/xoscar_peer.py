"""xoscar: actors in a pool of another process, by asyncio."""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
from typing import Any

from tests.bench.peers import IN_FLIGHT, MESSAGE, ready

xo: Any = importlib.import_module("xoscar")


class Counter(xo.Actor):  # type: ignore[misc]
    """Counts."""

    def __init__(self) -> None:
        super().__init__()
        self.counted = 0

    def say(self, message: object) -> int:
        del message
        self.counted += 1
        return self.counted


def serve() -> None:
    """Be a pool with a counter."""

    async def run() -> None:
        pool = await xo.create_actor_pool(address="127.0.0.1", n_process=0)
        async with pool:
            await xo.create_actor(Counter, address=pool.external_address, uid="counter")
            ready(pool.external_address)
            await asyncio.to_thread(sys.stdin.read)

    asyncio.run(run())


class Xoscar:
    """A loop in a thread."""

    def __init__(self, address: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._counter = self._run(xo.actor_ref(address=address, uid="counter"))

    def _run(self, work: Any) -> Any:
        async def do() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(do(), self._loop).result(60)

    def ask(self) -> Any:
        return self._run(self._counter.say(MESSAGE))

    def in_flight(self, count: int) -> None:
        async def some(share: int) -> None:
            for _ in range(share):
                await self._counter.say(MESSAGE)

        async def run() -> None:
            await asyncio.gather(*(some(count // IN_FLIGHT) for _ in range(IN_FLIGHT)))

        self._run(run())

    def tell(self, count: int) -> None:
        async def run() -> None:
            for _ in range(count - 1):
                await self._counter.say.tell(MESSAGE)
            await self._counter.say(MESSAGE)

        self._run(run())

    def per_thread(self) -> Any:
        return self.ask

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


connect = Xoscar
