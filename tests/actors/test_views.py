from __future__ import annotations

import pytest

from tests.actors.builders import worker
from tests.actors.test_conversation import TRACE, heard, said
from tucano.actors.kernel import ActorInfo, Refused, TraceInfo
from tucano.actors.messages import worker_mgr
from tucano.actors.messages.balancer import ServiceTraffic, Traffic
from tucano.actors.messages.node import Actors, Traced, Traces
from tucano.actors.messages.worker_mgr import AllMetrics
from tucano.actors.pure import views


def test_the_traffic_of_several_balancers_is_added_up() -> None:
    found = views.traffic(
        [
            Traffic((ServiceTraffic("shop", 1, 0, 0, 1), ServiceTraffic("hello", 5, 1, 0, 0))),
            Traffic((ServiceTraffic("hello", 7, 0, 2, 3, 10),)),
        ]
    )
    assert found == {
        "services": [
            {"service": "hello", "requests": 12, "errors": 1, "retries": 2, "in_flight": 3, "received": 10, "sent": 0},
            {"service": "shop", "requests": 1, "errors": 0, "retries": 0, "in_flight": 1, "received": 0, "sent": 0},
        ]
    }


def test_no_balancer_is_no_traffic() -> None:
    assert views.traffic([]) == {"services": []}


def test_what_was_not_measured_is_null_and_not_zero() -> None:
    about = {"node": "controller", "since": 1.0}
    usage = AllMetrics((worker_mgr.Metrics("worker-1", 0.0, 4, ()),))
    found = views.nodes([worker(memory=9), worker("balancer", role="balancer", cpus=2)], [], usage, 7, about)["nodes"]
    assert [(one["name"], one["cpus"], one["memory"], one["cpu"], one["memory_used"]) for one in found] == [
        ("controller", None, None, None, None), ("balancer", 2, None, None, None), ("worker-1", 1, 9, 0.0, 4),
    ]  # fmt: skip
    actors = (
        ActorInfo("x", "", "X", "up", 0, 0, 0, 0, 0, 0.0, ""),
        ActorInfo("y", "", "Y", "up", 0, 0, 3, 0, 0, 0.0, ""),
    )
    [shown] = views.actors(["controller"], {}, [Actors("controller", 7, actors)])["nodes"]
    assert [(one["p50"], one["p99"]) for one in shown["actors"]] == [(None, None), (0.0, 0.0)]


def test_a_conversation_is_told_whole_and_in_order() -> None:
    ask = said("controller.1", kind="ask", sent=100.0, sender="controller/gateway", to="worker-1/node")
    answer = said("worker-1.1", "controller.1", 100.25, kind="answer", sender="worker-1/node", to="controller/gateway")
    begun = heard(
        "controller.1", kind="ask", begun=100.125, took=0.125, sender="controller/gateway", to="worker-1/node"
    )
    found = views.conversation(TRACE, [Traced("worker-1", (answer, begun)), Traced("controller", (ask,))])
    assert {key: found[key] for key in ("trace", "began", "duration", "participants", "unanswered")} == {
        "trace": TRACE, "began": 100.0, "duration": 0.25, "unanswered": (),
        "participants": ("controller/gateway", "worker-1/node"),
    }  # fmt: skip
    assert found["spans"][0] == {
        "span": "controller.1", "parent": "", "answers": "", "kind": "ask", "sender": "controller/gateway",
        "to": "worker-1/node", "what": "m.M/1", "at": 0.0, "sent": 100.0, "begun": 100.125, "took": 0.125,
        "outcome": "done",
    }  # fmt: skip
    assert found["spans"][1]["answers"] == "controller.1"


def test_a_conversation_that_nobody_remembers_is_told_what_ids_there_are() -> None:
    with pytest.raises(Refused, match=f"no node remembers a conversation {TRACE}.*`traces` lists") as refused:
        views.conversation(TRACE, [Traced("controller", ())])
    assert refused.value.code == "not_found"


def test_conversations_of_several_nodes_are_one_list_the_latest_first() -> None:
    found = views.conversations(
        [
            Traces(
                "worker-1", (TraceInfo("b" * 16, 51.0, "supervisor.Run/1", 4, 58.5), TraceInfo("a" * 16, 9.0, "x", 1))
            ),
            Traces("controller", (TraceInfo("b" * 16, 50.0, "gateway.Received/1", 6, 52.0),)),
        ]
    )
    assert found == {
        "traces": [
            {"trace": "b" * 16, "at": 50.0, "what": "gateway.Received/1", "spans": 10, "duration": 8.5},
            {"trace": "a" * 16, "at": 9.0, "what": "x", "spans": 1, "duration": None},
        ]
    }
