"""Looking at actors by the command line: ps, trace, top."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest

from tests.helpers import eventually
from tests.tucano.stand_in import StandIn
from tests.tucano.test_cli import MAIN, data, environment, good, tucano

FIRST = f"{1:016x}"


@pytest.fixture
def home(stand_in: StandIn) -> Path:
    stand_in._deploy({"name": "hello", "replicas": 2, "run": {"script": "x"}}, "a" * 64)
    return stand_in.home.path


def test_ps_shows_the_tree_and_on_demand_what_happened_and_the_tracebacks(home: Path) -> None:
    text = good(home, "ps")
    assert "discovery (discovery.Put/1, 0.3s)  KeyError: 'x'" in text
    assert "deep inside" not in text
    assert max(map(len, text.splitlines())) < 120
    text = good(home, "ps", "--events", "--crashes")
    assert "actor_crashed      controller/gateway        KeyError('x')" in text
    assert "controller/gateway crashed last with:\n  Traceback:\n    deep inside\n" in text
    assert text.splitlines()[0].startswith("controller, pid ")
    assert good(home, "ps", "worker-1") == "worker-1: gone for 2h\n"
    assert [(one["node"], one["state"]) for one in data(home, "ps")["nodes"]] == [
        ("controller", "ready"), ("worker-1", "gone"),
    ]  # fmt: skip
    [node] = data(home, "ps", "controller")["nodes"]
    assert (node["actors"][1]["p99"], node["events"][0]["what"], node["dead_letters"]) == (0.02, "actor_crashed", 0)


def test_trace_lists_the_latest_conversations_and_shows_one(home: Path) -> None:
    good(home, "scale", "hello", 3)
    assert [line.split()[0] for line in good(home, "trace").splitlines()] == ["TRACE", f"{2:016x}", FIRST]
    assert [one["trace"] for one in data(home, "trace")["traces"]] == [f"{2:016x}", FIRST]
    text = good(home, "trace", FIRST)
    assert f"conversation {FIRST}" in text
    assert "250.0  b/y -> a/x   answer  m.Gone" in text
    assert data(home, "trace", FIRST)["spans"][1]["answers"] == "a.1"


def test_trace_draws_a_sequence_diagram(home: Path) -> None:
    assert good(home, "trace", FIRST, "--mermaid").splitlines()[-2:] == ["    p0->>+p1: m.Go", "    p1-->>-p0: m.Gone"]


def test_an_unknown_conversation_is_told_in_one_line(home: Path) -> None:
    done = tucano(home, "trace", "f" * 16)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "no node remembers a conversation ffffffffffffffff" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--mermaid"], "give its ID"), ([FIRST, "--mermaid", "--json"], "give one of the two")],
)
def test_only_one_conversation_is_drawn_and_not_as_json(home: Path, options: list[str], said: str) -> None:
    done = tucano(home, "trace", *options)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("command", [["ps", ""], ["ps", "a b"], ["trace", ""], ["trace", "xyz"], ["trace", "0" * 17]])
def test_what_cannot_be_a_node_or_an_id_is_wrong_usage(home: Path, command: list[str]) -> None:
    done = tucano(home, *command)
    assert done.returncode == 2
    assert "node" in done.stderr or "hexadecimal" in done.stderr


def test_a_conversation_is_named_in_capitals_too_and_by_its_first_digits(stand_in: StandIn, home: Path) -> None:
    stand_in.traces = 0xA
    assert "conversation 000000000000000a" in good(home, "trace", "000000000000000A")
    stand_in.traces = 1
    assert f"conversation {FIRST}" in good(home, "trace", "00000000")
    stand_in.traces = 2
    done = tucano(home, "trace", "00000000")
    assert (done.returncode, "2 conversations begin with 00000000" in done.stderr) == (1, True)
    assert tucano(home, "trace", "ffff").returncode == 1


def test_top_without_a_terminal_prints_the_rates_of_one_interval(home: Path) -> None:
    lines = good(home, "top", "--interval", 0.1).splitlines()
    assert [line.split()[0] for line in lines if line] == [
        "NODE", "controller", "worker-1", "SERVICE", "hello", "ACTOR", "controller/gateway", "controller/root",
    ]  # fmt: skip
    found = data(home, "top", "--interval", 0.1)
    assert found.keys() == {"seconds", "nodes", "services", "actors"}
    busiest = found["actors"][0]
    assert busiest["name"] == "gateway"
    assert busiest["messages"] == pytest.approx(1000 / found["seconds"], rel=0.01)
    assert found["services"][0]["requests"] == pytest.approx(50 / found["seconds"], rel=0.01)


class Terminal:
    """A command on a terminal, and what it has shown."""

    def __init__(self, home: Path, *args: str) -> None:
        self._reader, writer = pty.openpty()
        self.process = subprocess.Popen(
            [*MAIN, *args], env=environment(home, TERM="xterm"), stdout=writer, stderr=writer
        )
        os.close(writer)
        self.shown = b""

    def shows(self, wanted: str, but_not: str = "\0") -> bool:
        """Whether the newest screen has a text, and not another."""
        self.shown += os.read(self._reader, 65536)
        screen = self.shown.rpartition(b"\033[H")[2].decode(errors="replace")
        return wanted in screen and but_not not in screen

    def interrupt(self) -> int:
        """Ctrl-C, and the exit status."""
        self.process.send_signal(signal.SIGINT)
        try:
            while more := os.read(self._reader, 65536):
                self.shown += more
        except OSError:
            os.close(self._reader)  # the other end is closed: the process has ended
        return self.process.wait(20)


def test_top_on_a_terminal_goes_on_until_ctrl_c_and_leaves_the_screen_as_it_was(home: Path) -> None:
    terminal = Terminal(home, "top", "--interval", "0.1")
    eventually(lambda: terminal.shows("MESSAGES/S"))
    eventually(lambda: terminal.shows("controller/gateway") and terminal.shown.count(b"MESSAGES/S") > 3)
    assert terminal.interrupt() == 0
    assert b"Traceback" not in terminal.shown
    assert terminal.shown.count(b"\033[?1049h") == terminal.shown.count(b"\033[?1049l") == 1


def test_top_on_a_terminal_says_that_the_controller_is_away_and_goes_on_when_it_is_back(
    stand_in: StandIn, home: Path
) -> None:
    terminal = Terminal(home, "top", "--interval", "0.1")
    eventually(lambda: terminal.shows("controller/gateway"))
    stand_in.kill()
    eventually(lambda: terminal.shows("the controller did not answer"))
    stand_in.start()
    eventually(lambda: terminal.shows("controller/gateway", but_not="did not answer"))
    assert terminal.interrupt() == 0


def test_a_command_ends_with_how_to_read_what_it_led_to(home: Path) -> None:
    for command in (
        ["scale", "hello", "3"],
        ["restart", "hello"],
        ["restart", "hello", "--no-wait"],
        ["undeploy", "hello"],
    ):
        *_, last = good(home, *command).splitlines()
        assert last.startswith("tucano trace ")
        assert last.endswith(" shows how")
    assert json.loads(tucano(home, "trace", last.split()[2], "--json").stdout)["trace"] == last.split()[2]
