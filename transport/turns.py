"""How many requests each client has under way, so that none takes the place of all others."""

from __future__ import annotations

import threading
from collections.abc import Hashable


class Turns:
    """Counts what each client has begun and not ended. Any thread may call.

    Args:
        most: that one client may have at once.

    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[Hashable, int] = {}
        self._lock = threading.Lock()  # two threads count

    def take(self, client: Hashable) -> bool:
        """Begin one; False if the client has as many as it may."""
        with self._lock:
            count = self._open.get(client, 0)
            if count >= self._most:
                return False
            self._open[client] = count + 1
            return True

    def give_back(self, client: Hashable) -> None:
        """End one."""
        with self._lock:
            count = self._open.get(client, 0)
            if count > 1:
                self._open[client] = count - 1
            else:
                self._open.pop(client, None)
