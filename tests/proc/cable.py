"""Two machines with a cable between them: network namespaces, and a TUN device in each whose packets this carries.

The kernels' own TCP on both sides; what happens in between is decided here, packet by packet: how long it takes, what
is lost, what is cut, and who listens. (`tc netem` is not in every kernel; this needs no module but `tun`.)
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import heapq
import itertools
import os
import random
import select
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

NEAR, FAR = "10.77.0.1", "10.77.0.2"
_NEWNET = 0x40000000  # linux/sched.h
_SET_INTERFACE = 0x400454CA  # linux/if_tun.h: TUNSETIFF
_TUN, _NO_INFO = 0x0001, 0x1000


def obstacle() -> str:
    """Why there can be no such cable here; empty if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "`ip` is missing: apt-get install iproute2"
    if not Path("/dev/net/tun").exists():
        return "the kernel has no /dev/net/tun"
    probe = f"tucano-probe-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True, check=False).returncode:
        return "network namespaces are not permitted here"
    subprocess.run(["ip", "netns", "del", probe], check=True)
    return ""


class Cable:
    """The cable, which carries packets from when it is made until it is closed.

    Attributes:
        delay: seconds that each packet takes.
        loss: probability that it never arrives.
        is_cut: whether all are dropped, silently.
        heard: the bytes of all packets, if somebody `listens`.
        carried: packets that have arrived.
        lost: that have not.

    """

    def __init__(self, near: int, far: int) -> None:
        self.delay = self.loss = 0.0
        self.is_cut = self.listens = False
        self.heard = bytearray()
        self.carried = self.lost = 0
        self._ends = {near: far, far: near}
        self._chance = random.Random(1)
        self._numbers = itertools.count()
        self._way: list[tuple[float, int, int, bytes]] = []  # due, number, to which end, packet
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        """Take it away."""
        self._closed.set()
        self._thread.join()
        for end in self._ends:
            os.close(end)

    def _run(self) -> None:
        while not self._closed.is_set():
            wait = 0.1 if not self._way else min(0.1, max(0.0, self._way[0][0] - time.monotonic()))
            for end in select.select(list(self._ends), [], [], wait)[0]:
                self._take(self._ends[end], os.read(end, 65_536))
            while self._way and self._way[0][0] <= time.monotonic():
                _, _, end, packet = heapq.heappop(self._way)
                with contextlib.suppress(OSError):  # its device is down
                    os.write(end, packet)
                    self.carried += 1

    def _take(self, end: int, packet: bytes) -> None:
        if self.is_cut or self._chance.random() < self.loss:
            self.lost += 1
            return
        if self.listens:
            self.heard += packet
        heapq.heappush(self._way, (time.monotonic() + self.delay, next(self._numbers), end, packet))


class Machines:
    """The two, `near` and `far`, each an address and a namespace in which commands are run.

    Attributes:
        cable: what joins them.

    """

    def __init__(self, names: Sequence[str], cable: Cable) -> None:
        self.cable = cable
        self._names = dict(zip((NEAR, FAR), names, strict=True))

    def on(self, machine: str, command: Sequence[str]) -> list[str]:
        """A command, as it is run on the machine with that address."""
        return ["ip", "netns", "exec", self._names[machine], *command]


@contextlib.contextmanager
def machines() -> Iterator[Machines]:
    """Two machines; gone afterwards, whatever happens."""
    names = [f"tucano-{os.getpid()}-{end}" for end in ("near", "far")]
    try:
        ends = []
        for name, address in zip(names, (NEAR, FAR), strict=True):
            subprocess.run(["ip", "netns", "add", name], check=True)
            ends.append(_device(name))
            for command in (f"addr add {address}/24 dev wire", "link set wire up", "link set lo up"):
                subprocess.run(["ip", "-n", name, *command.split()], check=True)
        cable = Cable(*ends)
        try:
            yield Machines(names, cable)
        finally:
            cable.close()
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _device(namespace: str) -> int:
    """A TUN device in a namespace: a descriptor whose packets are that machine's. Made in a thread that then ends."""
    made: list[int] = []

    def make() -> None:
        with Path(f"/run/netns/{namespace}").open("rb") as there:
            if ctypes.CDLL(None, use_errno=True).setns(there.fileno(), _NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(device, _SET_INTERFACE, struct.pack("16sH22x", b"wire", _TUN | _NO_INFO))
        made.append(device)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]
