"""What balancers counted, added up."""

from tests.actors.test_latency import histogram
from tucano.actors.messages.balancer import InstanceTraffic, ServiceTraffic, Traffic
from tucano.actors.messages.latency import Latency
from tucano.actors.proxy import InstanceStats, ServiceStats
from tucano.actors.pure import counts, measures


def test_the_traffic_of_several_balancers_is_added_up_by_service_and_instance() -> None:
    one, other = histogram([0.01] * 3), histogram([0.08])
    found = measures.traffic(
        [
            Traffic((
                ServiceTraffic("shop", 1, 0, 0, 1),
                ServiceTraffic(
                    "hello", 5, 1, 0, 0, 10, 20, 1, (0, 0, 4, 0, 0, 1), one,
                    (InstanceTraffic("b", 1, classes=(0, 0, 3)), InstanceTraffic("a", 0, 2)),
                ),
            )),
            Traffic((ServiceTraffic(
                "hello", 7, 0, 2, 3, 1, 2, 0, (0, 0, 7), other, (InstanceTraffic("b", 2, latency=other),),
            ),)),
        ]
    )  # fmt: skip
    hello, shop = found["services"]
    assert (hello["service"], hello["requests"], hello["errors"], hello["retries"]) == ("hello", 12, 1, 2)
    assert (hello["in_flight"], hello["received"], hello["sent"], hello["ejections"]) == (3, 11, 22, 1)
    assert hello["classes"] == [0, 0, 11, 0, 0, 1]
    assert (round(hello["p50"], 2), round(hello["p99"], 2)) == (0.01, 0.08)
    assert [(one["instance"], one["in_flight"], one["retries"]) for one in hello["instances"]] == [
        ("a", 0, 2), ("b", 3, 0),
    ]  # fmt: skip
    assert hello["instances"][1]["classes"] == [0, 0, 3]
    assert (shop["service"], shop["requests"], shop["p50"], shop["latency"]) == (
        "shop",
        1,
        None,
        {"first": 0, "counts": ()},
    )


def test_no_balancer_is_no_traffic() -> None:
    assert measures.traffic([]) == {"services": []}


def test_a_balancer_tells_all_that_its_data_path_counts() -> None:
    one = InstanceStats("hello-1", 2, {2: 5}, 6, 7, 8, 9, Latency(3, (1,)))
    stats = ServiceStats(1, 2, 3, 4, {2: 5, 4: 1}, 6, 7, 8, Latency(2, (1,)), (one,))
    assert counts.traffic_of({"hello": stats}).services == (
        ServiceTraffic(
            "hello", 1, 2, 3, 4, 6, 7, 8, (0, 0, 5, 0, 1, 0), Latency(2, (1,)),
            (InstanceTraffic("hello-1", 2, 8, 6, 7, 9, (0, 0, 5, 0, 0, 0), Latency(3, (1,))),),
        ),
    )  # fmt: skip
