"""Two machines and what a network does to them: real TCP between network namespaces, over a cable that is at fault."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import eventually
from tests.proc.cable import FAR, NEAR, Machines, machines, obstacle
from tests.tucano.test_node_keys import token
from tucano.home import Home
from tucano.keys import Keys

if why := obstacle():
    pytest.skip(why, allow_module_level=True)

LONG = pytest.mark.skipif(not os.environ.get("TUCANO_LONG"), reason="takes minutes: TUCANO_LONG=1 runs it")
MARKER = "marker-that-must-not-be-overheard"


@pytest.fixture(autouse=True)
def cluster() -> None:
    """Not for this file: its machines are others."""


@pytest.fixture(autouse=True)
def _no_service_is_left() -> None:
    """Not for this file."""


class Talking:
    """A node in a process on one of the machines; see `talker`."""

    def __init__(self, there: Machines, machine: str, name: str, secret: Path, peer: str = "") -> None:
        command = [sys.executable, "-m", "tests.proc.talker", name, machine, str(secret), *([peer] if peer else [])]
        self.process = subprocess.Popen(
            there.on(machine, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.address: str = self._read()

    def do(self, command: str) -> Any:
        assert self.process.stdin is not None
        print(command, file=self.process.stdin, flush=True)
        return self._read()

    def _read(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def is_down(self) -> bool:
        news = self.do("news")
        return bool(news) and news[-1][0] == "node_down"

    def close(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


class Pair:
    """A controller near and an edge far, which know each other."""

    def __init__(self, there: Machines, path: Path) -> None:
        self.cable = there.cable
        home = path / "home"
        Keys(Home(home)).create()
        file = path / "edge.token"
        file.write_text(token(home, "edge"))
        self.near = Talking(there, NEAR, "controller", home)
        self.far = Talking(there, FAR, "edge", file, f"controller@{self.near.address}")

    def ask(self, text: str = "x", timeout: float = 10) -> float:
        """Ask from the far side, and see that the answer is right; how long it took."""
        answer, took = self.far.do(f"ask {text} {timeout}")
        assert str(answer).split()[0] == text
        return float(took)

    def ledger(self) -> tuple[int, int, int]:
        """Numbers that came near, the highest, and how many came twice or out of order."""
        came, last, late = map(int, self.near.do("near")[-3:])
        return came, last, late

    def ups(self, end: Talking) -> list[str]:
        return [what for what, _, _ in end.do("news")]

    def close(self) -> None:
        self.far.close()
        self.near.close()


@pytest.fixture
def there() -> Iterator[Machines]:
    with machines() as made:
        yield made


@pytest.fixture
def pair(there: Machines, tmp_path: Path) -> Iterator[Pair]:
    made = Pair(there, tmp_path)
    try:
        eventually(lambda: made.far.do("ask x 1")[0].startswith("x "), "the machines meet")
        yield made
    finally:
        made.cable.is_cut, made.cable.loss, made.cable.delay = False, 0.0, 0.0
        made.close()


def test_a_fifth_of_a_second_each_way_is_borne_and_nobody_is_given_up(pair: Pair) -> None:
    pair.cable.delay = 0.2
    took = [pair.ask() for _ in range(5)]
    assert min(took) >= 0.4  # it is the cable that is measured: no answer can be sooner
    assert pair.far.do("tell 500") == [500, 500]
    eventually(lambda: pair.ledger() == (500, 500, 0))
    assert pair.ups(pair.near) == pair.ups(pair.far) == ["node_up"]


def test_one_packet_in_twenty_lost_loses_no_message(pair: Pair) -> None:
    pair.cable.loss, pair.cable.delay = 0.05, 0.005
    for round_ in range(1, 11):
        assert pair.far.do("tell 200 1000")[0] == 200
        pair.ask(f"r{round_}", timeout=30)
    eventually(lambda: pair.ledger() == (2000, 2000, 0), within=60)
    assert pair.cable.lost > 20
    assert pair.ups(pair.near) == ["node_up"]


def test_a_peer_behind_a_black_hole_is_refused_to_its_senders_and_costs_little(pair: Pair) -> None:
    """Nothing says that the packets are dropped: no reset, no error, as when a machine loses its power."""
    before = pair.far.do("own")[1]
    pair.cable.is_cut = True
    answer, _ = pair.far.do("ask x 1")
    assert answer in ("timeout", "unreachable")
    taken, said = pair.far.do("tell 20000 4096")
    assert taken < said  # 80 MB are more than may wait
    eventually(lambda: pair.far.is_down() and pair.near.is_down(), "both have noticed", within=30)
    assert pair.far.do("ask x 5")[0] == "unreachable"
    assert pair.far.do("tell 1000")[0] == 0
    assert pair.far.do("near")  # others are not affected
    assert pair.far.do("own")[1] - before < 128
    pair.cable.is_cut = False
    eventually(lambda: pair.far.do("ask x 1")[0].startswith("x "), "it is heard again", within=30)
    first, late = pair.ledger()[0], pair.ledger()[2]
    assert pair.far.do("tell 100")[0] == 100
    eventually(lambda: pair.ledger()[0] >= first + 100)
    assert late == pair.ledger()[2] == 0  # at most once, and in order


def test_a_machine_that_stands_still_is_down_and_goes_on_where_it_was(pair: Pair) -> None:
    pair.far.do("tell 10")
    victim = pair.near.process.pid
    os.kill(victim, signal.SIGSTOP)
    try:
        eventually(pair.far.is_down, "silent", within=30)
        assert pair.far.do("ask x 5")[0] == "unreachable"
    finally:
        os.kill(victim, signal.SIGCONT)
    eventually(lambda: pair.far.do("ask x 1")[0].startswith("x "), within=30)
    pair.far.do("tell 10")
    eventually(lambda: pair.ledger()[:2] == (20, 20))
    assert pair.ledger()[2] == 0


def test_who_listens_at_the_cable_hears_no_message(pair: Pair, there: Machines) -> None:
    pair.cable.listens = True
    pair.ask(MARKER)
    sent = f"""
import sys, zmq
from tucano.transport import wire
from tucano.transport.link import Kind, Letter
import msgspec
context = zmq.Context()
if sys.argv[1] == "take":
    socket = context.socket(zmq.ROUTER)
    socket.bind("tcp://{NEAR}:4711")
    print(socket.recv_multipart()[1])
else:
    socket = context.socket(zmq.DEALER)
    socket.connect("tcp://{NEAR}:4711")
    body = msgspec.Raw(msgspec.msgpack.encode({MARKER[::-1]!r}))
    socket.send(wire.encode([Letter(Kind.TELL, "ledger", body=body)]))
    socket.close()
    context.term()
"""
    taker = subprocess.Popen(there.on(NEAR, [sys.executable, "-c", sent, "take"]), stdout=subprocess.PIPE)
    subprocess.run(there.on(FAR, [sys.executable, "-c", sent, "send"]), check=True, timeout=30)
    assert MARKER[::-1].encode() in taker.communicate(timeout=30)[0]
    heard = bytes(pair.cable.heard)
    assert MARKER[::-1].encode() in heard  # the same bytes without keys: the experiment can tell
    assert MARKER.encode() not in heard
    assert b"\x07MESSAGE" in heard  # as CURVE's messages are called in ZMTP


@LONG
def test_a_partition_of_half_a_minute_ends_in_order_and_at_most_once(pair: Pair) -> None:
    pair.far.do("tell 1000")
    eventually(lambda: pair.ledger()[:2] == (1000, 1000))
    pair.cable.is_cut, began = True, time.monotonic()
    pair.far.do("tell 50")  # on their way: they may come, once, or not
    eventually(lambda: pair.far.is_down() and pair.near.is_down(), within=30)
    down = time.monotonic() - began
    while time.monotonic() - began < 30:
        assert pair.far.do("ask x 1")[0] in ("unreachable", "timeout")
        time.sleep(0.5)  # the length of the partition, not a wait for something
    pair.cable.is_cut, healed = False, time.monotonic()
    eventually(lambda: pair.far.do("ask x 1")[0].startswith("x "), within=60)
    up = time.monotonic() - healed
    for _ in range(10):
        pair.far.do("tell 100")
    eventually(lambda: pair.ledger()[1] == 2050)
    came, _, late = pair.ledger()
    assert late == 0
    assert 2000 <= came <= 2050
    print(f"down after {down:.1f} s, up again after {up:.1f} s; {came} of 2050 came")
