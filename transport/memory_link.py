"""stub"""
from __future__ import annotations

from typing import Any


class Network:
    def __init__(self, now: Any, after: Any, chance: Any) -> None:
        self.on_frame: Any = None
    def crash(self, node: str) -> None: ...
class MemoryLink:
    def __init__(self, network: Network, node: str, cluster: str, incarnation: int) -> None:
        self.address = "tcp://127.0.0.1:1"
    def start(self, receiver: Any) -> None: ...
    def connect(self, node: str, address: str) -> None: ...
    def send(self, node: str, letter: Any) -> bool: return False
    def connected(self, node: str) -> bool: return False
    def close(self) -> None: ...
