"""Tucano: runs your services on a few machines, or one.

What is here is loaded when it is first used, so that `import tucano` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tucano.client import Client, connect
    from tucano.embed import Node
    from tucano.local import local_cluster

__version__ = "0.1.0"
__all__ = ["Client", "Node", "__version__", "connect", "local_cluster"]

_HOMES = {
    "Client": "tucano.client",
    "Node": "tucano.embed",
    "connect": "tucano.client",
    "local_cluster": "tucano.local",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tucano' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
