from __future__ import annotations

import re
from typing import Any

import pytest

from tests.actors.test_latency import histogram
from tucano import render
from tucano.client.answers import InstanceTrafficInfo, NodeInfo, TrafficInfo
from tucano.client.insight import ActorInfo, LifecycleInfo, NodeActors, WaitInfo
from tucano.rates import Look, between
from tucano.render.actors import waits
from tucano.transport.link import LaneInfo, PeerInfo

CRASH = "Traceback (most recent call last):\n  File \"app.py\"\nKeyError: 'x'\n"


def actor(name: str, parent: str = "root", **more: Any) -> ActorInfo:
    return ActorInfo(**{"name": name, "parent": parent, "kind": "Kind", "phase": "up", **more})


def heads(text: str) -> list[str]:
    return re.split(r"  +", text.splitlines()[1].strip())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"), (-1, "0.00ms"), (0.00004, "0.04ms"), (0.0004, "0.4ms"), (0.0041, "4.1ms"), (0.0996, "100ms"),
        (0.04, "40ms"), (0.9996, "1.0s"), (1.234, "1.2s"), (12.3, "12s"), (99.6, "1m"), (7200, "2h"),
    ],
)  # fmt: skip
def test_a_duration_has_two_digits_and_a_unit(seconds: float | None, text: str) -> None:
    assert render.duration(seconds) == text


def test_a_column_with_nothing_in_it_is_left_out() -> None:
    rows = [("x", 0, "", "-"), ("y", 0, "-", 3)]
    assert render.table(("A", "?>B", "?C", "?>D"), rows) == "A  D\nx  -\ny  3"
    assert render.table(("A", "?B"), []) == "A"


def test_actors_stand_below_their_parents() -> None:
    actors = [
        actor("root", ""), actor("runners"), actor("supervisor"), actor("runner.a", "runners"), actor("orphan", "gone"),
    ]  # fmt: skip
    lines = render.ps([NodeActors("worker-1", 12, actors)], 0.0).splitlines()
    assert lines[0] == "worker-1, pid 12"
    assert [line.split()[0] for line in lines[2:]] == ["root", "runners", "runner.a", "supervisor", "orphan"]
    assert [len(line) - len(line.lstrip()) for line in lines[2:]] == [2, 4, 6, 4, 2]


def test_actors_that_are_well_need_few_columns() -> None:
    text = render.ps([NodeActors("worker-1", 12, [actor("root", "")])], 0.0)
    assert heads(text) == ["ACTOR", "KIND", "WAITING", "MOST", "HANDLED"]


def test_whatever_is_not_well_has_a_column() -> None:
    ill = actor(
        "deployer", phase="starting", depth=3, high_water=9, handled=812, refused=1, restarts=2, abandoned=1, busy=1.25,
        p50=0.0004, p99=0.0123, last_crash=CRASH,
        waits=[WaitInfo("controller/discovery", "discovery.Put/1", 0.34), WaitInfo("worker-1/supervisor", "x", 0.1)],
    )  # fmt: skip
    text = render.ps([NodeActors("controller", 12, [actor("root", ""), ill], [], 2)], 0.0)
    assert text.splitlines()[0] == "controller, pid 12, 2 dead letters"
    assert heads(text) == [
        "ACTOR", "KIND", "PHASE", "WAITING", "MOST", "HANDLED", "REFUSED", "RESTARTS", "ABANDONED", "BUSY", "P50",
        "P99", "WAITS FOR", "LAST CRASH",
    ]  # fmt: skip
    assert re.split(r"  +", text.splitlines()[3].strip()) == [
        "deployer", "Kind", "starting", "3", "9", "812", "1", "2", "1", "1.2s", "0.4ms", "12ms",
        "discovery (discovery.Put/1, 0.3s) and 1 more", "KeyError: 'x'",
    ]  # fmt: skip


def test_each_linked_node_has_a_line_with_what_has_passed_and_what_waits() -> None:
    control, bulk = LaneInfo("control", 0, 0, 1, 90, 0, 12, 30), LaneInfo("bulk", 2, 600_000, 40, 33_000_000, 3, 9, 0)
    links = (PeerInfo("controller", "tcp://h:1", True, (control, bulk)), PeerInfo("x", up=False))
    lines = render.ps([NodeActors("worker-1", 12, [actor("root", "")], links=links)], 100.0).splitlines()
    assert lines[-2:] == [
        "  to controller: control 12 sent, 30 received; "
        "bulk 9 sent, 0 received, 2 waiting (600 kB), most 40 (33 MB), 3 refused",
        "  to x (not heard): nothing yet",
    ]


def test_a_node_that_does_not_answer_is_told_of() -> None:
    nodes = [NodeActors("worker-1", 12, state="gone", since=97.0), NodeActors("worker-2", state="silent")]
    assert render.ps(nodes, 100.0) == "worker-1: gone for 3s\n\nworker-2: silent"


def test_a_wait_on_another_node_names_it() -> None:
    assert waits([WaitInfo("worker-1/node", "node.Snapshot/1", 1)], "controller") == (
        "worker-1/node (node.Snapshot/1, 1.0s)"
    )


def test_a_wait_that_has_just_begun_is_not_worth_telling() -> None:
    assert waits([WaitInfo("controller/node", "node.Snapshot/1", 0.01)], "controller") == ""


def test_a_long_crash_is_cut_in_the_tree_and_whole_on_demand() -> None:
    nodes = [
        NodeActors("worker-1", 12, [actor("root", ""), actor("x", last_crash=f"Trace\n  deep\nError: {'e' * 200}\n")])
    ]
    assert max(map(len, render.ps(nodes, 0.0).splitlines())) < 120
    assert render.crashes(nodes) == f"worker-1/x crashed last with:\n  Trace\n    deep\n  Error: {'e' * 200}"
    assert render.crashes([]) == "no actor has crashed"


def test_what_happened_to_actors_is_told_in_the_order_of_time_whatever_the_node() -> None:
    nodes = [
        NodeActors("controller", 1, [], [LifecycleInfo(7, 30.0, "node_up", "worker-1", "")]),
        NodeActors("worker-1", 2, [], [LifecycleInfo(1, 20.0, "actor_crashed", "builder", "KeyError('\033x')\nmore")]),
    ]
    first, second = render.lifecycle(nodes).splitlines()
    assert first.split(None, 2)[2] == "actor_crashed      worker-1/builder          KeyError('?x') more"
    assert second.split(None, 2)[2] == "node_up            controller/worker-1"
    assert render.lifecycle([]) == "nothing has happened to the actors yet"


def looks() -> tuple[Look, Look]:
    nodes = [
        NodeInfo("controller", "controller", "ready"),
        NodeInfo("worker-1", "worker", "ready", 12, 1.0, 2, 8_000_000_000, 0.257, 1_500_000_000, 3),
    ]
    actors = [[actor(f"runner.{n}", handled=count * n, p50=0.001) for n in range(30)] for count in (0, 100)]
    before = Look(1.0, nodes, [TrafficInfo("hello", 0)], [NodeActors("worker-1", 12, actors[0])])
    return before, Look(2.0, nodes, [TrafficInfo("hello", 4503, 2, 0, 7)], [NodeActors("worker-1", 12, actors[1])])


def test_one_screen_has_nodes_services_and_as_many_of_the_busiest_actors_as_have_room() -> None:
    lines = render.top(between(*looks()), 24).splitlines()
    assert len(lines) == 24 - 1
    assert lines[1].split() == ["controller", "ready", "-", "-", "0"]
    assert lines[2].split() == ["worker-1", "ready", "26%", "1.5", "GB", "of", "8.0", "GB", "3"]
    assert lines[5].split() == ["hello", "4503", "2.0", "-", "-", "7"]
    assert lines[8].split() == ["worker-1/runner.29", "Kind", "2900", "0", "0", "1.0ms"]
    assert lines[-1] == "and 16 actors more"


def test_what_was_not_measured_is_a_dash_also_where_there_are_processors() -> None:
    balancer = NodeInfo("balancer", "balancer", "ready", cpus=2, memory=8)
    assert render.nodes([balancer], 0.0).splitlines()[1].split() == [
        "balancer", "balancer", "ready", "-", "-", "2", "-", "-", "0",
    ]  # fmt: skip
    idle = NodeInfo("worker-1", "worker", "ready", cpus=2, memory=8, cpu=0.0, memory_used=4)
    found = between(None, Look(1.0, [balancer, idle], actors=[NodeActors("worker-1", 1, [actor("x")])]))
    assert [line.split()[2] for line in render.top(found, 24).splitlines()[1:3]] == ["-", "0%"]
    assert (found.actors[0].p50, found.actors[0].p99) == (None, None)


def test_a_low_screen_still_shows_some_actors_and_a_high_one_all() -> None:
    found = between(*looks())
    assert "and 26 actors more" in render.top(found, 3)
    assert "runner.0 " in render.top(found, 100)
    assert "more" not in render.top(found, 100)


def test_what_is_not_known_yet_is_a_dash() -> None:
    text = render.top(between(None, looks()[1]), 24)
    assert text.splitlines()[5].split() == ["hello", "-", "-", "-", "-", "7"]
    assert "no requests of users yet" in render.top(between(None, Look(1.0)), 24)


def test_one_service_is_shown_by_instance_and_the_slowest_if_there_is_no_room_for_all() -> None:
    def look(at: float, count: int) -> Look:
        instances = [
            InstanceTrafficInfo(f"hello-{n}", n, classes=(0, 0, count * 10), latency=histogram([n / 100] * count))
            for n in range(1, 10)
        ]
        return Look(at, services=[TrafficInfo("hello", count * 90, sent=count * 9000, instances=tuple(instances))])

    found = between(look(1.0, 1), look(2.0, 2))
    lines = render.top(found, 40, "hello").splitlines()
    assert lines[1].split() == ["hello", "90", "0.0", "-", "-", "0", "9.0", "kB"]
    assert [line.split()[0] for line in lines[4:]] == [f"hello-{n}" for n in range(1, 10)]
    assert lines[4].split() == ["hello-1", "10", "0.0", "10ms", "10ms", "1"]
    low = render.top(found, 10, "hello").splitlines()
    assert [line.split()[0] for line in low[4:]] == ["hello-9", "hello-8", "hello-7", "hello-6", "and"]
    assert low[-1] == "and 5 instances more"
