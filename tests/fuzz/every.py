"""Every message that the cluster's nodes may say to each other."""

from __future__ import annotations

import importlib
import pkgutil

from tucano.actors import messages
from tucano.actors.kernel.message import _TYPES, Message

for _module in pkgutil.iter_modules(messages.__path__):
    importlib.import_module(f"{messages.__name__}.{_module.name}")

TYPES: dict[str, type[Message]] = {tag: kind for tag, kind in sorted(_TYPES.items()) if not tag.startswith("tests.")}
"""By tag."""
