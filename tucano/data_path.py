"""A balancer's data path in its process: on which sockets it is made, and how it is left to a successor."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from pathlib import Path

from tucano.actors.messages.keeper import LEAVES, SERVES, SUCCEEDED
from tucano.actors.proxy import Certificates, DataPath, Fronts, Proxy, Secure
from tucano.home import Home
from tucano.options import Options
from tucano.sockets import ParentSockets

PATIENCE = 5.0
"""Seconds that users' kept connections have for another request, when another balancer process takes over."""

LEAVE = 60.0
"""Seconds that open requests then have; what is open after that (WebSockets and TCP, mostly) is cut."""

STOP_GRACE = 5.0
"""Seconds that open requests have when nobody takes over."""

SUCCESSOR = 30.0
"""Seconds that a successor has to serve, before we end without one."""


class Users:
    """The data paths of this process: one for each incarnation of the balancer, on copies of the inherited sockets.

    Args:
        options: of the node.
        access_log: where requests are written to.

    """

    def __init__(self, options: Options, access_log: Path) -> None:
        self._options = options
        self._access_log = access_log
        self._let_go: list[DataPath] = []
        self._keeper = None if options.keeper_fd is None else socket.socket(fileno=options.keeper_fd)
        self.certificates = None if options.https_fd is None else Certificates(Home(options.home).tls)

    def make(self) -> DataPath:
        """A data path, which does not serve yet."""
        options = self._options
        plain, tls, inside, mdp = map(_copy, (options.http_fd, options.https_fd, options.inside_fd, options.mdp_fd))
        assert plain is not None, "a balancer needs --http-fd"
        secure = None
        if tls is not None and self.certificates is not None:
            secure = Secure(tls, self.certificates, options.https_redirect)
        self._access_log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        proxy = Proxy(
            plain, secure=secure, inside=inside, access_log=self._access_log, log_format=options.access_log,
            chance=random.Random(),
            sockets=ParentSockets(Home(options.home), options.name, plain.getsockname()[0]),
        )  # fmt: skip
        if mdp is None:
            return proxy
        from tucano.mdp_front import MdpFront
        from tucano.mdp_handover import Handover

        give, take = map(_copy, (options.mdp_give_fd, options.mdp_take_fd))
        handover = Handover(give, take) if give and take else None
        return Fronts([MdpFront(mdp, chance=random.Random(), handover=handover), proxy])

    def served(self) -> None:
        """Users are served."""
        self._tell(SERVES)

    def let_go(self, path: DataPath) -> None:
        """Let users go on, while the actors stop and the bridge is closed."""
        self._let_go.append(path)

    def leave(self) -> None:
        """Serve until a successor does on the same sockets, if there is to be one, and end what users have begun.

        Only when the bridge is closed: the successor has the same name and listens at the same address.
        """
        succeeded = False
        if self._keeper is not None:
            with self._keeper, contextlib.suppress(TimeoutError, ConnectionError):
                if self._let_go:
                    self._tell(LEAVES)
                    self._keeper.settimeout(SUCCESSOR)
                    succeeded = self._keeper.recv(1) == SUCCEEDED
                for path in self._let_go if succeeded else ():
                    path.leave(PATIENCE)
        for path in self._let_go:
            path.stop(LEAVE if succeeded else STOP_GRACE, patient=succeeded)

    def _tell(self, what: bytes) -> None:
        if self._keeper is not None:
            with contextlib.suppress(ConnectionError):  # the parent has died
                self._keeper.sendall(what)


def _copy(fd: int | None) -> socket.socket | None:
    return None if fd is None else socket.socket(fileno=os.dup(fd))
