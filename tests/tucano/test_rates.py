from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.actors.test_latency import histogram
from tucano.client.answers import InstanceTrafficInfo, NodeInfo, TrafficInfo
from tucano.client.insight import ActorInfo, NodeActors
from tucano.rates import Look, Rates, between


def node(name: str, pid: int, *actors: ActorInfo) -> NodeActors:
    return NodeActors(name, pid, list(actors))


def actor(name: str, handled: int = 0, **more: object) -> ActorInfo:
    return ActorInfo(name=name, handled=handled, **more)  # type: ignore[arg-type]


def messages(found: Rates) -> dict[str, float | None]:
    return {f"{one.node}/{one.name}": one.messages for one in found.actors}


def test_a_rate_is_what_was_added_in_a_second() -> None:
    before = Look(10.0, services=[TrafficInfo("hello", 100, 4, 1, 9)], actors=[node("a", 1, actor("x", 7))])
    now = Look(12.0, services=[TrafficInfo("hello", 150, 5, 1, 3)], actors=[node("a", 1, actor("x", 8))])
    found = between(before, now)
    assert found.seconds == 2.0
    [service] = found.services
    assert (service.requests, service.errors, service.retries, service.in_flight) == (25.0, 0.5, 0.0, 3)
    assert messages(found) == {"a/x": 0.5}


def test_the_first_look_has_no_rates_but_all_else() -> None:
    found = between(
        None, Look(10.0, [NodeInfo("a")], [TrafficInfo("hello", 5)], [node("a", 1, actor("x", 7, depth=2))])
    )
    assert (found.seconds, found.nodes, found.services[0].requests) == (0.0, [NodeInfo("a")], None)
    assert (found.actors[0].messages, found.actors[0].depth) == (None, 2)


def test_a_node_that_restarted_has_no_rate_until_the_next_look_even_if_it_counted_further() -> None:
    before = Look(1.0, actors=[node("a", 1, actor("x", 7)), node("b", 2, actor("x", 7))])
    now = Look(2.0, actors=[node("a", 3, actor("x", 900)), node("b", 2, actor("x", 6))])
    assert messages(between(before, now)) == {"a/x": None, "b/x": None}


def test_what_was_not_seen_before_has_no_rate() -> None:
    before = Look(1.0, actors=[node("a", 1, actor("x", 7))])
    now = Look(
        2.0, services=[TrafficInfo("hello", 7)], actors=[node("a", 1, actor("y", 3)), node("b", 1, actor("x", 4))]
    )
    found = between(before, now)
    assert messages(found) == {"a/y": None, "b/x": None}
    assert found.services[0].requests is None


def test_no_count_of_a_new_balancer_goes_on() -> None:
    before = Look(1.0, services=[TrafficInfo("hello", 100, 0, 0)])
    found = between(before, Look(2.0, services=[TrafficInfo("hello", 3, 2, 1)]))
    assert (found.services[0].requests, found.services[0].errors, found.services[0].retries) == (None, None, None)


def test_two_looks_at_the_same_time_have_no_rates() -> None:
    look = Look(1.0, actors=[node("a", 1, actor("x", 7))])
    assert messages(between(look, look)) == {"a/x": None}


def test_the_busiest_stand_first_a_backlog_counts_and_a_stuck_actor_stands_above_all() -> None:
    before = Look(1.0, actors=[node("a", 1, *(actor(name) for name in ("idle", "busy", "late", "stuck", "quiet")))])
    now = Look(
        2.0,
        services=[TrafficInfo("idle", 9), TrafficInfo("shop", 9)],
        actors=[
            node(
                "a", 1, actor("quiet"), actor("idle"), actor("busy", 90), actor("late", 10, depth=500),
                actor("stuck", busy=3.0),
            )
        ],
    )  # fmt: skip
    assert [one.name for one in between(before, now).actors] == ["stuck", "late", "busy", "idle", "quiet"]


def test_services_stand_by_their_requests() -> None:
    before = Look(1.0, services=[TrafficInfo("a", 0), TrafficInfo("b", 0), TrafficInfo("c", 0)])
    now = Look(2.0, services=[TrafficInfo("c", 1), TrafficInfo("a", 1), TrafficInfo("b", 9)])
    assert [one.service for one in between(before, now).services] == ["b", "a", "c"]


counts = st.integers(0, 10**9)
looks = st.builds(
    Look,
    at=st.floats(0, 1e6),
    services=st.lists(st.builds(TrafficInfo, st.sampled_from(["a", "b"]), counts, counts, counts, counts), max_size=2),
    actors=st.lists(
        st.builds(
            node, st.sampled_from(["n", "m"]), st.integers(1, 2), st.builds(actor, st.sampled_from(["x", "y"]), counts)
        ),
        max_size=3,
    ),
)


@given(looks, looks)
def test_no_rate_is_ever_negative(before: Look, now: Look) -> None:
    found = between(before, now)
    rates = [one.messages for one in found.actors] + [one.requests for one in found.services]
    assert all(rate is None or rate >= 0 for rate in rates)
    assert len(found.actors) == len(now.actors)
    msgspec.json.encode(found)


def test_errors_are_all_answers_of_the_500s_and_of_tcp_what_the_balancer_counts() -> None:
    before = [TrafficInfo("hello", 10, 1, classes=(0, 0, 8, 0, 0, 2)), TrafficInfo("tcp", 10, 1)]
    now = [TrafficInfo("hello", 20, 1, classes=(0, 0, 13, 0, 0, 7)), TrafficInfo("tcp", 20, 4)]
    found = between(Look(1.0, services=before), Look(2.0, services=now)).services
    assert {one.service: one.errors for one in found} == {"hello": 5.0, "tcp": 3.0}


def test_quantiles_are_those_of_the_requests_between_the_looks() -> None:
    slow, fast = [2.0] * 100, [0.01] * 100
    before = Look(1.0, services=[TrafficInfo("hello", 100, latency=histogram(slow))])
    now = Look(2.0, services=[TrafficInfo("hello", 200, latency=histogram(slow + fast))])
    [one] = between(before, now).services
    assert (round(one.p50 or 0, 3), round(one.p99 or 0, 3)) == (0.01, 0.01)
    [idle] = between(now, now).services
    assert (idle.p50, idle.p99) == (None, None)


def test_instances_have_rates_of_their_own() -> None:
    before = InstanceTrafficInfo("hello-1", 0, 1, classes=(0, 0, 5, 0, 0, 1), latency=histogram([0.1]))
    now = InstanceTrafficInfo("hello-1", 3, 2, classes=(0, 0, 15, 0, 0, 3), latency=histogram([0.1, 0.4]), ejections=2)
    new = InstanceTrafficInfo("hello-2", classes=(0, 0, 5))
    found = between(
        Look(1.0, services=[TrafficInfo("hello", 6, instances=(before,))]),
        Look(3.0, services=[TrafficInfo("hello", 23, instances=(now, new))]),
    )
    first, second = found.services[0].instances
    assert (first.requests, first.errors, first.retries, first.in_flight, first.ejections) == (6.0, 1.0, 0.5, 3, 2)
    assert 0.37 < (first.p99 or 0) < 0.43
    assert (second.requests, second.p50) == (None, None)
