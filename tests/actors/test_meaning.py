"""What goes together in a spec is checked where a command comes in, whoever the client is."""

from __future__ import annotations

import pytest

from tucano.actors.kernel import Refused
from tucano.actors.messages.deployer import Deploy
from tucano.actors.messages.model import Balance, Route, Run, Spec, Timeouts
from tucano.actors.pure.meaning import pointless
from tucano.actors.pure.wanted import wanted


def spec(route: Route, balance: Balance | None = None, timeouts: Timeouts | None = None) -> Spec:
    return Spec("db", Run("./db"), route=route, balance=balance or Balance(), timeouts=timeouts or Timeouts())


def test_what_a_protocol_reads_may_be_said() -> None:
    balance = Balance("hash", max_in_flight=3, queue=9, slow_start=1.0, eject_after=2)
    assert not list(pointless(spec(Route(protocol="tcp", port=5432), balance, Timeouts(connect=1.0, tunnel=5.0))))
    zmq = spec(Route(protocol="zmq"), Balance("round_robin", repeat=True), Timeouts(first_byte=5.0))
    assert not list(pointless(zmq))


def test_all_that_would_be_ignored_is_told() -> None:
    found = list(pointless(spec(Route(("a.example",), protocol="zmq", private=True), Balance(sticky="seat"))))
    assert [one.partition(":")[0] for one in found] == ["route.hosts", "route.private", "balance.sticky"]


@pytest.mark.parametrize("route", [Route(protocol="tcp"), Route(port=5432), Route(protocol="zmq", port=5432)])
def test_only_a_tcp_service_has_a_port_and_it_must(route: Route) -> None:
    with pytest.raises(Refused, match=r"route\.port"):
        wanted({}, Deploy(spec(route), "a" * 64, 1), 0.0)


def test_two_services_cannot_have_one_port_nor_the_clusters() -> None:
    command = Deploy(spec(Route(protocol="tcp", port=5432)), "a" * 64, 1)
    with pytest.raises(Refused, match="the cluster's own, for its bridge"):
        wanted({}, command, 0.0, {5432: "its bridge"})
    there = wanted({}, command, 0.0).service
    other = Deploy(Spec("other", Run("./db"), route=Route(protocol="tcp", port=5432)), "a" * 64, 1)
    with pytest.raises(Refused, match="port 5432 is that of db"):
        wanted({"db": there}, other, 0.0)
